from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, Select, text

from noctis.epoch import Frame, Run
from noctis.features import COUNT, FEATURES
from noctis.identity import DeviceId
from noctis.storage import devices, tenants
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, Verdict, ingest
from noctis.storage.models import metadata
from noctis.storage.rows import BULK

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
BED = DeviceId("home", "bed")
COT = DeviceId("home", "cot")
STREAM = 0xFEDCBA9876543210  # the top bit is set: negative in the database


def frame(
    first: int = 1,
    count: int = 4,
    *,
    stream: int = STREAM,
    run_seq: int = 0,
    seed: int = 0,
    utc: datetime | None = NOW,
    boot: int = 1,
    tick_s: int = 10,
) -> Frame:
    random = np.random.default_rng([seed, first])
    codes = np.stack([random.integers(0, 1 << f.bits, count) for f in FEATURES], axis=1)
    utc_s = 0 if utc is None else int(utc.timestamp())
    run = Run(reason=0, voids=0, boot=boot, tick_s=tick_s, utc_s=utc_s)
    return Frame(
        stream, first, run_seq, run, codes.astype(np.int16), random.random(count) < 0.5
    )


@pytest.fixture
def home(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        tenants.add(connection, "home")
        devices.add("home", connection, "bed")
        devices.add("home", connection, "cot")
    return engine


def send(
    engine: Engine,
    *frames: Frame,
    device: DeviceId = BED,
    backlog: bool = False,
    now: datetime = NOW,
) -> list[Verdict]:
    with transaction(engine, 60) as connection:
        return ingest(connection, [Received(device, one, backlog) for one in frames], now=now)


def _select(name: str) -> Select[Any]:
    table = metadata.tables[name]
    return table.select().order_by(table.c.stream, table.c.seq)


def stored(engine: Engine, table: str = "epochs") -> list[tuple[object, ...]]:
    with transaction(engine) as connection:
        rows = connection.execute(_select(table))
        return [tuple(row) for row in rows]


def count(engine: Engine, table: str) -> int:
    with transaction(engine) as connection:
        return len(connection.execute(metadata.tables[table].select()).all())


def test_a_frame_is_stored_as_it_was_sent(home: Engine) -> None:
    sent = frame(first=7, count=3, run_seq=4)
    assert send(home, sent) == [Verdict(0, stored=3)]
    with transaction(home) as connection:
        rows = connection.execute(text("SELECT * FROM epochs ORDER BY seq")).mappings().all()
    for index, row in enumerate(rows):
        assert row["stream"] == STREAM - (1 << 64)
        assert (row["seq"], row["run_seq"]) == (7 + index, 4)
        assert row["epoch_start"] == NOW + timedelta(seconds=30 * (2 + index))
        assert row["in_bed"] == sent.in_bed[index]
        assert [row[f.name] for f in FEATURES] == sent.codes[index].tolist()
        assert row["received_at"] == NOW


@pytest.mark.parametrize("backlog", [False, True])
def test_the_same_frame_again_is_a_duplicate(home: Engine, *, backlog: bool) -> None:
    first = send(home, frame(), backlog=backlog)
    before = stored(home)
    assert first == [Verdict(0, stored=4)]
    assert send(home, frame(), backlog=backlog, now=NOW + timedelta(hours=1)) == [
        Verdict(0, duplicate=4)
    ]
    assert stored(home) == before


def test_a_frame_that_is_partly_known_adds_the_rest(home: Engine) -> None:
    whole = frame(count=6)
    part = replace(whole, codes=whole.codes[:4], in_bed=whole.in_bed[:4])
    assert send(home, part) == [Verdict(0, stored=4)]
    assert send(home, whole) == [Verdict(0, stored=2, duplicate=4)]


@pytest.mark.parametrize("utc", [NOW, None])
@pytest.mark.parametrize("backlog", [False, True])
def test_of_a_flood_what_is_new_is_stored_and_what_is_known_is_found(
    home: Engine, *, backlog: bool, utc: datetime | None
) -> None:
    """So many rows that they are copied; some of their frames are known, whole or in part."""
    frames = [frame(1 + 64 * n, 64, utc=utc) for n in range(8)]
    assert sum(it.count for it in frames) >= 2 * BULK
    part = replace(frames[5], codes=frames[5].codes[10:20], in_bed=frames[5].in_bed[10:20])
    changed = frames[6].codes.copy()
    changed[3, 0] ^= 1
    later = NOW + timedelta(hours=5)
    known = [frames[2], replace(part, first=frames[5].first + 10)]
    send(home, *known, replace(frames[6], codes=changed), now=later)
    verdicts = send(home, *frames, backlog=backlog, now=later)
    assert verdicts == [
        Verdict(0, stored=64),
        Verdict(0, stored=64),
        Verdict(0, duplicate=64),
        Verdict(0, stored=64),
        Verdict(0, stored=64),
        Verdict(0, stored=54, duplicate=10),
        Verdict(1, duplicate=63, conflict=1, reason="conflict"),
        Verdict(0, stored=64),
    ]
    table = "epochs" if utc else "epochs_untimed"
    assert count(home, table) == 8 * 64
    codes = np.concatenate([it.codes for it in frames])
    codes[6 * 64 + 3] = changed[3]
    first = 7 if utc else 6
    assert [list(row[first:-1]) for row in stored(home, table)] == codes.tolist()


def test_a_frame_twice_in_a_batch_is_stored_once(home: Engine) -> None:
    assert send(home, frame(), frame()) == [Verdict(0, stored=4), Verdict(0, duplicate=4)]
    assert count(home, "epochs") == 4


@pytest.mark.parametrize("utc", [NOW, None])
def test_another_payload_under_a_known_key_is_reported_and_changes_nothing(
    home: Engine, utc: datetime | None
) -> None:
    table = "epochs_untimed" if utc is None else "epochs"
    sent = frame(utc=utc)
    codes = sent.codes.copy()
    codes[2, COUNT - 1] ^= 1
    send(home, sent)
    before = stored(home, table)
    expected = [Verdict(1, duplicate=3, conflict=1, reason="conflict")]
    assert send(home, replace(sent, codes=codes)) == expected
    assert send(home, replace(sent, codes=codes), backlog=True) == expected
    assert stored(home, table) == before
    in_bed = sent.in_bed.copy()
    in_bed[0] ^= True
    assert send(home, replace(sent, in_bed=in_bed)) == expected


def test_another_payload_in_the_same_batch_loses_to_the_first(home: Engine) -> None:
    sent = frame()
    codes = sent.codes.copy()
    codes[1, 0] ^= 1
    verdicts = send(home, sent, replace(sent, codes=codes))
    assert verdicts == [
        Verdict(0, stored=4),
        Verdict(1, duplicate=3, conflict=1, reason="conflict"),
    ]
    assert [row[7] for row in stored(home)] == sent.codes[:, 0].tolist()


def test_unknown_and_revoked_devices_are_refused_and_others_of_the_batch_stored(
    home: Engine,
) -> None:
    with transaction(home) as connection:
        devices.revoke("home", connection, "cot")
        batch = [
            Received(DeviceId("home", "attic"), frame(stream=1)),
            Received(COT, frame(stream=2)),
            Received(BED, frame(stream=3)),
            Received(DeviceId("away", "bed"), frame(stream=4)),
        ]
        verdicts = ingest(connection, batch, now=NOW)
    assert [verdict.reason for verdict in verdicts] == [
        "unknown_device",
        "revoked_device",
        "",
        "unknown_device",
    ]
    assert [verdict.code for verdict in verdicts] == [1, 1, 0, 1]
    assert count(home, "epochs") == 4
    assert count(home, "streams") == 1


def test_a_stream_belongs_to_the_first_device_that_sends_it(home: Engine) -> None:
    assert send(home, frame(), device=BED)[0].code == 0
    assert send(home, frame(first=50), device=COT) == [Verdict(1, reason="foreign_stream")]
    with transaction(home) as connection:
        batch = [Received(COT, frame(stream=5)), Received(BED, frame(stream=5, first=9))]
        verdicts = ingest(connection, batch, now=NOW)
    assert [verdict.reason for verdict in verdicts] == ["", "foreign_stream"]


def test_a_run_that_differs_from_its_stored_copy_is_refused(home: Engine) -> None:
    send(home, frame())
    moved = frame(first=5, utc=NOW + timedelta(seconds=60))
    assert send(home, moved) == [Verdict(1, reason="run_differs")]
    assert send(home, frame(first=5, tick_s=11)) == [Verdict(1, reason="run_differs")]
    assert send(home, frame(first=5)) == [Verdict(0, stored=4)]


def test_a_frame_that_reaches_over_the_next_run_is_refused(home: Engine) -> None:
    send(home, frame(first=11, run_seq=10, utc=NOW + timedelta(minutes=5)))
    assert send(home, frame(first=8, count=3)) == [Verdict(1, reason="run_inside")]
    assert send(home, frame(first=6, count=4)) == [Verdict(0, stored=4)]


@pytest.mark.parametrize(
    "utc",
    [None, NOW - timedelta(days=400, seconds=1), NOW + timedelta(days=1, seconds=1)],
)
def test_epochs_of_an_unusable_clock_are_stored_untimed(
    home: Engine, utc: datetime | None
) -> None:
    assert send(home, frame(utc=utc)) == [Verdict(0, stored=4)]
    assert send(home, frame(utc=utc)) == [Verdict(0, duplicate=4)]
    assert (count(home, "epochs"), count(home, "epochs_untimed")) == (0, 4)


def test_a_clock_before_2025_is_not_believed(home: Engine) -> None:
    utc = datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert send(home, frame(utc=utc), now=utc + timedelta(days=9)) == [Verdict(0, stored=4)]
    assert (count(home, "epochs"), count(home, "epochs_untimed")) == (0, 4)


@pytest.mark.parametrize("utc", [NOW - timedelta(days=400), NOW + timedelta(days=1)])
def test_a_clock_at_the_edge_is_believed(home: Engine, utc: datetime) -> None:
    send(home, frame(utc=utc))
    assert (count(home, "epochs"), count(home, "epochs_untimed")) == (4, 0)


def test_the_verdict_on_a_clock_stays_when_the_frame_comes_again_later(home: Engine) -> None:
    ahead = NOW + timedelta(days=2)
    send(home, frame(utc=ahead))
    verdicts = send(home, frame(utc=ahead), frame(first=5, utc=ahead), now=ahead)
    assert verdicts == [Verdict(0, duplicate=4), Verdict(0, stored=4)]
    assert (count(home, "epochs"), count(home, "epochs_untimed")) == (0, 8)


def test_epochs_far_ahead_of_receipt_are_refused_until_their_time(home: Engine) -> None:
    far = frame(first=4 * 2880)
    assert send(home, far) == [Verdict(1, reason="future")]
    assert send(home, far, now=NOW + timedelta(days=3)) == [Verdict(0, stored=4)]


def test_late_frames_and_only_they_are_noted_for_the_settler(home: Engine) -> None:
    send(home, frame(first=1))
    assert count(home, "outbox") == 0
    send(home, frame(first=5), backlog=True)
    send(home, frame(first=9), now=NOW + timedelta(hours=3))
    send(home, frame(first=9), backlog=True, now=NOW + timedelta(hours=3))
    with transaction(home) as connection:
        notes = connection.execute(
            text("SELECT run_seq, first_seq, last_seq FROM outbox ORDER BY id")
        ).all()
    assert [tuple(note) for note in notes] == [(0, 5, 8), (0, 9, 12)]


def test_nothing_is_stored_when_the_caller_rolls_back(home: Engine) -> None:
    def fail_after_ingest() -> None:
        with transaction(home) as connection:
            assert ingest(connection, [Received(BED, frame())], now=NOW)[0].stored == 4
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_after_ingest()
    assert [count(home, name) for name in ("epochs", "runs", "streams")] == [0, 0, 0]


def test_an_empty_batch_is_nothing(connection: Connection) -> None:
    assert ingest(connection, []) == []


@pytest.mark.usefixtures("several_connections")
@pytest.mark.parametrize("known", ["nothing", "streams", "runs"])
@pytest.mark.parametrize("backlog", [(False, False), (False, True), (True, True)])
def test_ingestors_that_race_for_the_same_frames_store_each_epoch_once(
    home: Engine, backlog: tuple[bool, bool], known: str
) -> None:
    if known != "nothing":  # else they meet at the streams and go on one by one
        send(home, *(frame(1, 1, stream=stream) for stream in range(200)))
    run_seq = 0 if known == "runs" else 50
    frames = [
        frame(51 + 4 * k, stream=stream, run_seq=run_seq)
        for stream in range(200)
        for k in range(2)
    ]
    results: list[list[Verdict]] = []
    together = Barrier(2)

    def work(batch: list[Frame], *, late: bool) -> None:
        with transaction(home, 60) as connection:
            connection.execute(text("SELECT 1"))
            together.wait(20)
            received = [Received(BED, one, late) for one in batch]
            results.append(ingest(connection, received, now=NOW))

    threads = [
        Thread(target=work, args=(batch,), kwargs={"late": late})
        for batch, late in zip((frames, frames[::-1]), backlog, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    verdicts = [verdict for result in results for verdict in result]
    assert len(results) == 2  # neither was a victim of a deadlock
    assert {verdict.code for verdict in verdicts} == {0}
    assert sum(verdict.stored for verdict in verdicts) == 1600
    assert sum(verdict.duplicate for verdict in verdicts) == 1600
    assert count(home, "epochs") == 1600 + 200 * (known != "nothing")
