"""The description of the MQTT topics, held against messages."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from noctis.ack import decode_ack
from noctis.epoch import decode_frame
from noctis.time_exchange import decode_reply, decode_request

__all__ = ["Topics"]

_BINARY: Final = {
    "frame": decode_frame,
    "acknowledgement": decode_ack,
    "timeRequest": decode_request,
    "timeReply": decode_reply,
}


class Topics:
    """``docs/asyncapi.yaml``, as who reads it understands it."""

    def __init__(self) -> None:
        path = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"
        self.document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        self._patterns = {
            name: re.compile(re.sub(r"\\{\w+\\}", "[a-z0-9-]+", re.escape(it["address"])))
            for name, it in self.document["channels"].items()
        }

    def channel_of(self, topic: str) -> str:
        """Return the channel of a topic; fail where there is none, or more than one."""
        found = [name for name, it in self._patterns.items() if it.fullmatch(topic)]
        assert len(found) == 1, f"{topic}: {found}"
        return found[0]

    def binding(self, channel: str) -> Mapping[str, Any]:
        """Return how a channel's messages are sent."""
        reference = {"$ref": f"#/channels/{channel}"}
        [sent] = [
            it["bindings"]["mqtt"]
            for it in self.document["operations"].values()
            if it["channel"] == reference and it["action"] == "send"
        ]
        binding: Mapping[str, Any] = sent
        return binding

    def check(self, channel: str, payload: bytes) -> None:
        """Fail where a payload is none of the channel's message."""
        [name] = self.document["channels"][channel]["messages"]
        message = self.document["components"]["messages"][name]
        if name in _BINARY:
            _BINARY[name](payload)
            return
        text = payload.decode()
        value = json.loads(text) if message["contentType"] == "application/json" else text
        assert complaints(message["payload"], value) == [], (channel, payload)


def complaints(schema: Mapping[str, Any], value: object) -> list[str]:
    """Return what a schema has to say against a value."""
    checker = Draft202012Validator(schema, format_checker=FormatChecker())
    return [f"{list(it.path)}: {it.message}" for it in checker.iter_errors(value)]
