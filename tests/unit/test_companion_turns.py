import asyncio

import pytest
from prometheus_client import REGISTRY

from companion import turns
from companion.turns import endlessly
from noctis import faults
from noctis.errors import StorageUnavailableError


class EnoughError(BaseException):
    """Ends a test's endless work; no turn may swallow it."""


def play(outcomes: list[object], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Run turns with these outcomes; return the pauses between them."""
    left, pauses = list(outcomes), []

    async def turn() -> bool:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return bool(outcome)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if not left:
            raise EnoughError

    monkeypatch.setattr(turns.asyncio, "sleep", sleep)
    with pytest.raises(EnoughError):
        asyncio.run(endlessly("test", turn, pause_s=7.0))
    return pauses


def test_a_turn_that_is_busy_is_followed_by_another_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert play([True, False, True, False], monkeypatch) == [0.0, 7.0, 0.0, 7.0]


def test_what_fails_is_counted_and_tried_again_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failures() -> float:
        return (
            REGISTRY.get_sample_value("noctis_companion_failures_total", {"part": "test"})
            or 0.0
        )

    before = failures()
    gone = StorageUnavailableError("the database is away")
    pauses = play([gone, ValueError("wrong"), *[gone] * 9, False, gone], monkeypatch)
    assert failures() - before == 12
    assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1.0
    assert 30 <= pauses[10] <= 60
    assert pauses[11] == 7.0
    assert pauses[12] <= 0.5


def test_a_part_that_is_stuck_by_order_goes_on_when_the_order_is_withdrawn() -> None:
    async def main() -> None:
        turned = asyncio.Event()

        async def turn() -> bool:
            turned.set()
            return False

        faults.obey("order", "companion.turn=latency:600", 600, {"NOCTIS_FAULTS": "allowed"})
        async with asyncio.TaskGroup() as group:
            part = group.create_task(endlessly("test", turn, pause_s=60.0))
            await asyncio.sleep(0.05)
            assert not turned.is_set()
            faults.withdraw("order")
            await turned.wait()
            part.cancel()

    try:
        asyncio.run(asyncio.wait_for(main(), 30))
    finally:
        faults.clear()
