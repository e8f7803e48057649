"""What Home Assistant is told of a device: one message from which it makes all entities.

Source: Home Assistant's documentation of MQTT device discovery (2024.11 and later). Its own
abbreviations keep the message short. Nothing in it depends on anything but the device's name
and its companion's, so that it is the same bytes for ever.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from noctis import topics
from noctis.identity import DeviceId
from noctis.stages import LABELS

__all__ = ["ALERTS", "STALE_S", "payload"]

STALE_S: Final = 120
"""After so long without another one, a live value is none; the broker forgets it then too."""

ALERTS: Final = tuple(
    f"{rule}{change}"
    for rule in ("no_breathing", "silent", "missing_epochs", "drift")
    for change in ("", "_cleared", "_acknowledged")
)
_MEASURED: Final = {"stat_cla": "measurement"}
_DIAGNOSTIC: Final = {"ent_cat": "diagnostic"}
_MINUTES: Final = {
    "dev_cla": "duration",
    "unit_of_meas": "min",
    **_MEASURED,
    "sug_dsp_prc": 0,
}
_PERCENT: Final = {"unit_of_meas": "%", **_MEASURED, "sug_dsp_prc": 0}

_LIVE: Final[Mapping[str, Mapping[str, Any]]] = {
    "stage": {
        "p": "sensor",
        "name": "Stage",
        "dev_cla": "enum",
        "ops": list(LABELS),
        "val_tpl": "{{ value_json.stage }}",
        "ic": "mdi:sleep",
    },
    "heart_rate": {
        "p": "sensor",
        "name": "Heart rate",
        "unit_of_meas": "bpm",
        **_MEASURED,
        "sug_dsp_prc": 0,
        "val_tpl": "{{ value_json.hr_bpm }}",
        "ic": "mdi:heart-pulse",
    },
    "breathing": {
        "p": "sensor",
        "name": "Breathing",
        "unit_of_meas": "br/min",
        **_MEASURED,
        "sug_dsp_prc": 1,
        "val_tpl": "{{ value_json.rr_bpm }}",
        "ic": "mdi:lungs",
    },
    "in_bed": {
        "p": "binary_sensor",
        "name": "In bed",
        "dev_cla": "occupancy",
        "val_tpl": "{{ 'ON' if value_json.in_bed else 'OFF' }}",
        "ic": "mdi:bed",
    },
    "quality": {
        "p": "sensor",
        "name": "Signal quality",
        **_PERCENT,
        "val_tpl": "{{ None if value_json.quality is none else "
        "(value_json.quality * 100) | round(0) }}",
        "ic": "mdi:signal",
    },
}
_NIGHT: Final[Mapping[str, Mapping[str, Any]]] = {
    "asleep": {"name": "Last night asleep", **_MINUTES, "ic": "mdi:power-sleep"},
    "deep": {"name": "Last night deep", **_MINUTES},
    "rem": {"name": "Last night REM", **_MINUTES},
    "light": {"name": "Last night light", **_MINUTES},
    "awake": {"name": "Last night awake", **_MINUTES},
    "latency": {"name": "Last night until asleep", **_MINUTES},
    "efficiency": {"name": "Last night efficiency", **_PERCENT, "ic": "mdi:percent"},
    "awakenings": {"name": "Last night awakenings", **_MEASURED, "ic": "mdi:counter"},
}
_FIGURES: Final = {
    "asleep": "tst_min",
    "deep": "deep_min",
    "rem": "rem_min",
    "light": "light_min",
    "awake": "waso_min",
    "latency": "sol_min",
    "efficiency": "efficiency_percent",
    "awakenings": "awakenings",
}
_TIMES: Final = {"began": "started_at", "ended": "ended_at"}
_STATUS: Final[Mapping[str, Mapping[str, Any]]] = {
    "backlog": {
        "name": "Epochs to send",
        **_MEASURED,
        **_DIAGNOSTIC,
        "val_tpl": "{{ value_json.backlog }}",
        "ic": "mdi:tray-full",
    },
    "firmware": {
        "name": "Firmware",
        **_DIAGNOSTIC,
        "val_tpl": "{{ value_json.firmware }}",
        "ic": "mdi:chip",
    },
    "radar": {
        "name": "Radar",
        **_DIAGNOSTIC,
        "dev_cla": "enum",
        "ops": ["silent", "ok", "frozen", "presence_stuck"],
        "val_tpl": "{{ value_json.radar or None }}",
        "ic": "mdi:radar",
    },
    "rssi": {
        "name": "Wi-Fi signal",
        **_DIAGNOSTIC,
        **_MEASURED,
        "dev_cla": "signal_strength",
        "unit_of_meas": "dBm",
        "val_tpl": "{{ value_json.rssi }}",
    },
}


def payload(device: DeviceId, service: str) -> bytes:
    """Return the message on ``topics.discovery(device)``, as JSON.

    ``service``: the topic on which whoever serves the device tells that it is there.
    """
    platform = {"t": service, "val_tpl": "{{ value_json.state }}"}
    status = topics.device_status(device)
    own = {
        "t": status,
        "val_tpl": "{{ 'offline' if value_json.state == 'lost' else 'online' }}",
    }
    document = {
        "dev": {
            "ids": [f"noctis_{device.tenant}_{device.device}"],
            "name": f"Noctis {device.device}",
            "mf": "Noctis",
            "mdl": "Bedside radar",
        },
        "o": {"name": "Noctis"},
        "qos": 1,
        "avty": [platform, own],
        "avty_mode": "all",
        "cmps": {
            key: {**entity, **_identity(device, key, entity)}
            for key, entity in _entities(device, [platform])
        },
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _identity(device: DeviceId, key: str, entity: Mapping[str, Any]) -> dict[str, str]:
    """Return an entity's ids: the one for ever, and the one that people see at first.

    Home Assistant before 2025.10 does not know the latter, and makes the same of the names.
    """
    words = re.findall("[a-z0-9]+", f"noctis {device.device} {entity['name']}".lower())
    return {
        "uniq_id": f"noctis_{device.tenant}_{device.device}_{key}",
        "default_entity_id": f"{entity['p']}.{'_'.join(words)}",
    }


def _entities(
    device: DeviceId, platform: list[dict[str, str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each entity by its key.

    ``platform``: the availability of what is worth telling of a device that is away.
    """
    stage, status = topics.stage(device), topics.device_status(device)
    night = topics.night(device)
    for key, entity in _LIVE.items():
        yield key, {**entity, "stat_t": stage, "exp_aft": STALE_S}
    for key, figure in _FIGURES.items():
        template = f"{{{{ value_json.figures.{figure} }}}}"
        told = {"p": "sensor", **_NIGHT[key], "stat_t": night, "val_tpl": template}
        yield f"night_{key}", {**told, "avty": platform}
    for key, member in _TIMES.items():
        told = {"p": "sensor", "name": f"Last night {key}", "dev_cla": "timestamp"}
        template = f"{{{{ value_json.{member} }}}}"
        yield f"night_{key}", {**told, "stat_t": night, "val_tpl": template, "avty": platform}
    for key, entity in _STATUS.items():
        yield key, {"p": "sensor", **entity, "stat_t": status}
    yield "connection", {**_CONNECTION, "stat_t": status, "avty": platform}
    yield "alert", {**_ALERT, "stat_t": topics.alert(device), "avty": platform}


_CONNECTION: Final = {
    "p": "binary_sensor",
    "name": "Connection",
    "dev_cla": "connectivity",
    **_DIAGNOSTIC,
    "val_tpl": "{{ 'OFF' if value_json.state == 'lost' else 'ON' }}",
}
_ALERT: Final = {
    "p": "event",
    "name": "Alert",
    "evt_typ": list(ALERTS),
    "ic": "mdi:bell-alert",
}
