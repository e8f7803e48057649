"""The document, put together."""

from importlib.metadata import version
from typing import Any, Final

import yaml
from typing_extensions import override

from scripts.asyncapi.channels import CHANNELS, Channel
from scripts.asyncapi.payloads import JSON, MESSAGES

__all__ = ["as_text", "document"]

_HEAD: Final = "# Made by scripts/generate_asyncapi.py of the source, do not edit.\n"
_ROLES: Final = {
    "device": "A device; its MQTT user and client id are `<tenant>/<device>`.",
    "app": "A phone, a lamp, a program of yours: `<app>@<tenant>`, one account each.",
    "ingestor": "Stores epochs: `svc-ingestor-<n>`.",
    "live": "Stages epochs as they come: `svc-live-<n>`.",
    "companion": "Commands, configurations, updates: `svc-companion-<n>`.",
    "api": "The REST facade, for its stream of stages: `svc-api-<n>`.",
}
_PLACES: Final = {
    "shard": "CRC-32 of `<tenant>/<device>` modulo 64, in decimal, for ever.",
    "tenant": "A tenant, `[a-z0-9-]{1,32}`; it never begins with `svc-`.",
    "device": "A device of the tenant, `[a-z0-9-]{1,32}`.",
    "service": "A service's account, `svc-companion-<n>`.",
}
_TOLD: Final = """\
What devices, services and apps say to each other over MQTT; [protocol.md](protocol.md) tells
the rules. The document speaks of all of them: an operation's tag is whose it is.

The broker denies by default. A device writes below its own `up` and reads below its own
`down`, an app reads below `noctis/v1/app/<tenant>/` and, for Home Assistant, its tenant's
discovery, each service the topics named here. MQTT
3.1.1 is enough; MQTT 5 adds the expiry of live stages. Members of JSON that are not known are
passed over; devices read commands and configurations strictly.
"""
_PASSWORD: Final = {"$ref": "#/components/securitySchemes/password"}
_CERTIFICATE: Final = {"$ref": "#/components/securitySchemes/certificate"}


def document() -> dict[str, Any]:
    """Return the description of the topics."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Noctis over MQTT",
            "version": version("noctis"),
            "description": _TOLD,
            "contact": {"name": "whoever runs this platform"},
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
            "tags": [{"name": name, "description": told} for name, told in _ROLES.items()],
        },
        "defaultContentType": JSON,
        "servers": _servers(),
        "channels": {it.name: _channel(it) for it in CHANNELS},
        "operations": dict(
            operation
            for channel in CHANNELS
            for operation in (
                _operation(channel, channel.sender, "send"),
                *(_operation(channel, it, "receive") for it in channel.hearers),
            )
        ),
        "components": {
            "messages": {name: {"name": name, **told} for name, told in MESSAGES.items()},
            "parameters": {name: {"description": told} for name, told in _PLACES.items()},
            "securitySchemes": {
                "password": {
                    "type": "userPassword",
                    "description": "An account's name and password; the name is the client id.",
                },
                "certificate": {
                    "type": "X509",
                    "description": "A device's certificate of the platform's CA, on the "
                    "listener for devices ([tls.md](tls.md)).",
                },
            },
        },
    }


def _servers() -> dict[str, Any]:
    ports = {"port": {"default": "8883", "description": "as the operator chose it"}}
    host = {"host": {"default": "noctis.local", "description": "the platform's address"}}
    return {
        "home": {
            "host": "{host}:{port}",
            "protocol": "secure-mqtt",
            "protocolVersion": "5",
            "description": "TLS, for devices and apps: `noctis up --listen ADDRESS`, compose.",
            "variables": {**host, **ports},
            "security": [_PASSWORD, _CERTIFICATE],
        },
        "loopback": {
            "host": "127.0.0.1:1883",
            "protocol": "mqtt",
            "protocolVersion": "5",
            "description": "For the services beside the broker; `var/run.json` has the port.",
            "security": [_PASSWORD],
        },
    }


def _channel(it: Channel) -> dict[str, Any]:
    places = [name for name in _PLACES if f"{{{name}}}" in it.address]
    return {
        "address": it.address,
        "description": it.told,
        "messages": {it.message: {"$ref": f"#/components/messages/{it.message}"}},
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in places},
    }


def _operation(it: Channel, role: str, action: str) -> tuple[str, dict[str, Any]]:
    verb = "Sends" if action == "send" else "Hears"
    binding: dict[str, Any] = {"qos": it.qos, "bindingVersion": "0.2.0"}
    if action == "send":
        binding["retain"] = it.retained
    return f"{role}{verb}{it.name[0].upper()}{it.name[1:]}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{it.name}"},
        "summary": it.told,
        "tags": [{"name": role}],
        "bindings": {"mqtt": binding},
        "messages": [{"$ref": f"#/channels/{it.name}/messages/{it.message}"}],
    }


class _Plain(yaml.SafeDumper):
    """Writes no anchors, and texts of several lines as they are."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if text.endswith("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)


def as_text(made: dict[str, Any]) -> str:
    """Return a document as its file holds it."""
    text = yaml.dump(made, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=96)
    return _HEAD + text
