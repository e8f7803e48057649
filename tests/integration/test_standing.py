"""What monitors are told of tenants and of the platform, from the database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import Engine, text

from companion.standing import MOST_TENANTS, OTHERS, Standing, shown
from noctis.settings import Settings
from noctis.status import Status
from noctis.storage import devices, gaps, reports, standing
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.models import epochs
from noctis.storage.runs import signed
from noctis.storage.standing import TenantStanding
from tests.integration.settling_fixtures import BED, COT, STREAM, frame, home, send

__all__ = ["home"]

pytestmark = pytest.mark.postgres
STATUS = Status(
    state="online",
    stream=f"{STREAM:016x}",
    oldest_seq=0,
    next_seq=50,
    backlog=3,
    overwritten=5,
    damaged=1,
)

_KEY = ("device_id", "epoch_start", "stream", "seq")


def of(engine: Engine, tenant: str) -> TenantStanding:
    with transaction(engine, 30) as connection:
        [found] = [it for it in standing.of_tenants(connection) if it.name == tenant]
    return found


def test_a_device_counts_by_what_was_last_heard_of_it(home: Engine) -> None:
    with transaction(home) as connection:
        devices.add("home", connection, "attic")
        reports.store(connection, {BED: STATUS, COT: STATUS.model_copy(update={"backlog": 4})})
        connection.execute(
            text(
                "UPDATE device_reports SET reported_at = now() - interval '12 minutes' "
                "WHERE body ->> 'backlog' = '4'"
            )
        )
    found = of(home, "home")
    assert (found.online, found.silent, found.new) == (1, 1, 1)
    assert (found.backlog, found.overwritten, found.damaged) == (7, 10, 2)
    with transaction(home) as connection:
        reports.store(connection, {BED: STATUS.model_copy(update={"state": "lost"})})
    assert (of(home, "home").online, of(home, "home").lost) == (0, 1)
    assert of(home, "away").new == 1
    with transaction(home) as connection:
        found_silent = standing.silent(connection, limit=9)
    assert [(it.device, it.state, it.backlog) for it in found_silent] == [
        ("cot", "online", 4),
        ("bed", "lost", 3),
    ]


def test_a_gap_between_stored_epochs_counts_and_a_run_in_it_does_not(home: Engine) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=18)
    send(home, frame(1, 4, utc=begin))
    assert of(home, "home").missing == 0
    send(home, frame(8, 3, utc=begin))  # 5, 6 and 7 are on their way
    assert of(home, "home").missing == 3
    send(home, frame(12, 2, run_seq=11, utc=begin + timedelta(minutes=6)))
    assert of(home, "home").missing == 3
    send(home, frame(5, 3, utc=begin), backlog=True)
    assert of(home, "home").missing == 0
    assert of(home, "away").missing == 0


def test_the_companion_tells_it_and_forgets_a_tenant_that_is_gone(
    home: Engine, database_url: str
) -> None:
    database = Database(Settings(database_url=SecretStr(database_url)), application="test")
    part = Standing(database)
    asyncio.run(part._turn())
    told = {"tenant": "away", "state": "new"}
    assert REGISTRY.get_sample_value("noctis_devices", told) == 1
    assert (REGISTRY.get_sample_value("noctis_database_bytes") or 0) > 1e6
    with transaction(home) as connection:
        connection.execute(text("DELETE FROM devices WHERE tenant_id = 2"))
        connection.execute(text("DELETE FROM tenants WHERE id = 2"))
    part._due = 0.0
    asyncio.run(part._turn())
    database.close()
    assert REGISTRY.get_sample_value("noctis_devices", told) is None
    assert REGISTRY.get_sample_value("noctis_devices", {**told, "tenant": "home"}) == 2


def test_however_many_tenants_there_are_few_are_named_and_the_sums_are_right() -> None:
    tenants = [
        TenantStanding(f"t{n}", 10, 0, int(n == 777), 0, 0, n, 0, 0, 0) for n in range(1000)
    ]
    found = shown(tenants)
    assert len(found) == MOST_TENANTS + 1
    assert found[0].name == "t777"
    assert found[-1].name == OTHERS
    for figure in ("online", "backlog", "silent"):
        assert sum(getattr(it, figure) for it in found) == sum(
            getattr(it, figure) for it in tenants
        )


def test_gaps_are_told_by_device_and_only_an_index_is_read_for_them(home: Engine) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=50)
    send(home, frame(1, 20, utc=begin), frame(23, 18, utc=begin))
    send(home, frame(1, 40, utc=begin, stream=STREAM + 1), device=COT)
    with transaction(home) as connection:
        assert gaps.list_all(connection, 3600, limit=9) == [gaps.Gap("home", "bed", 2, 38)]
        assert gaps.list_all(connection, 600, limit=9) == []
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        keys = {"since": 3600, "until": 300}
        plan = list(connection.scalars(text(f"EXPLAIN {gaps.MISSING}"), keys))
    assert [it for it in plan if "Index Only Scan" in it and "epochs" in it], plan


def test_the_line_is_told_of_new_and_of_late_epochs_and_the_rest_is_not_read(
    home: Engine,
) -> None:
    with transaction(home) as connection:
        before = standing.line(connection)
    assert (before.per_minute, before.last_s, before.stored_s) == (0, None, None)
    late = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=9)
    send(home, frame(1, 20, utc=late), backlog=True)
    with transaction(home) as connection:
        found = standing.line(connection)
    assert (found.per_minute, found.last_s, found.unstaged) == (0, None, 0)
    assert found.stored_s is not None
    assert 0 <= found.stored_s < 60
    lately = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    send(home, frame(1, 10, utc=lately, stream=STREAM + 1), device=COT)
    years = "SELECT device_id, epoch_start - s * interval '1 hour', stream, seq"
    rest = ", ".join(it.name for it in epochs.columns if it.name not in _KEY)
    with transaction(home, 60) as connection:
        found = standing.line(connection)
        assert (found.per_minute, found.unstaged) == (1.0, 10)
        connection.execute(
            text(
                f"INSERT INTO epochs ({', '.join(_KEY)}, {rest}) {years}, {rest} FROM epochs, "
                f"generate_series(24, 1500) s WHERE stream = {signed(STREAM + 1)}"
            )
        )
        connection.execute(text("ANALYZE epochs"))
        keys = {"since": standing.LINE_S, "stored": standing.STORED_S}
        plan = list(connection.scalars(text(f"EXPLAIN {standing.LINE}"), keys))
    assert not [it for it in plan if "Seq Scan on epochs" in it], plan
