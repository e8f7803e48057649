from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text

from noctis.epoch import Frame, Run
from noctis.features import FEATURES, dequantise
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import (
    census,
    devices,
    epochs,
    export,
    marks,
    predictions,
    settling,
    tenants,
    timeline,
)
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.ingest import Received, ingest
from noctis.storage.models import settled
from noctis.storage.predictions import Origin, Prediction, Stretch
from noctis.topics import SHARDS, shard_of

pytestmark = pytest.mark.postgres

BED = DeviceId("home", "bed")
COT = DeviceId("home", "cot")
STREAM = 0xFEDCBA9876543210


def frame(
    first: int,
    count: int,
    *,
    run_seq: int = 0,
    utc: datetime | None,
    tick_s: int = 10,
    stream: int = STREAM,
) -> Frame:
    random = np.random.default_rng(first)
    codes = np.stack([random.integers(0, 1 << f.bits, count) for f in FEATURES], axis=1)
    run = Run(0, 0, 1, tick_s, 0 if utc is None else int(utc.timestamp()))
    in_bed = random.random(count) < 0.5
    return Frame(stream, first, run_seq, run, codes.astype(np.int16), in_bed)


@pytest.fixture
def home(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        for tenant, names in {"home": ("bed", "cot"), "away": ("bed",)}.items():
            tenants.add(connection, tenant)
            for name in names:
                devices.add(tenant, connection, name)
    return engine


@pytest.fixture
def start() -> datetime:
    """The start of the first epoch: some minutes ago, as live epochs are."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


def send(engine: Engine, *frames: Frame, device: DeviceId = BED, backlog: bool = False) -> None:
    with transaction(engine) as connection:
        verdicts = ingest(connection, [Received(device, one, backlog) for one in frames])
    assert {verdict.code for verdict in verdicts} == {0}


def model(engine: Engine, version: str = "1") -> int:
    with transaction(engine) as connection:
        return predictions.model_id(connection, "tcn", version)


def look(
    engine: Engine, key: int, *, limit: int = 5000, shards: set[int] | None = None
) -> list[Stretch]:
    with transaction(engine) as connection:
        return predictions.unsettled(connection, key, limit=limit, shards=shards)


def settle(engine: Engine, key: int, stretches: list[Stretch]) -> int:
    rows = [
        Prediction(one.device_id, one.stream, int(seq), begin, Stage.REM, (0.1, 0.2, 0.3, 0.4))
        for one in stretches
        for seq, begin in zip(one.seq, one.epoch_start, strict=True)
    ]
    with transaction(engine) as connection:
        return predictions.store(connection, key, rows)


def notes(engine: Engine) -> int:
    with transaction(engine) as connection:
        return connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()


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


def receive(engine: Engine, one: Frame, moment: datetime) -> None:
    with transaction(engine) as connection:
        assert ingest(connection, [Received(BED, one)], now=moment)[0].stored == one.count


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


def test_stages_are_read_in_order_with_the_newest_model_first(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 3, utc=start))
    found = look(home, model(home))
    settle(home, model(home), found)
    newer = [Prediction(found[0].device_id, STREAM, 2, found[0].epoch_start[1], None, None)]
    until = start + timedelta(hours=1)
    with transaction(home) as connection:
        predictions.store(connection, predictions.model_id(connection, "tcn", "2"), newer)
        rows = predictions.read("home", connection, "bed", start, until)
        old = predictions.read("home", connection, "bed", start, until, model="tcn@1")
        part = predictions.read("home", connection, "bed", start + timedelta(seconds=30), until)
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [row.model for row in rows] == ["tcn@1", "tcn@2", "tcn@1"]
    assert [row.stage for row in rows] == [Stage.REM, None, Stage.REM]
    assert rows[1].probabilities is None
    assert rows[0].probabilities == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert (rows[0].epoch_start, rows[0].stream) == (start, STREAM)
    assert [row.model for row in old] == ["tcn@1"] * 3
    assert [row.seq for row in part] == [2, 3]


def say(
    engine: Engine, version: str, stage: Stage, found: Stretch, origin: Origin = Origin.SERVED
) -> int:
    """Store a version's judgement of every epoch of a stretch; return how many are new."""
    rows = [
        Prediction(found.device_id, found.stream, int(seq), begin, stage, (0.4, 0.3, 0.2, 0.1))
        for seq, begin in zip(found.seq, found.epoch_start, strict=True)
    ]
    key = model(engine, version)
    with transaction(engine) as connection:
        return predictions.store(connection, key, rows, origin=origin)


def shown(engine: Engine, start: datetime) -> list[tuple[str, Stage | None]]:
    """Return what people see of the hour since ``start``, wherever they look."""
    span = start, start + timedelta(hours=1)
    with transaction(engine) as connection:
        key = devices.get("home", connection, "bed").id
        rows = predictions.read("home", connection, "bed", *span)
        line = timeline.read(connection, key, *span)
        counted = census.count("home", connection, "bed").stages
    judged = [page.judged for page in export.pages("home", engine, "bed", stages=True)]
    seen = [(row.model, row.stage) for row in rows]
    exported = [
        (name, Stage(stage))
        for it in judged
        if it is not None
        for name, stage in zip(it.model, it.stage.tolist(), strict=True)
        if name
    ]
    assert exported == seen
    drawn = line.stage[line.stage != timeline.NO_STAGE].tolist()
    assert drawn == [stage for _, stage in seen]
    assert len(counted) >= len(seen)
    return seen


@pytest.mark.parametrize("origin", [Origin.SHADOW, Origin.REPLAY])
def test_what_was_not_served_is_seen_nowhere_and_marks_no_night(
    home: Engine, start: datetime, origin: Origin
) -> None:
    send(home, frame(1, 3, utc=start))
    [found] = look(home, model(home, "1"))
    assert say(home, "2", Stage.REM, found, origin) == 3
    assert shown(home, start) == []
    with transaction(home) as connection:
        assert marks.of_device(connection, found.device_id) == []
        assert census.count("home", connection, "bed").stages == []
    assert say(home, "1", Stage.WAKE, found) == 3
    assert say(home, "3", Stage.REM, found, origin) == 3
    assert shown(home, start) == [("tcn@1", Stage.WAKE)] * 3
    with transaction(home) as connection:
        unseen = predictions.read(
            "home", connection, "bed", start, start + timedelta(hours=1), model="tcn@3"
        )
    assert [row.stage for row in unseen] == [Stage.REM] * 3


@pytest.mark.parametrize("origin", [Origin.SHADOW, Origin.REPLAY])
def test_a_version_that_serves_what_it_judged_unseen_keeps_its_judgement_and_shows_it_once(
    home: Engine, start: datetime, origin: Origin
) -> None:
    send(home, frame(1, 3, utc=start))
    [found] = look(home, model(home, "2"))
    assert say(home, "2", Stage.DEEP, found, origin) == 3
    say(home, "1", Stage.WAKE, found)
    [again] = look(home, model(home, "2"))
    assert again.seq.tolist() == found.seq.tolist()
    with transaction(home) as connection:
        noted = marks.of_device(connection, found.device_id)
        marks.clear(connection, found.device_id, noted)
    assert say(home, "2", Stage.REM, again) == 3
    assert shown(home, start) == [("tcn@2", Stage.DEEP)] * 3
    with transaction(home) as connection:
        assert len(marks.of_device(connection, found.device_id)) == len(noted)
        marks.clear(connection, found.device_id, marks.of_device(connection, found.device_id))
    assert say(home, "2", Stage.REM, again) == 0
    assert say(home, "2", Stage.REM, again, origin) == 0
    assert shown(home, start) == [("tcn@2", Stage.DEEP)] * 3
    with transaction(home) as connection:
        assert marks.of_device(connection, found.device_id) == []
    assert look(home, model(home, "2")) == []


def test_the_version_that_came_to_serve_an_epoch_last_is_seen_whichever_is_older(
    home: Engine, start: datetime
) -> None:
    older = model(home, "1")
    send(home, frame(1, 3, utc=start))
    [found] = look(home, older)
    say(home, "2", Stage.REM, found)
    say(home, "1", Stage.WAKE, found)
    assert shown(home, start) == [("tcn@1", Stage.WAKE)] * 3


@pytest.mark.parametrize("backlog", [False, True])
def test_whom_another_version_serves_gets_only_what_nobody_served(
    home: Engine, start: datetime, *, backlog: bool
) -> None:
    send(home, frame(1, 4, utc=start), backlog=backlog)
    send(home, frame(1, 4, utc=start, stream=9), device=COT, backlog=backlog)
    for found in look(home, model(home, "1")):
        served = replace(found, seq=found.seq[:2], epoch_start=found.epoch_start[:2])
        say(home, "1", Stage.WAKE, served)
    with transaction(home) as connection:
        found_now = predictions.unsettled(
            connection, model(home, "2"), others=lambda device: device == COT
        )
    assert {one.stream: one.seq.tolist() for one in found_now} == {
        STREAM: [1, 2, 3, 4],
        9: [3, 4],
    }


def test_two_who_serve_what_is_unseen_at_once_show_it_once(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 3, utc=start))
    [found] = look(home, model(home, "1"))
    say(home, "1", Stage.LIGHT, found, Origin.SHADOW)
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(lambda stage: say(home, "1", stage, found), list(Stage)))
    assert sorted(new) == [0, 0, 0, 3]
    assert shown(home, start) == [("tcn@1", Stage.LIGHT)] * 3


def test_stages_of_untimed_epochs_appear_once_the_clock_is_learnt(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 2, utc=None, tick_s=40))
    settle(home, model(home), look(home, model(home)))
    send(home, frame(4, 1, run_seq=3, utc=start + timedelta(seconds=100), tick_s=140))
    with transaction(home) as connection:
        rows = predictions.read("home", connection, "bed", start, start + timedelta(hours=1))
    assert [row.epoch_start for row in rows] == [start, start + timedelta(seconds=30)]


def test_epochs_are_read_in_physical_units(home: Engine, start: datetime) -> None:
    sent = frame(1, 40, utc=start)
    send(home, sent)
    with transaction(home) as connection:
        rows = epochs.read("home", connection, "bed", start, start + timedelta(hours=1))
    values = np.array(
        [[np.nan if v is None else v for v in row.values.values()] for row in rows]
    )
    np.testing.assert_allclose(values, dequantise(sent.codes), rtol=1e-12, atol=1e-12)
    assert [row.in_bed for row in rows] == sent.in_bed.tolist()
    assert {row.placement for row in rows} == {"device"}
    assert rows[39].epoch_start == start + timedelta(seconds=30 * 39)


def test_pages_of_epochs_follow_each_other_without_gap_or_double(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 20, utc=start), frame(1, 20, utc=start, stream=3))
    pages, cursor = [], None
    with transaction(home) as connection:
        while page := epochs.read(
            "home", connection, "bed", start, start + timedelta(hours=1), limit=7, after=cursor
        ):
            pages.append(len(page))
            cursor = page[-1].cursor
        extent = epochs.extent("home", connection, "bed", start, start + timedelta(hours=1))
    assert pages == [7, 7, 7, 7, 7, 5]
    assert extent == epochs.Extent(40, start, start + timedelta(seconds=570))


def test_untimed_epochs_are_placed_by_a_later_clock_of_the_same_boot_or_estimated(
    home: Engine, start: datetime
) -> None:
    receipt = start + timedelta(minutes=20)
    with transaction(home) as connection:
        ingest(connection, [Received(BED, frame(1, 2, utc=None, tick_s=40))], now=receipt)
        span = (start - timedelta(hours=1), start + timedelta(hours=1))
        before = epochs.read("home", connection, "bed", *span)
        anchor = frame(4, 1, run_seq=3, utc=start + timedelta(seconds=100), tick_s=140)
        ingest(connection, [Received(BED, anchor)], now=receipt)
        after = epochs.read("home", connection, "bed", *span)
    assert [row.placement for row in before] == ["estimated", "estimated"]
    assert [row.epoch_start for row in before] == [
        receipt - timedelta(seconds=60),
        receipt - timedelta(seconds=30),
    ]
    assert [row.placement for row in after] == ["anchored", "anchored", "device"]
    assert [row.epoch_start for row in after] == [
        start,
        start + timedelta(seconds=30),
        start + timedelta(seconds=100),
    ]


def test_a_clock_that_becomes_implausible_is_replaced_by_the_earlier_one_of_its_boot(
    home: Engine, start: datetime
) -> None:
    receipt = start + timedelta(days=3)  # it was offline meanwhile
    frames = (
        frame(1, 2, utc=start, tick_s=100),
        frame(4, 2, run_seq=3, utc=start + timedelta(days=3650), tick_s=160),
    )
    with transaction(home) as connection:
        ingest(connection, [Received(BED, one) for one in frames], now=receipt)
        rows = epochs.read("home", connection, "bed", start, receipt)
    assert [row.placement for row in rows] == ["device", "device", "anchored", "anchored"]
    assert [row.epoch_start - start for row in rows] == [
        timedelta(seconds=30 * n) for n in range(4)
    ]


def test_the_statement_of_the_protocols_page_sets_a_wrong_clock_right(
    home: Engine, start: datetime
) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "protocol.md").read_text("utf-8")
    statement = page.partition("```sql\n")[2].partition("```")[0]
    wrong = frame(1, 2, utc=start - timedelta(hours=7), tick_s=100)
    good = frame(4, 1, run_seq=3, utc=start + timedelta(seconds=60), tick_s=160)
    send(home, wrong, good)
    with transaction(home) as connection:
        device = connection.scalar(text("SELECT device_id FROM runs LIMIT 1"))
        stream = connection.scalar(text("SELECT stream FROM runs LIMIT 1"))
        parameters = {"good": 3, "wrong": 0, "device": device, "stream": stream}
        connection.execute(text(statement), parameters)
        rows = epochs.read("home", connection, "bed", start, start + timedelta(hours=1))
    assert [row.placement for row in rows] == ["corrected", "corrected", "device"]
    assert [row.epoch_start - start for row in rows] == [
        timedelta(seconds=30 * n) for n in range(3)
    ]


def test_a_runs_shift_moves_its_epochs_in_the_view_alone(home: Engine, start: datetime) -> None:
    send(home, frame(1, 1, utc=start), frame(3, 1, run_seq=2, utc=start + timedelta(minutes=5)))
    with transaction(home) as connection:
        connection.execute(text("UPDATE runs SET shift = '90 s' WHERE run_seq = 0"))
        span = (start, start + timedelta(hours=1))
        rows = epochs.read("home", connection, "bed", *span)
        assert epochs.extent("home", connection, "bed", *span).count == 2
    assert [(row.seq, row.placement) for row in rows] == [(1, "corrected"), (3, "device")]
    assert rows[0].epoch_start == start + timedelta(seconds=90)


def test_another_tenant_sees_nothing(home: Engine, start: datetime) -> None:
    send(home, frame(1, 4, utc=start))
    settle(home, model(home), look(home, model(home)))
    span = (start, start + timedelta(hours=1))
    with transaction(home) as connection:
        assert epochs.read("away", connection, "bed", *span) == []
        assert predictions.read("away", connection, "bed", *span) == []
        assert epochs.extent("away", connection, "bed", *span).count == 0
        for tenant, device in (("away", "cot"), ("nobody", "bed")):
            with pytest.raises(NotFoundError):
                epochs.read(tenant, connection, device, *span)
            with pytest.raises(NotFoundError):
                predictions.read(tenant, connection, device, *span)


def test_the_view_of_values_knows_every_code_as_python_does(
    home: Engine, start: datetime
) -> None:
    numbers = np.arange(512)
    codes = np.stack([np.minimum(numbers, f.missing) for f in FEATURES], axis=1)
    run = Run(0, 0, 1, 10, int(start.timestamp()))
    parts = [
        Frame(5, 1 + k, 0, run, codes[k : k + 64].astype(np.int16), np.ones(64, np.bool_))
        for k in range(0, 512, 64)
    ]
    send(home, *parts)
    with transaction(home) as connection:
        rows = connection.execute(text("SELECT * FROM epoch_values ORDER BY seq")).mappings()
        values = np.array([[row[f.name] for f in FEATURES] for row in rows], np.float64)
    np.testing.assert_allclose(values, dequantise(codes), rtol=1e-12, atol=1e-12)


def test_pages_merge_epochs_of_every_placement(home: Engine, start: datetime) -> None:
    send(home, frame(1, 3, utc=start), frame(5, 2, run_seq=4, utc=None, tick_s=200))
    send(home, frame(8, 2, run_seq=7, utc=start + timedelta(minutes=5), tick_s=310))
    send(home, frame(11, 2, run_seq=10, utc=start + timedelta(minutes=8), tick_s=490))
    with transaction(home) as connection:
        connection.execute(text("UPDATE runs SET shift = '-2 min' WHERE run_seq = 10"))
        span = (start, start + timedelta(hours=1))
        whole = epochs.read("home", connection, "bed", *span)
        pages = [epochs.read("home", connection, "bed", *span, limit=1)]
        while pages[-1]:
            pages.append(
                epochs.read(
                    "home", connection, "bed", *span, limit=1, after=pages[-1][0].cursor
                )
            )
    assert [row for page in pages for row in page] == whole
    assert [(row.seq, row.placement) for row in whole] == [
        (1, "device"),
        (2, "device"),
        (3, "device"),
        (5, "anchored"),
        (6, "anchored"),
        (8, "device"),
        (9, "device"),
        (11, "corrected"),
        (12, "corrected"),
    ]
    begins = [row.epoch_start for row in whole]
    assert begins == sorted(begins)


def test_a_device_that_drains_half_a_year_does_not_keep_anothers_late_epochs_waiting(
    home: Engine, start: datetime
) -> None:
    day = start - timedelta(days=30)
    drained = [frame(1 + n, 1, utc=day) for n in range(2 * settling.NOTES_AT_ONCE)]
    send(home, *drained, backlog=True)
    send(home, frame(1, 3, utc=day, stream=9), device=COT, backlog=True)
    found = {one.stream: len(one) for one in look(home, model(home), limit=1)}
    assert found == {STREAM: settling.NOTES_AT_ONCE - 1, 9: 3}
