"""Examples of bodies, put together from those of their parts.

A field's own example comes first, then what its name stands for everywhere
(``api.example_values``), so that all examples speak of one home, one device and one night.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.example_values import BODIES, CHANGES, NAMED

__all__ = ["Examples", "Schema"]

Schema = Mapping[str, Any]
_CHOICES: Final = ("anyOf", "oneOf", "allOf")
_UNKNOWN: Final[Any] = object()


class Examples:
    """Makes examples for the schemas of one description; ``guessed``: what nobody exemplified.

    A guess is valid by its type and tells a reader nothing: it wants an example at its field.
    """

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self.guessed: set[str] = set()

    def of_body(self, name: str, schema: Schema, *, is_request: bool) -> object:
        """Return the example of a body; ``name`` is ``<operation> <request or status> <type>``.

        A request shows what it must hold and what is exemplified; a reply all that it holds.
        """
        if name in BODIES:
            return BODIES[name]
        made = self._of(schema, name.split(maxsplit=1)[0], is_request=is_request)
        return {**made, **CHANGES[name]} if name in CHANGES else made

    def _of(self, schema: Schema, name: str, *, is_request: bool) -> Any:  # noqa: ANN401 - JSON
        owner, _, field = name.rpartition(".")
        own = NAMED.get(name, _UNKNOWN) if owner else _UNKNOWN
        known = next(_told(own, schema, NAMED.get(field or name, _UNKNOWN)), _UNKNOWN)
        if known is not _UNKNOWN:
            return known
        if "$ref" in schema:
            target = schema["$ref"].rpartition("/")[2]
            return self._of(self._schemas[target], target, is_request=is_request)
        choices = [it for kind in _CHOICES for it in schema.get(kind, ())]
        if choices:
            return self._of(choices[0], name, is_request=is_request)
        return self._typed(schema, name, is_request=is_request)

    def _typed(self, schema: Schema, name: str, *, is_request: bool) -> object:
        kind = schema.get("type", "object")
        if kind == "object":
            return self._object(schema, name, is_request=is_request)
        if kind == "array":
            item = self._of(schema.get("items", {}), name, is_request=is_request)
            return [item] * max(1, schema.get("minItems", 1))
        self.guessed.add(name)
        return {"integer": schema.get("minimum", 1), "number": 0.5, "boolean": False}.get(
            kind, "text"
        )

    def _object(self, schema: Schema, name: str, *, is_request: bool) -> dict[str, object]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        owner = schema.get("title", name).replace(" ", "")
        required = schema.get("required", ())
        made = {}
        for field, each in properties.items():
            before = set(self.guessed)
            value = self._of(each, f"{owner}.{field}", is_request=is_request)
            is_left_out = is_request and field not in required
            if is_left_out and (self.guessed != before or value is None):
                self.guessed = before
            else:
                made[field] = value
        return made


def _told(own: object, schema: Schema, shared: object) -> Iterator[object]:
    """Yield what is said of a value: of this very field, by its schema, by its name."""
    if own is not _UNKNOWN:
        yield own
    yield from schema.get("examples", ())
    yield from (schema[it] for it in ("example", "const") if it in schema)
    if shared is not _UNKNOWN:
        yield shared
    yield from schema.get("enum", ())
    if schema.get("default") is not None:
        yield schema["default"]
