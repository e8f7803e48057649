"""From messages to frames: what arrives is checked, and what is wrong says why."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from noctis.errors import IdentityError, TopicError
from noctis.frames import LONGEST, OVERHEAD, decode_all
from noctis.identity import DeviceId
from noctis.mqtt import Message
from noctis.slot import SLOT
from noctis.storage.admission import Batch
from noctis.topics import parse_up, shard_of

__all__ = ["Opened", "Rejection", "epochs_in", "open_messages", "sender_of", "shortened"]

KEPT: Final = 1024
"""Bytes kept of a payload that is too long to be a frame; still too long to be one."""

_SENDER: Final = slice(4, 6)
_SHARD: Final = 3
_LEVELS: Final = 7


class Rejection(NamedTuple):
    """Why a message is no frame; ``reason`` is one short word."""

    reason: str
    detail: str


class Sender(NamedTuple):
    """What a topic says; ``device`` is None where it names none."""

    device: DeviceId | None
    backlog: bool = False
    rejection: Rejection | None = None


class Opened(NamedTuple):
    """What messages held: frames, the place of each one's message, and why others hold none."""

    batch: Batch
    places: Sequence[int]
    rejections: dict[int, Rejection]


def epochs_in(payload: bytes) -> int:
    """Return the number of epochs that a payload's length speaks of."""
    return max(0, len(payload) - OVERHEAD) // SLOT


def shortened(message: Message) -> Message:
    """Return a message without the bytes that nobody needs of one that holds no frame."""
    if len(message.payload) <= LONGEST:
        return message
    return message._replace(payload=message.payload[:KEPT])


def open_messages(messages: Sequence[Message]) -> Opened:
    """Decode messages in one pass; never raises, whatever was sent."""
    senders = [sender_of(it.topic) for it in messages]
    rejections = {
        index: rejection
        for index, (message, sender) in enumerate(zip(messages, senders, strict=True))
        if (rejection := _too_long(message) or sender.rejection)
    }
    places = [n for n in range(len(messages)) if n not in rejections]
    frames, errors = decode_all([messages[n].payload for n in places])
    for at, error in errors.items():
        rejections[places[at]] = Rejection(error.reason, error.detail)
    if errors:
        places = [n for at, n in enumerate(places) if at not in errors]
    devices = [device for n in places if (device := senders[n].device) is not None]
    backlog = np.array([senders[n].backlog for n in places], np.bool_)
    return Opened(Batch(devices, frames, backlog), places, rejections)


@lru_cache(maxsize=1 << 16)
def sender_of(topic: str) -> Sender:
    """Return what a topic says; read once, since a device says the same all night."""
    try:
        sent = parse_up(topic)
    except TopicError as error:
        device = _named(topic)
        reason = "topic" if device is None or _in_its_shard(topic, device) else "shard"
        return Sender(device, rejection=Rejection(reason, str(error)))
    if sent.channel not in {"epochs", "backlog"}:
        rejection = Rejection("topic", f"channel {sent.channel!r} carries no frames")
        return Sender(sent.device, rejection=rejection)
    return Sender(sent.device, sent.channel == "backlog")


def _too_long(message: Message) -> Rejection | None:
    if len(message.payload) <= LONGEST:
        return None
    return Rejection("length", f"a frame has at most {LONGEST} bytes")


def _named(topic: str) -> DeviceId | None:
    try:
        return DeviceId(*topic.split("/")[_SENDER])
    except (IdentityError, TypeError):
        return None


def _in_its_shard(topic: str, sender: DeviceId) -> bool:
    parts = topic.split("/")
    return len(parts) != _LEVELS or parts[_SHARD] == str(shard_of(sender))
