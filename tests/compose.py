"""``docker-compose.yml`` as compose reads it: anchors resolved, variables put in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.dockerfile import ROOT

__all__ = ["FILE", "resolved", "secrets_of"]

FILE: Final = ROOT / "docker-compose.yml"
_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)(?:(:-|:\?)([^}]*))?\})")


def resolved(variables: Mapping[str, str], file: Path = FILE) -> dict[str, Any]:
    """Return the file's content; raise KeyError for a variable that must be set and is not."""
    content = _put_in(yaml.safe_load(file.read_text()), variables)
    assert isinstance(content, dict)
    return {name: it for name, it in content.items() if not name.startswith("x-")}


def secrets_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return what a service sees below /run/secrets: the file's name there, and the secret."""
    given = service.get("secrets", ())
    return dict(
        (it, it) if isinstance(it, str) else (it["target"], it["source"]) for it in given
    )


def _put_in(value: Any, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML
    if isinstance(value, dict):
        return {name: _put_in(it, variables) for name, it in value.items()}
    if isinstance(value, list):
        return [_put_in(it, variables) for it in value]
    if not isinstance(value, str):
        return value

    def one(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if name is None:
            return "$"
        given = variables.get(name, "")
        if given or kind is None:
            return given
        if kind == ":?":
            raise KeyError(name)
        return str(rest)

    return _VARIABLE.sub(one, value)
