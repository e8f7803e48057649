"""Live stages out of a stream that breaks: each once, and none left out."""

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from noctis.client.errors import AWAY, ClientError, error_of, retry_after
from noctis.client.events import Event, Events
from noctis.pauses import jittered

__all__ = ["PATH", "QUIET_S", "Feed", "LiveStage"]

PATH: Final = "/v1/stages:stream"
QUIET_S: Final = 45.0
"""Three times as long as a stream that stands says nothing."""
REMEMBERED: Final = 20_000
FIRST_S: Final = 0.5
LAST_S: Final = 30.0
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, *AWAY)


@dataclass(frozen=True, slots=True)
class LiveStage:
    """What the 30 s from ``at`` on were judged to be; (device, stream, seq) names them.

    ``at`` is None while the device knows no time. ``stage``: ``wake``, ``light``, ``deep`` or
    ``rem``, None where nobody was in bed or too little was valid. Heart rate and breathing are
    per minute, None where they were not measured or are told afterwards.
    """

    device: str
    at: datetime | None
    stream: str
    seq: int
    stage: str | None
    probability: Mapping[str, float] | None
    heart_rate: float | None
    breathing: float | None
    model: str | None


class Feed:
    """One listener's place in the stages of a device, or of all, over many connections.

    It begins with the newest stage of each device, or behind the moment ``since``, 12 hours
    ago at most.
    """

    def __init__(self, device: str | None, since: datetime | None) -> None:
        self.params = {} if device is None else {"device": device}
        self._last = "" if since is None else _place(since.timestamp())
        self._known: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._events = Events()
        self._failures = 0

    def headers(self) -> dict[str, str]:
        """Return what tells the facade where to go on; whoever comes back goes on."""
        self._events = Events()
        place = self._last
        self._last = place or _place(time.time())
        return {"Last-Event-ID": place} if place else {}

    def take(self, line: str) -> LiveStage | None:
        """Take a line of the stream; return the stage that it ends, if that is a new one."""
        event = self._events.take(line)
        if event is None or event.name != "stage":
            return None
        self._failures = 0
        self._last = event.id or self._last
        return self._new(event)

    def pause(self, outcome: httpx.Response | httpx.TransportError | None) -> float:
        """Return the seconds until the next connection; None: a good one has ended.

        Raises ClientError for a response after which none would be better.
        """
        asked_s = 0.0
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in _BUSY:
                raise error_of(outcome)
            asked_s = retry_after(outcome) or 0.0
        self._failures += 1
        return max(asked_s, jittered(self._failures - 1, first_s=FIRST_S, last_s=LAST_S))

    def _new(self, event: Event) -> LiveStage | None:
        try:
            stage = _stage(json.loads(event.data))
        except (ValueError, KeyError, TypeError) as error:
            message = f"the facade tells a stage that cannot be read: {event.data[:80]!r}"
            raise ClientError(message, hint="a newer client may know it") from error
        key = (stage.device, stage.stream, stage.seq)
        if key in self._known:
            return None
        self._known[key] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return stage


def _place(at_s: float) -> str:
    """Return the name of an event at that moment which no device ever tells."""
    return f"{max(0, int(at_s))}-{'0' * 16}-0"


def _stage(told: Mapping[str, Any]) -> LiveStage:
    return LiveStage(
        device=told["device"],
        at=None if told["t"] is None else datetime.fromisoformat(told["t"]),
        stream=told["stream"],
        seq=told["seq"],
        stage=told["stage"],
        probability=told.get("probability"),
        heart_rate=told.get("hr_bpm"),
        breathing=told.get("rr_bpm"),
        model=told.get("model"),
    )
