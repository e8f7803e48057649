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
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection, Engine, text

from noctis.ack import STORED
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.status import Status
from noctis.storage import (
    accounts,
    commands,
    devices,
    drift_reports,
    guards,
    labels,
    predictions,
    recordings,
    replays,
    reports,
    tenants,
    users,
)
from noctis.storage import operations as operations_of
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from tests.integration.inference_fixtures import Night

METHODS: Final = ("get", "post", "put", "patch", "delete")
OWNED: Final = (
    *("device", "recording", "replay", "command", "source", "stream", "app", "user"),
    "operation",
)
"""Parameters, in paths, queries and bodies, that name something of a tenant's."""

COMMON: Final = ("model", "version", "alias", "experiment")
"""Those that name something of the platform's."""

MODEL: Final = ("stager", "walked")
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


def add_tenant(engine: Engine, tenant: str) -> None:
    with transaction(engine) as connection:
        tenants.add(connection, tenant)


def seed(engine: Engine, tenant: str, *, device: str = "") -> dict[str, str]:
    """Give a tenant one more of everything; return its names by the parameters' names."""
    mark = uuid4().hex[:12]
    device, app = device or f"bed-{mark}", f"phone-{mark}@{tenant}"
    night = Night(60, seed=7)
    frames = [
        Received(DeviceId(tenant, device), one, backlog=False) for one in night.frames(size=60)
    ]
    with transaction(engine, 30) as connection:
        devices.add(tenant, connection, device)
        accounts.add(tenant, connection, f"{tenant}/{device}", "device")
        accounts.add(tenant, connection, app, "app")
        users.add(tenant, connection, f"ann-{mark}", role="viewer", password_hash="none")
        assert {it.code for it in ingest(connection, frames)} == {STORED}
        found = _derive(connection, tenant, device, night)
    return {
        "device": device,
        "stream": f"{night.stream:016x}",
        "source": f"psg-{mark}",
        "app": app.partition("@")[0],
        "user": f"ann-{mark}",
        **found,
    }


def _derive(connection: Connection, tenant: str, device: str, night: Night) -> dict[str, str]:
    """Make what is made of a device's epochs; return the names of that."""
    key = devices.get(tenant, connection, device).id
    model = predictions.model_id(connection, *MODEL)
    begun = datetime.fromtimestamp(night.utc_s, UTC)
    ended = begun + timedelta(seconds=30 * len(night))
    rows = [
        predictions.Prediction(key, night.stream, seq, begun, Stage.LIGHT, (0.1, 0.7, 0.1, 0.1))
        for seq in range(1, len(night) + 1)
    ]
    predictions.store(connection, model, rows)
    hypnogram = np.full(len(night), Stage.LIGHT, np.uint8).tobytes()
    found = recordings.Night(
        "closed", begun.date(), "UTC", begun, ended, hypnogram, model, 0, None
    )
    recording = recordings.add(connection, key, found)
    source = f"psg-{device.removeprefix('bed-')}"
    known = [labels.Label(begun, Stage.LIGHT)]
    labels.put(tenant, connection, device, known, source=source, by="walk")
    status = Status(
        state="online",
        stream=f"{night.stream:016x}",
        oldest_seq=0,
        next_seq=61,
        backlog=0,
    )
    reports.store(connection, {DeviceId(tenant, device): status})
    subject = drift_reports.Subject(
        tenants.id_of(tenant, connection), tenant, key, device, begun.date()
    )
    drift_reports.keep(
        connection,
        subject,
        model="@".join(MODEL),
        day=begun.date(),
        verdict="stable",
        body="{}",
    )
    wanted = commands.Range(night.stream, 1, 5)
    [command] = commands.order_resend(tenant, connection, device, [wanted])
    replay = replays.add(tenant, connection, device, model, since=begun, until=ended)
    order = {"model": MODEL[0], "version": MODEL[1], "device": device}
    operation = operations_of.add(tenant, connection, "replay", order, device=device, by="walk")
    return {
        "recording": str(recording),
        "command": str(command),
        "replay": str(replay),
        "operation": str(operation.id),
    }


def holdings(engine: Engine, tenant: str) -> dict[str, list[str]]:
    """Return all rows that are a tenant's, as text, by their tables."""
    with engine.connect() as connection:
        names = connection.scalars(
            text(
                "SELECT tablename FROM pg_policies WHERE policyname = 'tenant' "
                "UNION SELECT 'epochs' ORDER BY 1"
            )
        ).all()
        guards.enter(connection, tenant)
        found = {
            name: sorted(connection.scalars(text(f"SELECT t::text FROM {name} t")))  # noqa: S608
            for name in names
        }
        connection.rollback()
        return found
