from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text

from noctis.features import FEATURES
from noctis.storage import (
    devices,
    predictions,
    settling,
)
from noctis.storage.engine import transaction
from noctis.storage.models import settled
from noctis.topics import SHARDS, shard_of
from tests.integration.settling_fixtures import (
    BED,
    COT,
    STREAM,
    frame,
    home,
    look,
    model,
    notes,
    receive,
    send,
    settle,
    start,
)

__all__ = ["home", "start"]

pytestmark = pytest.mark.postgres


def test_a_models_key_is_made_once(home: Engine) -> None:
    assert model(home) == model(home)
    assert model(home, "2") != model(home)


def test_unsettled_epochs_come_as_they_were_sent(home: Engine, start: datetime) -> None:
    sent = frame(3, 4, run_seq=1, utc=start, tick_s=70)
    send(home, sent)
    [found] = look(home, model(home))
    assert found.stream == STREAM
    assert found.seq.tolist() == [3, 4, 5, 6]
    assert found.epoch_start == tuple(start + timedelta(seconds=30 * k) for k in range(1, 5))
    assert found.boot.tolist() == [1] * 4
    assert found.tick_s.tolist() == [100, 130, 160, 190]
    assert (found.in_bed == sent.in_bed).all()
    assert (found.codes == sent.codes).all()


def test_epochs_are_grouped_by_stream_in_order_of_seq(home: Engine, start: datetime) -> None:
    send(home, frame(5, 2, utc=start), frame(1, 2, utc=start), frame(1, 1, utc=start, stream=9))
    send(home, frame(1, 3, utc=start, stream=8), device=COT)
    found = {one.stream: one.seq.tolist() for one in look(home, model(home))}
    assert found == {STREAM: [1, 2, 5, 6], 9: [1], 8: [1, 2, 3]}


def test_settled_epochs_do_not_come_again_and_each_version_has_its_own(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 4, utc=start))
    assert settle(home, model(home), look(home, model(home))) == 4
    assert look(home, model(home)) == []
    [again] = look(home, model(home, "2"))
    assert settle(home, model(home, "2"), [again]) == 4
    assert settle(home, model(home, "2"), [again]) == 0


def test_untimed_epochs_are_settled_too(home: Engine) -> None:
    send(home, frame(1, 3, utc=None))
    [found] = look(home, model(home))
    assert found.epoch_start == (None, None, None)
    assert settle(home, model(home), [found]) == 3
    assert look(home, model(home)) == []


@pytest.mark.parametrize("clock", [True, False])
def test_late_epochs_come_by_their_note_which_goes_when_they_are_settled(
    home: Engine, start: datetime, *, clock: bool
) -> None:
    long_ago = start - timedelta(days=40) if clock else None
    send(home, frame(1, 4, utc=long_ago), frame(5, 4, utc=long_ago), backlog=True)
    key = model(home)
    with transaction(home) as connection:  # not received lately either
        connection.execute(text("UPDATE epochs_untimed SET received_at = '2025-02-01+00'"))
    [found] = look(home, key)
    assert found.seq.tolist() == list(range(1, 9))
    assert notes(home) == 2
    settle(home, key, [found])
    assert look(home, key) == []
    assert notes(home) == 0


def test_what_came_while_no_settler_ran_is_found_by_the_next_look(
    home: Engine, start: datetime
) -> None:
    key = model(home)
    assert look(home, key) == []  # everything up to now is settled
    with transaction(home) as connection:  # ... and that was two days ago
        connection.execute(text("UPDATE settled SET until = until - interval '2 days'"))
    receive(home, frame(1, 4, utc=start - timedelta(days=1)), start - timedelta(days=1))
    [found] = look(home, key)
    assert found.seq.tolist() == [1, 2, 3, 4]
    [found] = look(home, model(home, "2"))  # a model that is promoted just then
    assert found.seq.tolist() == [1, 2, 3, 4]


def test_looks_move_on_while_devices_keep_sending(home: Engine, start: datetime) -> None:
    key = model(home)
    receive(home, frame(1, 1, utc=start), start + timedelta(seconds=30))
    look(home, key)
    with transaction(home) as connection:
        moment = connection.execute(select(func.now())).scalar_one()
        rows = connection.execute(select(settled.c.shard, settled.c.until)).all()
    until = {row.shard: row.until for row in rows}
    assert until.pop(shard_of(BED)) == start + timedelta(seconds=30)
    assert len(until) == SHARDS - 1
    for reached in until.values():
        assert abs(moment - timedelta(minutes=15) - reached) < timedelta(seconds=30)


def test_an_epoch_that_is_slow_but_not_late_is_found(home: Engine, start: datetime) -> None:
    key = model(home)
    look(home, key)
    send(home, frame(1, 1, utc=start - timedelta(minutes=25)))
    assert notes(home) == 0
    [found] = look(home, key)
    assert found.seq.tolist() == [1]


def test_a_model_that_comes_back_does_not_judge_what_others_have(
    home: Engine, start: datetime
) -> None:
    old, new = model(home), model(home, "2")
    look(home, old)
    with transaction(home) as connection:
        connection.execute(text("UPDATE settled SET until = until - interval '30 days'"))
    receive(home, frame(1, 4, utc=start - timedelta(days=20)), start - timedelta(days=20))
    settle(home, new, look(home, new))
    look(home, new)
    send(home, frame(5, 4, utc=start - timedelta(days=20), stream=6), device=COT)
    assert {one.stream for one in look(home, old)} == {6}


def test_a_limit_is_worked_through_piece_by_piece(home: Engine, start: datetime) -> None:
    send(home, frame(1, 10, utc=start))
    send(home, frame(1, 10, utc=start, stream=5), device=COT)
    key, sizes = model(home), []
    while found := look(home, key, limit=8):
        sizes.append(settle(home, key, found))
    assert sizes == [8, 8, 4]


def test_a_settler_sees_the_devices_of_its_own_shards_alone(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 2, utc=start))
    send(home, frame(1, 2, utc=start, stream=5), device=COT)
    assert shard_of(BED) != shard_of(COT)
    [found] = look(home, model(home), shards={shard_of(COT)})
    assert found.stream == 5


def test_the_context_is_the_last_epochs_before_a_seq(home: Engine, start: datetime) -> None:
    later = start + timedelta(minutes=5)
    parts = [
        frame(1, 3, utc=start),
        frame(5, 2, run_seq=4, utc=None, tick_s=200),
        frame(11, 4, run_seq=10, utc=later, tick_s=310),
    ]
    send(home, *parts)
    send(home, frame(20, 4, run_seq=19, utc=later, stream=6))
    with transaction(home) as connection:
        key = devices.get("home", connection, "bed").id
        found = predictions.context(connection, key, STREAM, 13, 4)
        whole = predictions.context(connection, key, STREAM, 100, 50)
        nothing = predictions.context(connection, key, STREAM, 1, 50)
    assert found.seq.tolist() == [5, 6, 11, 12]
    assert found.epoch_start == (None, None, later, later + timedelta(seconds=30))
    assert found.tick_s.tolist() == [200, 230, 310, 340]
    assert whole.seq.tolist() == [1, 2, 3, 5, 6, 11, 12, 13, 14]
    assert (whole.codes == np.concatenate([part.codes for part in parts])).all()
    assert len(nothing) == 0
    assert nothing.codes.shape == (0, len(FEATURES))


def test_a_context_reaches_over_many_short_runs(home: Engine, start: datetime) -> None:
    runs = [
        frame(2 * k + 1, 1, run_seq=2 * k, utc=start + timedelta(seconds=30 * k))
        for k in range(30)
    ]
    send(home, *runs)
    with transaction(home) as connection:
        key = devices.get("home", connection, "bed").id
        found = predictions.context(connection, key, STREAM, 60, 20)
    assert found.seq.tolist() == list(range(21, 60, 2))


def test_a_device_that_drains_half_a_year_does_not_keep_anothers_late_epochs_waiting(
    home: Engine, start: datetime
) -> None:
    day = start - timedelta(days=30)
    drained = [frame(1 + n, 1, utc=day) for n in range(2 * settling.NOTES_AT_ONCE)]
    send(home, *drained, backlog=True)
    send(home, frame(1, 3, utc=day, stream=9), device=COT, backlog=True)
    few = settling.NOTES_AT_ONCE
    found = {one.stream: len(one) for one in look(home, model(home), limit=few)}
    assert found == {STREAM: few - 1, 9: 3}


def test_late_epochs_that_came_one_by_one_are_found_as_many_at_once_as_others(
    home: Engine, start: datetime
) -> None:
    day = start - timedelta(days=30)
    singles = 3 * settling.NOTES_AT_ONCE
    send(home, *(frame(1 + n, 1, utc=day) for n in range(singles)), backlog=True)
    [found] = look(home, model(home), limit=singles)
    assert len(found) == singles
