"""What of a change to an OpenAPI breaks the programs that were written for the one before."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["breaking"]

Node = Mapping[str, Any]
METHODS: Final = ("get", "post", "put", "patch", "delete")
EMPTY: Final[Node] = {}


def breaking(old: Node, new: Node) -> list[str]:
    """Return what a program written for ``old`` misses in ``new``, or sends in vain; sorted.

    A path, an operation or its id that went; a parameter or a member of a request that went or
    became required; a reply's status, media type or member that went; a scope more to ask for.
    """
    return sorted(set(_all(old, new)))


def _all(old: Node, new: Node) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method in (it for it in METHODS if it in methods):
            place = f"{method.upper()} {path}"
            known = new["paths"].get(path, EMPTY).get(method)
            if known is None:
                yield f"{place} is gone"
            else:
                yield from _operation(place, methods[method], known, old, new)


def _operation(place: str, was: Node, now: Node, old: Node, new: Node) -> Iterator[str]:
    if was["operationId"] != now["operationId"]:
        yield f"{place}: its id {was['operationId']} is now {now['operationId']}"
    yield from (f"{place}: asks for scope {it}" for it in _scopes(now) - _scopes(was))
    yield from _parameters(place, was, now)
    sent, taken = was.get("requestBody", EMPTY), now.get("requestBody", EMPTY)
    for kind, media in sent.get("content", EMPTY).items():
        other = taken.get("content", EMPTY).get(kind)
        if other is None:
            yield f"{place}: takes no {kind}"
        else:
            yield from _Request(old, new).compare(f"{place} request", media, other)
    for status in (it for it in was["responses"] if it.startswith("2")):
        reply, other = was["responses"][status], now["responses"].get(status)
        yield from _reply(f"{place} {status}", reply, other, old, new)


def _reply(place: str, was: Node, now: Node | None, old: Node, new: Node) -> Iterator[str]:
    if now is None:
        yield f"{place} is gone"
        return
    for kind, media in was.get("content", EMPTY).items():
        other = now.get("content", EMPTY).get(kind)
        if other is None:
            yield f"{place}: no {kind} any more"
        else:
            yield from _Reply(old, new).compare(place, media, other)


def _scopes(operation: Node) -> set[str]:
    schemes = operation.get("security", ())
    return {scope for scheme in schemes for scopes in scheme.values() for scope in scopes}


def _parameters(place: str, was: Node, now: Node) -> Iterator[str]:
    before = {(it["in"], it["name"]): it for it in was.get("parameters", ())}
    after = {(it["in"], it["name"]): it for it in now.get("parameters", ())}
    gone = before.keys() - after.keys()
    yield from (f"{place}: parameter {name} is gone" for _, name in gone)
    for key, it in after.items():
        if it.get("required") and not before.get(key, EMPTY).get("required"):
            yield f"{place}: parameter {key[1]} is required"


class _Schemas:
    """Compares two schemas part by part; each pair of components once."""

    def __init__(self, old: Node, new: Node) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def compare(self, place: str, was: Node, now: Node) -> Iterator[str]:
        """Yield what is lost between the schemas of two media types."""
        yield from self._walk(place, was.get("schema", EMPTY), now.get("schema", EMPTY))

    def _walk(self, place: str, was: Node, now: Node) -> Iterator[str]:
        pair = (was.get("$ref", ""), now.get("$ref", ""))
        if any(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        was, now = _resolved(was, self._old), _resolved(now, self._new)
        yield from self._members(place, was, now)
        before, after = was.get("properties", EMPTY), now.get("properties", EMPTY)
        for name in before.keys() & after.keys():
            yield from self._walk(f"{place}.{name}", before[name], after[name])
        if "items" in was and "items" in now:
            yield from self._walk(f"{place}[]", was["items"], now["items"])
        for choice in ("anyOf", "oneOf"):
            for each, other in zip(was.get(choice, ()), now.get(choice, ()), strict=False):
                yield from self._walk(place, each, other)

    def _members(self, place: str, was: Node, now: Node) -> Iterator[str]:
        """Yield what is lost of one object or word."""
        raise NotImplementedError

    @staticmethod
    def _gone(place: str, was: Node, now: Node) -> Iterator[str]:
        names = was.get("properties", EMPTY).keys() - now.get("properties", EMPTY).keys()
        yield from (f"{place}: {name} is gone" for name in names)


class _Request(_Schemas):
    def _members(self, place: str, was: Node, now: Node) -> Iterator[str]:
        yield from self._gone(place, was, now)
        needed = set(now.get("required", ())) - set(was.get("required", ()))
        yield from (f"{place}: {name} is required" for name in needed)
        if "enum" in now:
            words = set(was.get("enum", ())) - set(now["enum"])
            yield from (f"{place}: {word!r} is not taken" for word in words)


class _Reply(_Schemas):
    def _members(self, place: str, was: Node, now: Node) -> Iterator[str]:
        yield from self._gone(place, was, now)
        kept = set(now.get("required", ())) | (
            was.get("properties", EMPTY).keys() - now.get("properties", EMPTY).keys()
        )
        unsure = set(was.get("required", ())) - kept
        yield from (f"{place}: {name} may be missing" for name in unsure)


def _resolved(schema: Node, document: Node) -> Node:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    found: Node = document["components"]["schemas"][name]
    return found
