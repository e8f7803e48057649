import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

import pytest

from ingestor.batch import FRAMES, IN_FLIGHT, PACE_S, Batcher, Outcome
from noctis.errors import StorageError, StorageUnavailableError, StorageUnreachableError
from noctis.identity import DeviceId
from noctis.mqtt import Message

DEVICE = DeviceId("t1", "d1")
AWAY, REFUSED = StorageUnavailableError("away"), StorageError("refused")


class MemoryStore:
    """A store that can be held, be away, and choke on poison, as the database can."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.condemned: list[bytes] = []
        self.failures = 0
        self.open = asyncio.Event()
        self.open.set()
        self.aside_works = True
        self.most = FRAMES
        self.away = AWAY

    async def commit(self, messages: Sequence[Message]) -> Sequence[Outcome | None]:
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise self.away
        if len(messages) > self.most:
            raise TimeoutError
        if any(it.payload == b"poison" for it in messages):
            raise REFUSED
        self.batches.append([it.payload for it in messages])
        return [self._outcome(it, 0) for it in messages]

    async def condemn(self, message: Message, error: Exception) -> Outcome | None:
        if not self.aside_works:
            raise REFUSED from error
        self.condemned.append(message.payload)
        return None

    def _outcome(self, message: Message, code: int) -> Outcome:
        return Outcome(DEVICE, 7, int(message.payload), 1, code)


class Bench:
    """A batcher at work, and what it confirmed."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.store = MemoryStore()
        self.confirmed: list[int] = []
        self.settled: list[bytes] = []
        self.batcher = Batcher(self.store, self._done, capacity=capacity)

    def _done(self, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        self.confirmed += [it.first for it in outcomes]
        self.settled += [it.payload for it in messages]

    def send(self, *payloads: bytes, generation: int = 1, qos: int = 1) -> None:
        topic = "noctis/v1/up/1/t1/d1/epochs"
        self.batcher.take(
            [
                Message(topic, it, qos, retain=False, generation=generation, at=monotonic())
                for it in payloads
            ]
        )

    async def occupy(self, *payloads: bytes) -> None:
        """Send a message for each transaction that may run at a time."""
        assert len(payloads) == IN_FLIGHT
        for payload in payloads:
            self.send(payload)
            await asyncio.sleep(2 * PACE_S)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what we wait for has no event
                await asyncio.sleep(0.001)


def at_work(scene: Callable[[Bench], Awaitable[None]], **options: int) -> None:
    async def main() -> None:
        bench = Bench(**options)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            running = group.create_task(bench.batcher.run())
            await scene(bench)
            running.cancel()

    asyncio.run(main())


def test_a_letter_is_settled_only_after_its_commit() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.open.clear()
        bench.send(b"1")
        await asyncio.sleep(0.05)
        assert (bench.settled, bench.confirmed) == ([], [])
        assert bench.batcher.oldest_s() >= 0.05
        bench.store.open.set()
        await bench.until(lambda: bench.settled == [b"1"])
        assert bench.confirmed == [1]
        assert bench.batcher.oldest_s() == 0.0

    at_work(scene)


def test_what_arrives_during_a_commit_makes_up_the_next_batch() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.open.clear()
        await bench.occupy(b"0", b"1")
        for number in range(2, FRAMES + 102):
            bench.send(str(number).encode())
        await asyncio.sleep(0.02)
        bench.store.open.set()
        await bench.until(lambda: len(bench.settled) == FRAMES + 102)
        assert sorted(len(it) for it in bench.store.batches) == [1, 1, 100, FRAMES]
        assert sorted(bench.confirmed) == list(range(FRAMES + 102))

    at_work(scene)


def test_a_batch_that_takes_a_slow_database_too_long_is_stored_in_parts() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.most = 5
        bench.store.open.clear()
        for number in range(41):
            bench.send(str(number).encode())
        await asyncio.sleep(0.05)
        bench.store.open.set()
        await bench.until(lambda: len(bench.settled) == 41)
        assert bench.confirmed == list(range(41))
        stored = [it for batch in bench.store.batches for it in batch]
        assert stored == [str(number).encode() for number in range(41)]

    at_work(scene)


def test_a_batch_waits_as_long_as_the_breaker_says_and_no_longer() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.away = StorageUnreachableError("open", retry_after_s=0.01)
        bench.store.failures = 100
        bench.send(b"1")  # pauses of its own would take minutes
        await bench.until(lambda: bench.settled == [b"1"])
        assert bench.confirmed == [1]

    at_work(scene)


def test_while_the_database_is_away_nothing_is_settled_and_nothing_is_lost() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.failures = 1_000_000
        for number in range(5):
            bench.send(str(number).encode())
        await bench.until(lambda: bench.store.failures <= 999_998)
        assert bench.settled == bench.confirmed == []
        bench.store.failures = 0
        await bench.until(lambda: len(bench.settled) == 5)
        assert bench.store.batches == [[b"0", b"1", b"2", b"3", b"4"]]

    at_work(scene)


def test_poison_is_found_and_put_aside_and_the_rest_is_stored() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.open.clear()
        payloads = [b"poison" if n in {3, 40} else str(n).encode() for n in range(64)]
        for payload in payloads:
            bench.send(payload)
        await asyncio.sleep(0.02)
        bench.store.open.set()
        await bench.until(lambda: len(bench.settled) == 64)
        assert bench.store.condemned == [b"poison", b"poison"]
        assert sorted(bench.confirmed) == [n for n in range(64) if n not in {3, 40}]

    at_work(scene)


def test_where_even_the_dead_letters_fail_nothing_is_settled_until_they_work() -> None:
    async def scene(bench: Bench) -> None:
        bench.store.aside_works = False
        bench.send(b"poison")
        await asyncio.sleep(0.3)
        assert bench.settled == []
        bench.store.aside_works = True
        await bench.until(lambda: bench.settled == [b"poison"])

    at_work(scene)


@pytest.mark.parametrize(("generation", "qos", "dropped"), [(1, 0, 3), (2, 1, 0), (1, 1, None)])
def test_with_no_room_left_only_what_will_come_again_is_let_go(
    generation: int, qos: int, dropped: int | None
) -> None:
    """At QoS 0 the new letter goes, after a reconnect the oldest, at QoS 1 none."""

    async def scene(bench: Bench) -> None:
        bench.store.open.clear()
        await bench.occupy(b"100", b"101")
        for number in range(3):
            bench.send(str(number).encode())
        await asyncio.sleep(0.02)
        bench.send(b"3", generation=generation, qos=qos)
        await asyncio.sleep(0.02)
        assert bench.settled == ([] if dropped is None else [str(dropped).encode()])
        bench.store.open.set()
        await bench.until(lambda: len(bench.settled) == 6)
        assert set(bench.confirmed) == {100, 101, 0, 1, 2, 3} - {dropped}

    at_work(scene, capacity=3)
