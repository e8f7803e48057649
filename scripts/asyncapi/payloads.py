"""What the messages hold: the JSON ones by the classes that read them."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from noctis.alerts import RULES, Transition
from noctis.stages import LABELS
from noctis.status import ConfigReport, LogLines, Result, Status, UpdateReport
from scripts.asyncapi import nights
from scripts.asyncapi.apps import APP_MESSAGES
from scripts.asyncapi.binary import BINARY_MESSAGES

__all__ = ["JSON", "MESSAGES"]

_ID: Final = "0b7e4a3c-19d2-4f6a-8c55-a1b2c3d4e5f6"
_STREAM: Final = "9f0c1d2e3a4b5c6d"
_STREAMS: Final = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_U32: Final = {"type": "integer", "minimum": 0, "exclusiveMaximum": 1 << 32}

JSON: Final = "application/json"


def _of(model: type[BaseModel], told: str, *examples: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message that a class reads; members that it does not know are passed over."""
    schema = model.model_json_schema()
    schema.pop("description", None)
    schema = _whole(schema, schema.pop("$defs", {}))
    return {
        "contentType": JSON,
        "summary": told,
        "payload": schema,
        "examples": [{"payload": dict(it)} for it in examples],
    }


def _whole(schema: Any, parts: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return a schema with what it refers to in its place."""
    if isinstance(schema, dict) and "$ref" in schema:
        return _whole(parts[schema["$ref"].rpartition("/")[2]], parts)
    if isinstance(schema, dict):
        return {name: _whole(it, parts) for name, it in schema.items()}
    return [_whole(it, parts) for it in schema] if isinstance(schema, list) else schema


def _json(told: str, schema: Mapping[str, Any], *examples: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "contentType": JSON,
        "summary": told,
        "payload": dict(schema),
        "examples": [{"payload": dict(it)} for it in examples],
    }


def _command(name: str, members: Mapping[str, Any], *, needed: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    return {
        "type": "object",
        "title": name,
        "required": ["id", "command", *needed],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "command": {"const": name},
            **members,
        },
        "additionalProperties": False,
    }


_COMMAND: Final = {
    "oneOf": [
        _command(
            "resend",
            {"stream": _STREAMS, "from": _U32, "to": _U32},
            needed=("stream", "from", "to"),
        ),
        _command("reboot", {}),
        _command("identify", {"seconds": {"type": "integer", "minimum": 0, "maximum": 600}}),
        _command("erase", {"stream": _STREAMS}, needed=("stream",)),
    ]
}
_CONFIGURATION: Final = {
    "type": "object",
    "required": ["version"],
    "properties": {"version": {**_U32, "minimum": 1}},
    "additionalProperties": {
        "anyOf": [{"type": "boolean"}, _U32, {"type": "string", "maxLength": 64}]
    },
}
_PROBABILITY: Final = {
    "type": ["object", "null"],
    "required": list(LABELS),
    "properties": {it: {"type": "number", "minimum": 0, "maximum": 1} for it in LABELS},
    "additionalProperties": False,
}
_STAGE_MEMBERS: Final = {
    "schema_version": {"const": 1},
    "t": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "when the epoch began; null: the device has no clock yet",
    },
    "stream": _STREAMS,
    "seq": _U32,
    "stage": {
        "enum": [*LABELS, None],
        "description": "null: nobody in bed, or the signal is too poor",
    },
    "probability": _PROBABILITY,
    "hr_bpm": {"type": ["number", "null"]},
    "rr_bpm": {"type": ["number", "null"]},
    "in_bed": {"type": "boolean"},
    "quality": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "model": {"type": "string", "description": "`name@version`"},
}
_STAGE: Final = {
    "type": "object",
    "required": list(_STAGE_MEMBERS),
    "properties": _STAGE_MEMBERS,
}
_ALERT_MEMBERS: Final = {
    "id": {
        "type": "integer",
        "minimum": 1,
        "description": "of this transition, the same however often it comes",
    },
    "alert": {"type": "integer", "minimum": 1, "description": "that it is a transition of"},
    "rule": {"enum": list(RULES)},
    "state": {"enum": list(get_args(Transition))},
    "event_type": {
        "type": "string",
        "pattern": "^[a-z_]+$",
        "description": "`rule` where it was raised, else `<rule>_<state>`",
    },
    "at": {"type": "string", "format": "date-time"},
    "message": {"type": "string", "description": "for a person, in English"},
    "details": {"type": "object", "description": "what was measured; or `by` whom it was seen"},
}
_ALERT: Final = {
    "type": "object",
    "required": list(_ALERT_MEMBERS),
    "properties": _ALERT_MEMBERS,
}
_OFFER: Final = {
    "contentType": "text/plain",
    "summary": "An offer of signed firmware",
    "description": "Two lines of JSON, 1536 bytes at most: where the image is and who signed "
    "it, and the manifest whose very bytes are signed ([updates.md](updates.md#an-offer)).",
    "payload": {
        "type": "string",
        "maxLength": 1536,
        "pattern": "^([{][^\n]*[}]\n[{][^\n]*[}])?$",
    },
    "examples": [
        {
            "payload": f'{{"rollout":"{_ID}","url":"https://noctis.example/v1/firmware/images/'
            f'{"9f" * 32}","key":"8c1f02d34e5a6b7c","signature":"{"5a" * 64}"}}\n'
            '{"target":"esp32-s3","version":"0.2.0","build":2,"least":0,"floor":0,"downgrade":0,'
            f'"expires":1827072000,"size":1234567,"sha256":"{"9f" * 32}"}}'
        }
    ],
}

MESSAGES: Final[Mapping[str, dict[str, Any]]] = {
    **BINARY_MESSAGES,
    "status": _of(
        Status,
        "Where a device stands",
        {
            "state": "online",
            "stream": _STREAM,
            "oldest_seq": 0,
            "next_seq": 41,
            "backlog": 3,
            "overwritten": 0,
            "damaged": 0,
            "firmware": "noctis-device 0.1.0",
            "clock": "sntp",
            "radar": "ok",
            "radar_family": "mr60bha2",
            "accelerometer": "ok",
            "accelerometer_id": 104,
            "config": 3,
            "boots": 12,
            "reset": "power_on",
            "uptime_s": 86405,
        },
    ),
    "command": _json(
        "Something to do",
        _COMMAND,
        {"id": _ID, "command": "resend", "stream": _STREAM, "from": 7, "to": 4294967295},
        {"id": _ID, "command": "identify", "seconds": 30},
    ),
    "result": _of(
        Result,
        "What became of a command",
        {
            "id": _ID,
            "state": "done",
            "detail": {"stored": 962, "refused": 0, "overwritten": 280},
        },
        {"id": _ID, "state": "refused", "detail": {"reason": "foreign_stream"}},
    ),
    "configuration": _json(
        "What a device is to be set to",
        _CONFIGURATION,
        {"version": 3, "report_s": 60, "led": False},
    ),
    "configurationReport": _of(
        ConfigReport,
        "What a device is set to",
        {
            "version": 3,
            "settings": {"report_s": 60, "led": False, "log_level": "info"},
            "refusals": 1,
            "refused": {"volume": "unknown"},
        },
    ),
    "logLines": _of(
        LogLines,
        "Lines of a device's log",
        {
            "boot": 3,
            "now_ms": 65210,
            "dropped": 0,
            "lines": [
                {"n": 1, "at_ms": 12, "level": "warning", "text": "boot 3 after brownout"}
            ],
        },
    ),
    "updateOffer": _OFFER,
    "updateReport": _of(
        UpdateReport,
        "How far an update is",
        {
            "rollout": _ID,
            "state": "rolled_back",
            "version": "0.1.0",
            "build": 1,
            "reason": "no_broker",
        },
    ),
    **APP_MESSAGES,
    "stage": _json(
        "A live stage",
        _STAGE,
        {
            "schema_version": 1,
            "t": "2026-11-21T22:45:30Z",
            "stream": _STREAM,
            "seq": 17,
            "stage": "light",
            "probability": {"wake": 0.08, "light": 0.71, "deep": 0.15, "rem": 0.06},
            "hr_bpm": 57.4,
            "rr_bpm": 13.2,
            "in_bed": True,
            "quality": 1.0,
            "model": "stager@20261122-51fbb6d0",
        },
    ),
    "alert": _json(
        "A transition of an alert",
        _ALERT,
        {
            "id": 1042,
            "alert": 511,
            "rule": "silent",
            "state": "raised",
            "event_type": "silent",
            "at": "2026-11-21T22:45:30+00:00",
            "message": "bedroom has not been heard of for 10 minutes. What it measures "
            "meanwhile stays in its flash, and comes when it is back.",
            "details": {"value": 612, "threshold": 600, "unit": "s"},
        },
    ),
    "night": _json("A device's last night", nights.SCHEMA, nights.EXAMPLE),
}
