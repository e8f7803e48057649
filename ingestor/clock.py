"""The time for devices that ask: answered on the spot, from nothing but the request."""

from collections.abc import Callable
from typing import Final

from ingestor import metrics
from noctis import topics
from noctis.clock import now_ns
from noctis.errors import FrameError, TopicError
from noctis.time_exchange import TimeReply, decode_request, encode_reply

__all__ = ["CHANNEL", "answer", "asks"]

CHANNEL: Final = "time"


def asks(topic: str) -> bool:
    """Tell whether a message on this topic wants the time."""
    return topic.endswith(f"/{CHANNEL}")


def answer(
    topic: str, payload: bytes, *, now_ns: Callable[[], int] = now_ns
) -> tuple[str, bytes] | None:
    """Return topic and payload of the reply; None, and a count, for what is no request."""
    try:
        device = topics.parse_up(topic).device
        sent = decode_request(payload)
    except (TopicError, FrameError) as error:
        reason = error.reason if isinstance(error, FrameError) else "topic"
        metrics.TIME_REJECTED.labels(reason).inc()
        return None
    metrics.TIME_REQUESTS.inc()
    return topics.time(device), encode_reply(TimeReply(sent, now_ns() // 1_000_000))
