"""HTTP load over kept connections: as much as goes, or at a rate that waits for nobody.

A plain client on asyncio streams: a full one takes longer for a request than what is measured.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

__all__ = ["Connection", "Figures", "Make", "closed", "opened"]

DEADLINE_S: Final = 30.0
Make = Callable[[], bytes]
"""Returns the bytes of the next request."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a stretch of load came to; milliseconds, from when a request was to be sent."""

    per_second: float
    count: int
    p50: float
    p95: float
    p99: float
    longest: float
    statuses: dict[str, int]

    @classmethod
    def of(cls, seconds: float, waits: list[float], statuses: Counter[int]) -> Self:
        """Return the figures of waits in seconds."""
        marks = np.percentile(waits or [0.0], (50, 95, 99, 100)) * 1000
        p50, p95, p99, longest = np.round(marks, 2).tolist()
        told = {str(status): count for status, count in sorted(statuses.items())}
        rate = round(len(waits) / seconds, 1)
        return cls(rate, len(waits), p50, p95, p99, longest, told)


class Connection:
    """A kept connection to a server on this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> int:
        """Return the status of the answer, once all of it is there."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        await self._reader.readexactly(length)
        return int(head[9:12])

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def closed(port: int, make: Make, *, connections: int, seconds: float) -> Figures:
    """Let so many connections ask, each again as soon as it has its answer."""
    waits: list[float] = []
    statuses = Counter[int]()
    end = time.perf_counter() + seconds

    async def ask() -> None:
        connection = await Connection.to(port)
        while (begin := time.perf_counter()) < end:
            statuses[await connection.ask(make())] += 1
            waits.append(time.perf_counter() - begin)
        connection.close()

    async with asyncio.timeout(seconds + DEADLINE_S), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(ask())
    return Figures.of(seconds, waits, statuses)


async def opened(
    port: int, make: Make, *, rate: float, connections: int, seconds: float
) -> Figures:
    """Ask at a rate, whether or not the answers keep up; a late start counts as waiting."""
    waits: list[float] = []
    statuses = Counter[int]()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await Connection.to(port))

    async def ask(due: float) -> None:
        connection = await free.get()
        statuses[await connection.ask(make())] += 1
        waits.append(time.perf_counter() - due)
        free.put_nowait(connection)

    begin = time.perf_counter()
    async with asyncio.timeout(seconds + DEADLINE_S), asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(due))
    while not free.empty():
        free.get_nowait().close()
    return Figures.of(max(seconds, time.perf_counter() - begin), waits, statuses)
