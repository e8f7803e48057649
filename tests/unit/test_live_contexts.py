import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from inference.context import DEPTH, Moment, row_from_codes
from inference.contexts import IDLE_S, LOOKS, Contexts, Hole, Known, Past
from inference.recall import LOOK_S, Recall
from noctis.epoch import Frame, Run
from noctis.errors import StorageUnavailableError
from noctis.features import COUNT
from noctis.identity import DeviceId

BED, COT = DeviceId("home", "bed"), DeviceId("home", "cot")
RUN = Run(reason=0, voids=0, boot=1, tick_s=5, utc_s=1_790_000_000)


def frame(first: int, count: int = 1, *, run_seq: int = 0, run: Run = RUN) -> Frame:
    return Frame(
        7, first, run_seq, run, np.zeros((count, COUNT), np.int16), np.ones(count, bool)
    )


def past(*seqs: int) -> list[Past]:
    row = row_from_codes(np.zeros(COUNT, np.int16), in_bed=True)
    return [Past(Moment(seq, RUN.utc_s + 30.0 * (seq - 1)), row) for seq in seqs]


def heard(*frames: Frame) -> Known:
    known = Known(BED, 7)
    for one in frames:
        known.note_hole(one)
        known.take(one, clock_known=True)
    return known


def test_an_epoch_stands_where_its_run_says() -> None:
    known = Known(BED, 7)
    epoch = known.take(frame(3, 2, run_seq=1), clock_known=True)
    assert epoch is not None
    assert epoch.moment == Moment(4, RUN.utc_s + 60)
    untimed = known.take(frame(5, run_seq=1), clock_known=False)
    assert untimed is not None
    assert untimed.moment == Moment(5, 5 + 90, 1)


def test_only_the_newest_epoch_of_a_stream_is_told() -> None:
    known = heard(frame(5))
    assert known.take(frame(4), clock_known=True) is None
    again = known.take(frame(5), clock_known=True)
    assert again is not None
    assert again.moment.seq == 5


def test_a_stream_that_begins_lacks_nothing() -> None:
    assert heard(frame(1)).hole is None
    assert heard(frame(4, run_seq=3, run=replace(RUN, voids=3))).hole is None


@pytest.mark.parametrize(
    ("second", "hole"),
    [
        (frame(6), None),
        (frame(7, run_seq=6), None),
        (frame(9, run_seq=8, run=replace(RUN, voids=2)), None),
        (frame(7), (5, 6)),
        (frame(8, run_seq=7), (5, 6)),
        (frame(9, run_seq=7), (5, 8)),
        (frame(9, run_seq=8, run=replace(RUN, voids=1)), (5, 6)),
    ],
)
def test_missing_epochs_are_noticed_and_runs_and_voids_are_none(
    second: Frame, hole: tuple[int, int] | None
) -> None:
    found = heard(frame(1, 5), second).hole
    assert (found and (found.after, found.last)) == hole


def test_a_worker_that_starts_in_the_middle_lacks_all_before() -> None:
    hole = heard(frame(400)).hole
    assert hole is not None
    assert (hole.after, hole.last) == (-1, 399)


def test_what_is_recalled_closes_the_hole_in_whatever_order() -> None:
    known = heard(frame(1, 5), frame(9))
    known.recall(past(6, 7))
    assert known.hole is not None
    assert known.hole.after == 7
    known.recall(past(8))
    assert known.hole is None
    assert len(known.context) == 9


def test_looks_come_at_once_and_then_ever_less_often() -> None:
    hole, due = Hole(1, 2), []
    for epoch in range(100):
        if hole.is_due():
            due.append(epoch)
            if not hole.looked():
                break
    assert due == [0, 2, 5, 10, 19, 36]
    assert len(due) == LOOKS


def test_a_device_keeps_its_last_two_streams() -> None:
    contexts = Contexts()
    first = contexts.hear(BED, 1, 0.0)
    second = contexts.hear(BED, 2, 1.0)
    assert contexts.hear(BED, 1, 2.0) is first
    contexts.hear(BED, 3, 3.0)
    assert contexts.hear(BED, 1, 4.0) is first
    assert contexts.hear(BED, 2, 5.0) is not second


def test_devices_beyond_the_bound_are_dropped_the_quietest_first() -> None:
    contexts = Contexts(max_devices=2)
    bed = contexts.hear(BED, 1, 0.0)
    contexts.hear(COT, 1, 1.0)
    contexts.hear(BED, 1, 2.0)
    contexts.hear(DeviceId("home", "third"), 1, 3.0)
    assert len(contexts) == 2
    assert contexts.hear(BED, 1, 4.0) is bed


def test_a_device_that_is_silent_for_hours_is_forgotten() -> None:
    contexts = Contexts()
    contexts.hear(BED, 1, 0.0)
    contexts.hear(COT, 1, 1.0)
    assert contexts.forget_idle(IDLE_S) == 0
    assert contexts.forget_idle(IDLE_S + 0.5) == 1
    assert len(contexts) == 1


def test_a_look_that_fails_is_followed_by_a_rest() -> None:
    async def read(*_: object) -> Sequence[Past]:
        message = "away"
        raise StorageUnavailableError(message)

    async def main() -> None:
        recall = Recall(read)
        first, second = heard(frame(400)), heard(frame(400))
        assert recall.is_due(first)
        await recall.look(first)
        assert first.hole is not None
        assert not recall.is_due(second)

    asyncio.run(main())


def test_a_look_that_hangs_ends_in_time() -> None:
    async def read(*_: object) -> Sequence[Past]:
        await asyncio.sleep(60)
        return []

    async def main() -> None:
        known = heard(frame(400))
        async with asyncio.timeout(LOOK_S + 1):
            await Recall(read).look(known)
        assert not known.looking

    asyncio.run(main())


def test_a_look_fills_the_context_and_a_full_one_stays_bounded() -> None:
    asked: list[tuple[object, ...]] = []

    async def read(*arguments: object) -> Sequence[Past]:
        asked.append(arguments)
        return past(*range(1, 2000))

    async def main() -> None:
        known = heard(frame(2000))
        await Recall(read).look(known)
        assert known.hole is None
        assert len(known.context) == DEPTH
        assert known.context.last_seq == 2000

    asyncio.run(main())
    assert asked == [(BED, 7, -1, 1999)]
