"""Messages for apps that are made of what the services send: statuses, and discovery."""

import json
from collections.abc import Mapping
from typing import Any, Final

from companion import discovery
from companion.announcing import OFFLINE, ONLINE, mirrored
from noctis import topics
from noctis.identity import DeviceId
from noctis.status import Status

__all__ = ["APP_MESSAGES"]

_JSON: Final = "application/json"
_BED: Final = DeviceId("home", "bed")
_STATUS: Final = Status(
    state="online",
    stream="9f0c1d2e3a4b5c6d",
    oldest_seq=0,
    next_seq=41,
    backlog=3,
    firmware="noctis-device 0.1.0",
    clock="sntp",
    radar="ok",
    radar_family="mr60bha2",
)
_MIRROR: Final[dict[str, Any]] = json.loads(mirrored(_STATUS))
_MEMBERS: Final[dict[str, Any]] = Status.model_json_schema()["properties"]
_HERE: Final = {
    "type": "object",
    "required": ["schema_version", "state"],
    "properties": {"schema_version": {"const": 1}, "state": {"enum": ["online", "offline"]}},
}
_ENTITY: Final = {
    "type": "object",
    "required": ["p", "uniq_id", "stat_t"],
    "properties": {"p": {"enum": ["sensor", "binary_sensor", "event"]}},
}
_DISCOVERY: Final = {
    "type": "object",
    "required": ["dev", "o", "avty", "avty_mode", "cmps"],
    "properties": {"cmps": {"type": "object", "additionalProperties": _ENTITY}},
}


def _message(told: str, schema: Mapping[str, Any], *examples: bytes) -> dict[str, Any]:
    return {
        "contentType": _JSON,
        "summary": told,
        "payload": dict(schema),
        "examples": [{"payload": json.loads(it)} for it in examples],
    }


APP_MESSAGES: Final[Mapping[str, dict[str, Any]]] = {
    "mirroredStatus": _message(
        "How a device is, without what only the platform needs",
        {
            "type": "object",
            "required": list(_MIRROR),
            "properties": {
                "schema_version": {"const": 1},
                **{name: _MEMBERS[name] for name in _MIRROR if name in _MEMBERS},
            },
        },
        mirrored(_STATUS),
    ),
    "tenantStatus": _message("Whether the platform is there", _HERE, ONLINE, OFFLINE),
    "serviceStatus": _message("Whether a companion is there", _HERE, ONLINE, OFFLINE),
    "discovery": _message(
        "Home Assistant's device discovery",
        _DISCOVERY,
        discovery.payload(_BED, topics.service_status("svc-companion-0")),
    ),
}
