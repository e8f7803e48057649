"""What is older than its tenant keeps goes, all of it; the rest stays as it was."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from companion.retention import Retention
from noctis.settings import Settings
from noctis.stages import Stage
from noctis.storage import (
    accounts,
    dead_letters,
    devices,
    disposal,
    labels,
    predictions,
    retention,
    rolling,
    tenants,
)
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.predictions import Prediction
from tests.integration.test_storage_ingest import BED, COT, count, frame, home, send

__all__ = ["home"]

pytestmark = pytest.mark.postgres
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0, second=0, minute=0)
KEPT = 400 * DAY
ALL = frozenset(range(64))
TABLES = (
    "epochs",
    "epochs_untimed",
    "predictions",
    "dead_letters",
    "runs",
    "recordings",
    "reference_stages",
)


def night(engine: Engine, age: timedelta, stream: int, *, device: str = "bed") -> None:
    """Store 40 epochs with stages that began so long ago, a dead letter and a recording."""
    begin = NOW - age
    who = COT if device == "cot" else BED
    send(engine, frame(1, 40, stream=stream, utc=begin), device=who, now=begin + DAY / 24)
    # The next run, of today, ends the first one.
    send(engine, frame(101, 1, run_seq=100, stream=stream, utc=NOW), device=who, now=NOW)
    with transaction(engine) as connection:
        key = devices.get("home", connection, device).id
        model = predictions.model_id(connection, "stager", "1")
        starts = [begin + timedelta(seconds=30 * n) for n in range(40)]
        rows = [
            Prediction(key, stream, 1 + n, start, Stage.DEEP, None)
            for n, start in enumerate(starts)
        ]
        predictions.store(connection, model, rows)
        told = [labels.Label(start, Stage.DEEP) for start in starts]
        labels.put("home", connection, device, told, source="psg", by="ann")
        payload = bytes([stream])
        dead_letters.put(
            "home", connection, device, topic="", reason="crc", detail="", payload=payload
        )
        connection.execute(
            text("UPDATE dead_letters SET last_seen = :at WHERE payload = :payload"),
            {"at": begin, "payload": payload},
        )
        names = ("epochs", "missing", "unstaged", "moved", "tib_min", "out_of_bed_min")
        zeros = ("unscored_min", "tst_min", "wake_min", "light_min", "deep_min", "rem_min")
        connection.execute(
            text(
                "INSERT INTO recordings (tenant_id, device_id, state, evening, time_zone, "  # noqa: S608
                f"started_at, ended_at, hypnogram, {', '.join(names + zeros)}) "
                "SELECT tenant_id, id, 'closed', :begin, 'UTC', :begin, "
                f"CAST(:begin AS timestamptz) + interval '20 min', ''{', 0' * 12} "
                "FROM devices WHERE id = :device"
            ),
            {"begin": begin, "device": key},
        )


def keep(url: str, kept: timedelta = KEPT, shards: frozenset[int] = ALL) -> None:
    """Let the companion's part do one turn."""
    database = Database(Settings(database_url=SecretStr(url)), application="test")
    try:
        asyncio.run(Retention(database, shards, kept=kept).turn())
    finally:
        database.close()


def counts(engine: Engine) -> dict[str, int]:
    return {table: count(engine, table) for table in TABLES}


def test_the_old_goes_with_all_that_hangs_on_it_and_the_young_stays(
    home: Engine, database_url: str
) -> None:
    night(home, 300 * DAY, 1)
    young = counts(home)
    night(home, 500 * DAY, 2)
    assert counts(home) == {table: 2 * number for table, number in young.items()}
    keep(database_url)
    # The second run of the old stream is of today, and its epoch with it.
    assert counts(home) == {**young, "epochs": 42, "runs": 3}
    keep(database_url)
    assert counts(home) == {**young, "epochs": 42, "runs": 3}


def test_each_tenant_has_days_of_its_own(home: Engine, database_url: str) -> None:
    night(home, 20 * DAY, 1)
    before = counts(home)
    keep(database_url, kept=10 * DAY)
    assert counts(home)["epochs"] == 1
    night(home, 20 * DAY, 1)
    with transaction(home) as connection:
        tenants.set_retention("home", connection, 30)
    keep(database_url, kept=10 * DAY)
    assert counts(home) == before
    with transaction(home) as connection:
        tenants.set_retention("home", connection, 19)
    keep(database_url)
    assert counts(home)["epochs"] == 1


def test_the_cut_is_exact_to_the_epoch(home: Engine) -> None:
    send(home, frame(1, 40, utc=NOW - 10 * DAY), now=NOW)
    with transaction(home) as connection:
        [due] = [it for it in retention.due(connection, ALL, KEPT) if it.device == BED]
        edge = NOW - 10 * DAY + timedelta(seconds=30 * 25)
        gone = disposal.epochs(due.tenant_id, connection, due.device_id, edge, limit=1000)
        seqs = connection.scalars(text("SELECT seq FROM epochs ORDER BY 1")).all()
    assert gone == 25
    assert seqs == list(range(26, 41))


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_steps_of_any_size_come_to_the_same_end(home: Engine, limit: int) -> None:
    night(home, 500 * DAY, 1)
    night(home, 501 * DAY, 2)
    steps, gone = 0, 0
    with transaction(home, 60) as connection:
        [due] = [it for it in retention.due(connection, ALL, KEPT) if it.device == BED]
    while True:
        with transaction(home, 60) as connection:
            done = retention.step(connection, due, limit=limit)
        if not done:
            break
        steps += 1
        gone += done.get("epochs", 0)
        assert done.get("epochs", 0) <= limit
        assert done.get("predictions", 0) <= 2 * limit
    assert gone == 80
    assert count(home, "predictions") == 0
    assert steps >= 80 // limit


def test_a_run_stays_while_it_tells_the_time_of_another(
    home: Engine, database_url: str
) -> None:
    begin = NOW - 500 * DAY
    send(home, frame(1, 4, utc=begin), now=begin)
    late = {"boot": 1, "run_seq": 100, "tick_s": 9000}
    send(home, frame(101, 4, utc=None, **late), now=NOW)  # type: ignore[arg-type]
    keep(database_url)
    assert (count(home, "epochs"), count(home, "runs")) == (0, 2)
    with transaction(home) as connection:
        placed = connection.scalars(text("SELECT placement FROM epoch_timeline")).all()
    assert set(placed) == {"anchored"}


def test_epochs_without_a_time_count_from_their_receipt(
    home: Engine, database_url: str
) -> None:
    send(home, frame(1, 4, utc=None), now=NOW - 500 * DAY)
    send(home, frame(11, 4, run_seq=10, boot=2, utc=None), now=NOW)
    keep(database_url)
    assert (count(home, "epochs_untimed"), count(home, "runs")) == (4, 1)


def test_hours_go_with_their_epochs(home: Engine, database_url: str) -> None:
    send(home, frame(1, 60, utc=NOW - 500 * DAY), now=NOW - 500 * DAY)
    send(home, frame(101, 60, run_seq=100, utc=NOW - 300 * DAY), now=NOW - 300 * DAY)
    for _ in range(9999):
        with transaction(home, 60) as connection:
            if not rolling.step(connection, now=NOW - 250 * DAY).busy:
                break
    hours = text("SELECT count(*) FROM epochs_hourly")
    with transaction(home) as connection:
        assert connection.scalar(hours) == 2
    keep(database_url)
    with transaction(home) as connection:
        assert connection.scalar(hours) == 1


def test_only_the_devices_of_its_shards_are_looked_after(
    home: Engine, database_url: str
) -> None:
    night(home, 500 * DAY, 1)
    with transaction(home) as connection:
        mine = retention.due(connection, ALL, KEPT)
    others = ALL - {26}
    with transaction(home) as connection:
        [shard] = {
            n for n in ALL for it in retention.due(connection, {n}, KEPT) if it.device == BED
        }
    assert len(mine) == 2
    keep(database_url, shards=others - {shard})
    assert count(home, "epochs") == 41
    keep(database_url, shards=frozenset({shard}))
    assert count(home, "epochs") == 1


def test_letters_of_senders_whom_nobody_knows_go_too(home: Engine, database_url: str) -> None:
    with transaction(home) as connection:
        for device, age in (("ghost", 500), ("spook", 300)):
            dead_letters.put(
                "home", connection, device, topic="", reason="crc", detail="", payload=b""
            )
            connection.execute(
                text("UPDATE dead_letters SET last_seen = :at WHERE device = :device"),
                {"at": NOW - age * DAY, "device": device},
            )
        accounts.add("home", connection, "phone@home", "app")
    keep(database_url, shards=frozenset({1}))
    assert count(home, "dead_letters") == 2
    keep(database_url)
    with transaction(home) as connection:
        left = connection.scalars(text("SELECT device FROM dead_letters")).all()
    assert left == ["spook"]
    assert count(home, "accounts") == 1
