"""What Home Assistant admits as an MQTT device discovery, and stricter.

Source: Home Assistant's documentation of MQTT discovery and of its sensor, binary sensor and
event platforms, 2024.11 to 2026. Home Assistant passes over keys that it does not know, and
leaves out single entities; here both are complaints.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

__all__ = ["complaints", "entities", "expand", "render"]

_SHORT: Final = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "cmps": "components",
    "dev": "device",
    "dev_cla": "device_class",
    "ent_cat": "entity_category",
    "evt_typ": "event_types",
    "exp_aft": "expire_after",
    "ic": "icon",
    "o": "origin",
    "ops": "options",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "sug_dsp_prc": "suggested_display_precision",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
_SHORT_OF_DEVICE: Final = {
    "ids": "identifiers",
    "mf": "manufacturer",
    "mdl": "model",
    "sw": "sw_version",
    "sn": "serial_number",
}
_TOPIC_OF_DISCOVERY: Final = re.compile(
    "homeassistant/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config"
)
_ENTITY_ID: Final = re.compile(r"[a-z_]+\.(?!_)(?!.*__)[a-z0-9_]+(?<!_)")

Check = Callable[[Any], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_topic(value: object) -> bool:
    return _is_text(value) and not set("+#\x00") & set(str(value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_template(value: object) -> bool:
    return isinstance(value, str) and _parses(value)


@cache
def _parses(template: str) -> bool:
    try:
        _ENVIRONMENT.parse(template)
    except TemplateError:
        return False
    return "{" in template


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and _are_distinct(value)


def _are_distinct(value: list[Any]) -> bool:
    return 0 < len(value) == len(set(value))


def _one_of(*words: str) -> Check:
    return lambda it: it in words


_ENVIRONMENT: Final = SandboxedEnvironment(undefined=StrictUndefined)
_COMMON: Final[Mapping[str, Check]] = {
    "platform": _one_of("sensor", "binary_sensor", "event"),
    "name": _is_text,
    "unique_id": lambda it: _is_text(it) and len(it) <= 255,
    "default_entity_id": lambda it: _is_text(it) and bool(_ENTITY_ID.fullmatch(it)),
    "state_topic": _is_topic,
    "value_template": _is_template,
    "icon": lambda it: _is_text(it) and it.startswith("mdi:"),
    "entity_category": _one_of("diagnostic"),
    "availability": lambda it: isinstance(it, list) and bool(it),
    "availability_mode": _one_of("all", "any", "latest"),
}
_PLATFORMS: Final[Mapping[str, Mapping[str, Check]]] = {
    "sensor": {
        "device_class": _one_of("enum", "duration", "timestamp", "signal_strength"),
        "state_class": _one_of("measurement"),
        "unit_of_measurement": _is_text,
        "suggested_display_precision": _is_whole,
        "expire_after": _is_whole,
        "options": _are_words,
    },
    "binary_sensor": {
        "device_class": _one_of("occupancy", "connectivity"),
        "expire_after": _is_whole,
    },
    "event": {"event_types": _are_words},
}
_NEEDED: Final = ("name", "unique_id", "default_entity_id", "state_topic")
_UNITS: Final = {
    "duration": {"d", "h", "min", "s", "ms"},
    "signal_strength": {"dB", "dBm"},
    "timestamp": {"None"},
    "enum": {"None"},
}
_TOP: Final[Mapping[str, Check]] = {
    "device": lambda it: isinstance(it, dict),
    "origin": lambda it: isinstance(it, dict) and _is_text(it.get("name")),
    "components": lambda it: isinstance(it, dict) and bool(it),
    "availability": lambda it: isinstance(it, list) and bool(it),
    "availability_mode": _one_of("all"),
    "qos": _one_of(*(0, 1, 2)),  # type: ignore[arg-type]
}
_DEVICE: Final[Mapping[str, Check]] = {
    "identifiers": _are_words,
    **dict.fromkeys(("name", "manufacturer", "model", "sw_version", "serial_number"), _is_text),
}
_AVAILABILITY: Final[Mapping[str, Check]] = {
    "topic": _is_topic,
    "value_template": _is_template,
    "payload_available": _is_text,
    "payload_not_available": _is_text,
}


def complaints(topic: str, payload: bytes) -> list[str]:
    """Return all that is wrong with a discovery message; none where nothing is."""
    try:
        document = expand(json.loads(payload, object_pairs_hook=_once))
    except (ValueError, AttributeError, TypeError) as error:
        return [f"no JSON object: {error}"]
    found = [] if _TOPIC_OF_DISCOVERY.fullmatch(topic) else [f"topic {topic} is never read"]
    return [*found, *_wrong(document)]


def entities(payload: bytes) -> dict[str, dict[str, Any]]:
    """Return a good message's entities by their unique ids, with long names for all keys."""
    document = expand(json.loads(payload))
    shared = {"availability": document["availability"]}
    return {it["unique_id"]: shared | it for it in document["components"].values()}


def render(template: str, payload: bytes, **more: object) -> str:
    """Return what Home Assistant gets out of a message by a template."""
    made = _ENVIRONMENT.from_string(template)
    return made.render(value=payload.decode(), value_json=json.loads(payload), **more).strip()


def expand(document: dict[str, Any]) -> dict[str, Any]:
    """Return a message with its keys' long names."""
    long = _renamed(document, _SHORT)
    long["device"] = _renamed(long.get("device", {}), _SHORT_OF_DEVICE)
    long["availability"] = [_renamed(it, _SHORT) for it in long.get("availability", [])]
    long["components"] = {key: _expanded(it) for key, it in long.get("components", {}).items()}
    return long


def _expanded(component: dict[str, Any]) -> dict[str, Any]:
    long = _renamed(component, _SHORT)
    if "availability" in long:
        long["availability"] = [_renamed(it, _SHORT) for it in long["availability"]]
    return long


def _renamed(part: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return dict(_once([(names.get(key, key), value) for key, value in part.items()]))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a key comes twice"
        raise ValueError(msg)
    return found


def _wrong(document: dict[str, Any]) -> Iterator[str]:
    yield from _against(_TOP, document, "it", needed=("device", "origin", "components"))
    yield from _against(
        _DEVICE, document["device"], "device", needed=("identifiers", "name", "manufacturer")
    )
    yield from _availability(document["availability"], "it")
    parts = document["components"]
    for key, part in parts.items():
        yield from _component(key, part)
    for name in ("unique_id", "default_entity_id", "name"):
        values = [str(it.get(name)) for it in parts.values()]
        if len(values) != len(set(values)):
            yield f"components: {name} is not unique"


def _component(key: str, part: dict[str, Any]) -> Iterator[str]:
    platform = str(part.get("platform"))
    if platform not in _PLATFORMS:
        yield f"{key}: platform {platform!r} is none of ours"
        return
    checks = {**_COMMON, **_PLATFORMS[platform]}
    needed = [*_NEEDED, *(["event_types"] if platform == "event" else ["value_template"])]
    yield from _against(checks, part, key, needed=needed)
    yield from _availability(part.get("availability", []), key)
    if not str(part.get("default_entity_id")).startswith(f"{platform}."):
        yield f"{key}: default_entity_id is of another domain"
    if platform == "sensor":
        yield from _sensor(key, part)


def _sensor(key: str, part: dict[str, Any]) -> Iterator[str]:
    """Hold class, unit, state class and options against each other."""
    kind, unit = str(part.get("device_class")), part.get("unit_of_measurement")
    if kind in _UNITS and str(unit) not in _UNITS[kind]:
        yield f"{key}: unit {unit!r} is none of {kind}"
    is_number = "state_class" in part
    if kind in {"enum", "timestamp"} and is_number:
        yield f"{key}: {kind} has no state class"
    if ("options" in part) != (kind == "enum"):
        yield f"{key}: options are for enum, and enum needs them"
    if not is_number and (unit is not None or "suggested_display_precision" in part):
        yield f"{key}: a number needs a state class"


def _availability(parts: list[Any], where: str) -> Iterator[str]:
    for part in parts:
        yield from _against(_AVAILABILITY, part, f"{where}: availability", needed=("topic",))


def _against(
    checks: Mapping[str, Check],
    part: Mapping[str, Any],
    where: str,
    *,
    needed: tuple[str, ...] | list[str],
) -> Iterator[str]:
    for name, value in part.items():
        if name not in checks:
            yield f"{where}: {name} is not known"
        elif not checks[name](value):
            yield f"{where}: {name} cannot be {value!r}"
    for name in needed:
        if name not in part:
            yield f"{where}: {name} is missing"
