"""Devices that publish live, an open loop, and note when each epoch was acknowledged."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from noctis import topics
from noctis.ack import STORED, decode_ack
from noctis.epoch import Frame, Run, encode_frame
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.mqtt import Link, Message, Session

__all__ = ["GRACE_S", "Live", "answered", "publishing"]

GRACE_S: Final = 20.0
CODES: Final = np.full((1, COUNT), 7, np.int16)


@dataclass(slots=True)
class Live:
    """A device that publishes one epoch at a time and notes when each was acknowledged."""

    id: DeviceId
    stream: int = field(default_factory=lambda: secrets.randbits(64))
    sent: dict[int, float] = field(default_factory=dict)
    acked: dict[int, float] = field(default_factory=dict)
    run: Run = field(default_factory=lambda: Run(0, 0, 1, 0, int(time.time())))

    async def hear(self, message: Message) -> None:
        """Take an acknowledgement."""
        now = time.time()
        for part in decode_ack(message.payload).ranges:
            if part.code == STORED:
                for seq in range(part.first, part.first + part.count):
                    self.acked.setdefault(seq, now)

    async def publish(self, session: Session) -> None:
        """Publish the next epoch."""
        seq = len(self.sent) + 1
        frame = Frame(self.stream, seq, 0, self.run, CODES, np.ones(1, np.bool_))
        self.sent[seq] = time.time()
        await session.publish(topics.up(self.id, "epochs"), encode_frame(frame))


@asynccontextmanager
async def publishing(
    beds: Sequence[Live], address: tuple[str, int], passwords: dict[str, str], pace_s: float
) -> AsyncIterator[None]:
    """Let the devices publish, spread over the pace, until the block ends."""

    async def live(bed: Live, delay_s: float) -> None:
        session = Session(
            Link(*address, str(bed.id), passwords[str(bed.id)], receive_maximum=100),
            subscriptions=[topics.ack(bed.id)],
            handler=bed.hear,
        )
        running = asyncio.ensure_future(session.run())
        await session.wait_ready()
        due = asyncio.get_running_loop().time() + delay_s
        try:
            while not stopping.is_set():
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                await bed.publish(session)
                due += pace_s
            await answered([bed])
        finally:
            await session.stop(within_s=5.0)
            await running

    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for index, bed in enumerate(beds):
            group.create_task(live(bed, pace_s * index / len(beds)))
        yield
        stopping.set()


async def answered(beds: Sequence[Live]) -> None:
    """Wait until everything is acknowledged, but not for ever."""
    deadline = time.time() + GRACE_S
    while time.time() < deadline and any(  # noqa: ASYNC110 - what we wait for has no event
        one.sent.keys() - one.acked.keys() for one in beds
    ):
        await asyncio.sleep(0.05)
