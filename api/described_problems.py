"""The problems in the description: of each route its kinds, with an example of each."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from api.problem_kinds import KINDS, PLAIN, uri_of

__all__ = ["describe_problems", "example_of"]

_MEDIA_TYPE: Final = "application/problem+json"
_PLAIN: Final[Mapping[int, str]] = {
    400: "Range names no part of it",
    404: "tenant 'home' has no device 'kitchen'",
    406: "there is application/json or text/csv",
    413: "a body may have 65536 bytes at most",
    416: "Range names no part of it",
}
"""What a problem without a kind of its own says, by its status."""

_HEADERS: Final[Mapping[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    412: ("ETag",),
    429: ("Retry-After", "RateLimit-Policy", "RateLimit"),
    503: ("Retry-After",),
    504: ("Retry-After",),
}


def describe_problems(document: dict[str, Any]) -> None:
    """Let every problem of every operation name its kinds; what is alike is written once."""
    responses: dict[str, Any] = {}
    examples: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _add_size_limit(operation)
            for status, response in operation["responses"].items():
                if _MEDIA_TYPE not in response.get("content", {}):
                    continue
                kinds = _kinds(int(status), operation, response.pop("x-kinds", ()))
                name = ".".join([HTTPStatus(int(status)).phrase.replace(" ", ""), *kinds])
                if name not in responses:
                    responses[name] = _response(int(status), kinds, response["description"])
                    examples |= {
                        _key(int(status), kind): {
                            "summary": KINDS[kind].when if kind else response["description"],
                            "value": example_of(int(status), kind, path),
                        }
                        for kind in kinds or [""]
                    }
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    document["components"]["responses"] = dict(sorted(responses.items()))
    document["components"]["examples"] = dict(sorted(examples.items()))


def _add_size_limit(operation: dict[str, Any]) -> None:
    """Say that a body may be too large; put the responses in the order of their statuses."""
    responses = operation["responses"]
    if "requestBody" in operation and "413" not in responses:
        responses["413"] = {
            "description": HTTPStatus(413).phrase,
            "content": {_MEDIA_TYPE: {}},
        }
    operation["responses"] = dict(sorted(responses.items()))


def _kinds(status: int, operation: Mapping[str, Any], own: Iterable[str]) -> list[str]:
    """Return the kinds of a status: those that come everywhere, and the route's own."""
    is_secured = bool(operation.get("security"))
    in_pages = any(it["name"] == "page_token" for it in operation.get("parameters", ()))
    has_deadline = "504" in operation["responses"]
    shared = {
        400: [*(["token"] * is_secured), *(["page-token"] * in_pages)],
        401: ["no-token", "token"],
        403: ["scope"] * is_secured,
        412: ["changed"],
        422: ["invalid"],
        428: ["precondition"],
        429: ["requests"] * is_secured,
        503: ["database-unavailable"] * has_deadline,
        504: ["deadline"],
    }
    return list(dict.fromkeys([*shared.get(status, []), *own]))


def _response(status: int, kinds: list[str], description: str) -> dict[str, Any]:
    types = [uri_of(kind) for kind in kinds] or [PLAIN]
    narrowed = {"properties": {"type": {"enum": types}, "status": {"const": status}}}
    made: dict[str, Any] = {
        "description": f"{description}: {', '.join(kinds)}" if kinds else description,
        "content": {
            _MEDIA_TYPE: {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]},
                "examples": {
                    kind or "plain": {"$ref": f"#/components/examples/{_key(status, kind)}"}
                    for kind in kinds or [""]
                },
            }
        },
    }
    headers = {it: {"$ref": f"#/components/headers/{it}"} for it in _HEADERS.get(status, ())}
    return made | ({"headers": headers} if headers else {})


def _key(status: int, kind: str) -> str:
    return f"{status}-{kind or 'plain'}"


def example_of(status: int, kind: str, path: str) -> dict[str, Any]:
    """Return a problem as it is told, of a request for ``path``."""
    detail = KINDS[kind].detail if kind else _PLAIN.get(status)
    example: dict[str, Any] = {
        "type": uri_of(kind),
        "title": HTTPStatus(status).phrase,
        "status": status,
        **({"detail": detail} if detail else {}),
        "instance": path.format_map(_Names()),
    }
    if kind == "invalid":
        example["errors"] = [
            {
                "location": "query.page_size",
                "pointer": "#/query/page_size",
                "detail": "Input should be greater than or equal to 1",
            }
        ]
    return example


class _Names(dict[str, str]):
    """What stands for a parameter of a path in examples."""

    def __missing__(self, key: str) -> str:
        return {"device": "bedroom", "model": "stager", "user": "ann", "app": "phone"}.get(
            key, "1"
        )
