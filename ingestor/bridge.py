"""From messages to frames: what arrives is checked, and what is wrong says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from noctis.epoch import decode_frames
from noctis.errors import FrameError, IdentityError, TopicError
from noctis.frames import MAX_SLOTS, OVERHEAD
from noctis.identity import DeviceId
from noctis.slot import SLOT
from noctis.storage.ingest import Received
from noctis.topics import UpTopic, parse_up, shard_of

__all__ = ["Letter", "Rejection", "open_letters", "read"]

LONGEST: Final = OVERHEAD + SLOT * MAX_SLOTS
KEPT: Final = 1024
"""Bytes kept of a payload that is too long to be a frame."""

_SENDER: Final = slice(4, 6)
_SHARD: Final = 3
_LEVELS: Final = 7


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a message is no frame; ``reason`` is one short word."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A message whose topic was read; ``device`` is None where the topic names none."""

    topic: str
    payload: bytes
    device: DeviceId | None
    backlog: bool = False
    rejection: Rejection | None = None

    @property
    def epochs(self) -> int:
        """The number of epochs that its length speaks of."""
        return max(0, len(self.payload) - OVERHEAD) // SLOT


def read(topic: str, payload: bytes) -> Letter:
    """Return the letter of a message; never raises, whatever was sent."""
    if len(payload) > LONGEST:
        detail = f"{len(payload)} bytes; a frame has at most {LONGEST}"
        rejection = Rejection("length", detail)
        return Letter(topic, payload[:KEPT], _sender(topic), rejection=rejection)
    try:
        sent = _parse(topic)
    except TopicError as error:
        sender = _sender(topic)
        reason = "topic" if sender is None or _in_its_shard(topic, sender) else "shard"
        rejection = Rejection(reason, str(error))
        return Letter(topic, payload, sender, rejection=rejection)
    if sent.channel not in {"epochs", "backlog"}:
        rejection = Rejection("topic", f"channel {sent.channel!r} carries no frames")
        return Letter(topic, payload, sent.device, rejection=rejection)
    return Letter(topic, payload, sent.device, backlog=sent.channel == "backlog")


def open_letters(letters: Sequence[Letter]) -> list[Received | Rejection]:
    """Return for each letter its frame, or why there is none; all are decoded in one pass."""
    opened: list[Received | Rejection] = []
    frames = iter(decode_frames([it.payload for it in letters if it.rejection is None]))
    for letter in letters:
        if letter.rejection is not None or letter.device is None:
            opened.append(letter.rejection or Rejection("topic", "no sender"))
            continue
        frame = next(frames)
        if isinstance(frame, FrameError):
            opened.append(Rejection(frame.reason, frame.detail))
        else:
            opened.append(Received(letter.device, frame, backlog=letter.backlog))
    return opened


@lru_cache(maxsize=1 << 16)
def _parse(topic: str) -> UpTopic:
    """Read a topic that is right once: a device says the same one all night."""
    return parse_up(topic)


def _sender(topic: str) -> DeviceId | None:
    try:
        return DeviceId(*topic.split("/")[_SENDER])
    except (IdentityError, TypeError):
        return None


def _in_its_shard(topic: str, sender: DeviceId) -> bool:
    parts = topic.split("/")
    return len(parts) != _LEVELS or parts[_SHARD] == str(shard_of(sender))
