"""The facade on a free port, its operations as the OpenAPI describes them, and two tenants.

A request is filled from the description's own examples; what names something of a tenant is
replaced by what that tenant has.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx
import uvicorn
from fastapi import FastAPI

from noctis.childproc import free_port

METHODS: Final = ("get", "post", "put", "patch", "delete")
OWNED: Final = (
    *("device", "recording", "replay", "command", "source", "stream", "app", "user", "erasure"),
    "operation",
    "alert",
)
"""Parameters, in paths, queries and bodies, that name something of a tenant's."""

COMMON: Final = ("model", "version", "alias", "experiment", "sha256", "rule")
"""Those that name something of the platform's."""

STARTS_WITHIN_S: Final = 20.0
Values = Mapping[str, str]


@dataclass(frozen=True)
class Operation:
    """A path and a method of the API."""

    method: str
    path: str
    spec: Mapping[str, Any] = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def scopes(self) -> list[str] | None:
        """The scopes that it asks for; None: it is open to everybody."""
        schemes = self.spec.get("security", [])
        return [scope for scheme in schemes for of in scheme.values() for scope in of] or (
            [] if schemes else None
        )

    @property
    def parameters(self) -> Sequence[Mapping[str, Any]]:
        parameters: Sequence[Mapping[str, Any]] = self.spec.get("parameters", [])
        return parameters

    @property
    def owned(self) -> set[str]:
        """The parameters of its path that name something of a tenant's."""
        return {it["name"] for it in self.parameters if it["in"] == "path"} & set(OWNED)

    def request(self, values: Values) -> dict[str, Any]:
        """Return httpx's arguments of a request that names the things of ``values``."""
        path, query, headers = self.path, {}, {}
        for parameter in self.parameters:
            name = parameter["name"]
            value = values.get(name) or self._example(parameter.get("schema", {}), values)
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
            elif parameter["in"] == "query" and (parameter.get("required") or name in values):
                query[name] = value
            elif parameter["in"] == "header" and name == "If-Match":
                headers[name] = "*"
        return {
            "method": self.method.upper(),
            "url": path,
            "params": query,
            "headers": headers,
            **self._body(values),
        }

    def _body(self, values: Values) -> dict[str, Any]:
        content = self.spec.get("requestBody", {}).get("content", {})
        if not content:
            return {}
        kind, media = next(iter(content.items()))
        value = media.get("example") or self._example(media.get("schema", {}), values)
        if kind == "application/json":
            return {"content": json.dumps(value), "_type": kind}
        if kind == "application/x-www-form-urlencoded":
            return {"data": value}
        return {"content": b"walk", "_type": kind}

    def _example(self, schema: Mapping[str, Any], values: Values, name: str = "") -> Any:  # noqa: ANN401
        """Return what a schema's examples, defaults and types say that it may hold."""
        if name in values:
            return values[name]
        known = schema
        if "$ref" in schema:
            known = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        [choice] = [known[it] for it in ("anyOf", "oneOf", "allOf") if it in known] or [[]]
        shown = _shown(known)
        if shown is not None:
            return shown
        return self._example(choice[0], values, name) if choice else self._typed(known, values)

    def _typed(self, schema: Mapping[str, Any], values: Values) -> Any:  # noqa: ANN401
        kind = schema.get("type", "object")
        if kind == "object":
            shown = dict((schema.get("examples") or [{}])[0])
            needed = set(schema.get("required", ())) | shown.keys()
            properties = schema.get("properties", {})
            wanted = needed | (properties.keys() & values.keys())
            return shown | {
                it: self._example(properties.get(it, {}), values, it)
                for it in wanted
                if it in values or it not in shown
            }
        if kind == "array":
            item = self._example(schema.get("items", {}), values)
            return [item] * max(1, schema.get("minItems", 1))
        formats = {"date-time": "2026-03-01T22:00:00Z", "date": "2026-03-01"}
        plain = {"integer": schema.get("minimum", 1), "number": 0.5, "boolean": False}
        return plain.get(kind, formats.get(schema.get("format", ""), str(uuid4())))


def _shown(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return the example that a schema gives of anything but an object; None without one."""
    listed = [schema[it][0] for it in ("examples", "enum") if schema.get(it)]
    single = [schema[it] for it in ("example", "default", "const") if it in schema]
    return None if schema.get("type") == "object" else next(iter([*listed, *single]), None)


def operations(app: FastAPI) -> list[Operation]:
    """Return all that the OpenAPI tells of."""
    document = app.openapi()
    return [
        Operation(method, path, spec, document)
        for path, methods in document["paths"].items()
        for method, spec in methods.items()
        if method in METHODS
    ]


@dataclass(frozen=True)
class Answer:
    """What came back; of a stream only the head."""

    status: int
    headers: httpx.Headers
    text: str


class Caller:
    """A client of the facade."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=20)

    def close(self) -> None:
        self._client.close()

    def ask(self, operation: Operation, values: Values, token: str | None) -> Answer:
        """Send a request with a token, as a header has it; None: without one."""
        request = operation.request(values)
        kind = request.pop("_type", None)
        headers = request.pop("headers") | ({"Content-Type": kind} if kind else {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        with self._client.stream(**request, headers=headers) as answer:
            is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")
            text = "" if is_stream else answer.read().decode(errors="replace")
            return Answer(answer.status_code, answer.headers, text)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve the facade in a thread; yield its URL."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="facade", daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=30)
    assert not thread.is_alive()
