"""What an MQTT session is made of: how to reach the broker, messages, errors."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple, Self

from noctis.errors import NoctisError

__all__ = [
    "Address",
    "BrokerError",
    "ConnectionLostError",
    "Handler",
    "Link",
    "Message",
    "Receiver",
    "Will",
]


class BrokerError(NoctisError):
    """The MQTT broker refused, or did not answer in time."""


class ConnectionLostError(BrokerError):
    """The connection ended before the broker confirmed."""


class Message(NamedTuple):
    """A message as it arrived; ``generation`` counts the session's connections from 1.

    ``mid`` is the packet id that acknowledges it, 0 with QoS 0; ``at`` is when it was read, in
    seconds of the monotonic clock. (A tuple: thousands are made in a second.)
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    generation: int
    mid: int = 0
    at: float = 0.0


Receiver = Callable[[Sequence[Message]], None]
"""Takes what one read of the socket brought; acknowledges it later, by the session."""

Handler = Callable[[Message], Awaitable[None]]
"""Takes a message; when it returns, the message is acknowledged to the broker.

One that raises is logged, and acknowledged too: a poison message must not stall the window.
"""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the connection ends without a farewell."""

    topic: str
    payload: bytes
    retain: bool = True


class Address(NamedTuple):
    """Where a broker, or a node of one, listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Link:
    """How to reach the broker, as whom, and with which session.

    ``receive_maximum`` bounds the messages in hand (by the broker's own limit where MQTT is
    3.1.1). ``session_expiry_s`` is how long the broker keeps the session of a client that is
    away; 0: not at all. ``others`` are further nodes of the same broker, tried in turn.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    ca: Path | None = None
    version: Literal[4, 5] = 5
    keepalive_s: int = 10
    receive_maximum: int = 5000
    session_expiry_s: int = 0
    will: Will | None = None
    others: tuple[Address, ...] = ()

    @property
    def subscribed_qos(self) -> int:
        """The QoS of what is subscribed: 1, but 0 with MQTT 3.1.1 and no kept session.

        A RabbitMQ cluster would keep its queue on one node, and lock the account out while
        that node is away.
        """
        return 0 if self.version == 4 and not self.session_expiry_s else 1  # noqa: PLR2004

    def at(self, connection: int) -> Self:
        """Return the link of connection number 1, 2, …: each goes to the next node."""
        nodes = (Address(self.host, self.port), *self.others)
        host, port = nodes[(connection - 1) % len(nodes)]
        return replace(self, host=host, port=port)
