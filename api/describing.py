"""The description of the facade (OpenAPI 3.1): what FastAPI sees, made pleasant to read."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.described_problems import describe_problems
from api.examples import Examples

__all__ = ["METHODS", "describe", "operations_of"]

METHODS: Final = ("get", "post", "put", "patch", "delete")
_LOCATION: Final = frozenset(
    {"startReplay", "startEvaluation", "reportExperiment", "eraseDevice"}
)
_ETAG: Final = frozenset({"getDeviceConfig", "getAlias", "createRecording"})
_BINARY: Final = frozenset(
    {"application/octet-stream", "application/vnd.noctis.frame", "application/zip"}
)

HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "RateLimit-Policy": (
        "How often the tenant may ask, where there is a limit: `q` requests in `w` seconds.",
        '"requests";q=1000;w=10',
    ),
    "RateLimit": (
        "What is left of it: `r` requests, and in `t` seconds all of them are there again.",
        '"requests";r=999;t=1',
    ),
    "Retry-After": ("Seconds to wait before the request is worth sending again.", "2"),
    "WWW-Authenticate": (
        "What token is wanted (RFC 6750); it names the scope that is missing.",
        'Bearer realm="noctis", error="insufficient_scope", scope="devices:write"',
    ),
    "ETag": ("The state that was told; `If-Match` and `If-None-Match` take it.", '"3"'),
    "Location": ("The path of what was made, or ordered.", "/v1/devices/bedroom"),
}
"""The headers that answers bear: what each tells, and an example."""


def describe(app: FastAPI, *, extra: Sequence[type[BaseModel]] = ()) -> dict[str, Any]:
    """Return the description of ``app``; ``extra`` are schemas that no route names."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        tags=app.openapi_tags,
        servers=app.servers,
        contact=app.contact,
        license_info=app.license_info,
        routes=app.routes,
    )
    schemas = made["components"]["schemas"]
    for model in extra:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    examples = Examples(schemas)
    for operation in operations_of(made):
        _exemplify(operation, examples)
        _head(operation)
    describe_problems(made)
    made["components"]["headers"] = _headers()
    made["paths"] = _sorted(made)
    return made


def operations_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the operations of a description."""
    for path in document["paths"].values():
        yield from (path[method] for method in METHODS if method in path)


def _exemplify(operation: Mapping[str, Any], examples: Examples) -> None:
    """Give an example to the request and to each good reply, unless there is one."""
    name = operation["operationId"]
    request = operation.get("requestBody", {}).get("content", {})
    bodies = [("request", request)] + [
        (status, response.get("content", {}))
        for status, response in operation["responses"].items()
        if status.startswith("2")
    ]
    for what, content in bodies:
        for kind, media in content.items():
            if kind not in _BINARY and "example" not in media and "examples" not in media:
                value = examples.of_body(
                    f"{name} {what} {kind}",
                    media.get("schema", {}),
                    is_request=what == "request",
                )
                media["examples"] = {"home": {"value": value}}


def _head(operation: Mapping[str, Any]) -> None:
    """Name the headers of each good reply."""
    name = operation["operationId"]
    conditional = {it["name"] for it in operation.get("parameters", ())} & {
        "If-Match",
        "If-None-Match",
    }
    for status, response in operation["responses"].items():
        is_made = status == str(int(HTTPStatus.CREATED)) or name in _LOCATION
        has_state = name in _ETAG or (conditional and "content" in response)
        named = [
            *(("RateLimit-Policy", "RateLimit") if operation.get("security") else ()),
            *(("Location",) if is_made else ()),
            *(("ETag",) if has_state else ()),
        ]
        if status.startswith("2") and named:
            known = response.setdefault("headers", {})
            known |= {it: {"$ref": f"#/components/headers/{it}"} for it in named}


def _headers() -> dict[str, Any]:
    return {
        name: {"description": told, "schema": {"type": "string"}, "example": example}
        for name, (told, example) in HEADERS.items()
    }


def _sorted(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the paths in the order of the tags of their first operations."""
    order = [tag["name"] for tag in document.get("tags", ())]

    def place(path: Mapping[str, Any]) -> int:
        [first, *_] = [path[method] for method in METHODS if method in path]
        tags = first.get("tags", ())
        return order.index(tags[0]) if tags and tags[0] in order else len(order)

    return dict(sorted(document["paths"].items(), key=lambda it: place(it[1])))
