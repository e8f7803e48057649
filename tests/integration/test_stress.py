"""Loads as they are ordered and kept: one at a time, of nobody's, and out of all figures."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from api.internal.app import create_internal_app
from noctis.settings import Settings
from noctis.storage import (
    audit_reading,
    devices,
    erasures,
    night_histograms,
    operation_queue,
    operations,
    standing,
    stress,
    tenants,
)
from noctis.storage.engine import transaction
from noctis.storage.errors import AlreadyExistsError
from noctis.topics import SHARDS
from runner.service import Runner
from tests.facades import Asker, problem_of

pytestmark = pytest.mark.postgres
Allowed = Literal["", "allowed"]
WANTED = {"devices": 2, "rate": 5.0, "seconds": 3}
NIGHTS = text("""
INSERT INTO recordings (tenant_id, device_id, state, evening, time_zone, started_at, ended_at,
                        hypnogram, epochs, missing, unstaged, moved, tib_min, out_of_bed_min,
                        unscored_min, tst_min, wake_min, light_min, deep_min, rem_min)
SELECT tenant_id, id, 'closed', now(), 'UTC', now(), now(), '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
       0, 0
  FROM devices WHERE name = 'd0'
""")
"""A night of each first device."""


def ordered(engine: Engine) -> operations.Operation:
    with transaction(engine) as connection:
        return stress.order(connection, WANTED, by="ann")


def enrolled(engine: Engine, tenant: str) -> None:
    with transaction(engine) as connection:
        stress.enrol(tenant, connection, ["d0", "d1"], f"listener@{tenant}", "secret")


def settings(url: str, folder: Path, stress: Allowed = "") -> Settings:
    return Settings(var=folder, database_url=SecretStr(url), stress=stress)


@pytest.fixture
def asker(database_url: str, tmp_path: Path) -> Iterator[Callable[[Allowed], Asker]]:
    """Make somebody who asks a listener, where loads are allowed or not."""
    with ExitStack() as ends:

        def make(stress: Allowed) -> Asker:
            app = create_internal_app(settings(database_url, tmp_path, stress))
            ends.callback(app.state.noctis.database.close)
            return Asker(app, "platform", "internal:read", "internal:run")

        yield make


def test_only_one_load_waits_or_runs_at_a_time(engine: Engine) -> None:
    first = ordered(engine)
    with pytest.raises(AlreadyExistsError, match=str(first.id)):
        ordered(engine)
    with transaction(engine) as connection:
        assert stress.cancel(connection, first.id).state == "cancelled"
    second = ordered(engine)
    with operation_queue.held(engine, second.number):
        with transaction(engine) as connection:
            assert stress.cancel(connection, second.id).state == "cancelling"
        with pytest.raises(AlreadyExistsError, match="cancelling"):
            ordered(engine)


def test_a_runner_takes_a_load_as_anything_else_and_no_tenant_sees_it(engine: Engine) -> None:
    made = ordered(engine)
    with transaction(engine) as connection:
        tenants.add(connection, "home")
        assert made.number in operation_queue.waiting(connection)
        work = operation_queue.take(connection, made.number)
        assert work is not None
        assert (work.tenant, work.kind, work.request) == ("", "stress", WANTED)
        listed = operations.list_of("home", connection, operations.KINDS, before=None, limit=9)
        assert listed == []


def test_a_loads_tenant_is_in_no_monitor_and_in_no_drift(engine: Engine) -> None:
    enrolled(engine, "stress-1")
    with transaction(engine) as connection:
        tenants.add(connection, "home")
        devices.add("home", connection, "d0")
        connection.execute(NIGHTS)
        assert [it.name for it in standing.of_tenants(connection)] == ["home"]
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        waiting = night_histograms.waiting(connection, long_ago, range(SHARDS), limit=9)
    assert [str(it.device) for it in waiting] == ["home/d0"]


def test_what_a_dead_runner_left_is_erased_and_what_a_living_one_has_in_hand_is_not(
    engine: Engine,
) -> None:
    made = ordered(engine)
    enrolled(engine, f"stress-{made.number}")
    enrolled(engine, "stress-4711")
    with operation_queue.held(engine, made.number), transaction(engine) as connection:
        assert stress.sweep(connection, by="stress") == ["stress-4711"]
    with transaction(engine) as connection:
        assert stress.sweep(connection, by="stress") == [f"stress-{made.number}"]
        assert stress.sweep(connection, by="stress") == []
        assert len(erasures.list_all(connection, running=True)) == 2


def test_a_load_is_ordered_read_and_cancelled_over_http_and_each_is_audited(
    engine: Engine, asker: Callable[[Allowed], Asker]
) -> None:
    ask = asker("allowed")
    answer = ask("POST", "/internal/stress", json=WANTED)
    assert answer.status_code == 202
    path = answer.headers["Location"]
    assert ask("GET", path).json()["state"] == "queued"
    assert problem_of(ask("POST", "/internal/stress", json=WANTED), 409)["type"].endswith(
        "exists"
    )
    assert ask("POST", f"{path}:cancel").json()["state"] == "cancelled"
    [listed] = ask("GET", "/internal/stress").json()["loads"]
    assert listed["request"] == WANTED
    with transaction(engine) as connection:
        entries = audit_reading.page(connection, audit_reading.Filter(), before=None, limit=9)
    assert [it.action for it in entries] == ["stress_cancelled", "stress_ordered"]
    assert {it.actor for it in entries} == {"unknown"}  # of a tenant that there is not


def test_a_load_is_refused_where_none_is_allowed_or_it_has_no_bounds(
    engine: Engine, asker: Callable[[Allowed], Asker]
) -> None:
    refused = problem_of(asker("")("POST", "/internal/stress", json={}), 403)
    assert "NOCTIS_STRESS" in refused["detail"]
    ask = asker("allowed")
    for wrong in (
        {"devices": 501},
        {"rate": 501},
        {"seconds": 301},
        {"rate": 0},
        {"devices": 1, "rate": 11},
    ):
        problem_of(ask("POST", "/internal/stress", json=wrong), 422)
    with transaction(engine) as connection:
        assert stress.list_all(connection, before=None, limit=9) == []


def test_a_runner_that_may_not_send_says_so_and_makes_no_tenant(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    made = ordered(engine)
    runner = Runner(settings(database_url, tmp_path))
    try:
        assert runner.turn()
    finally:
        runner.close()
    with transaction(engine) as connection:
        found = stress.get(connection, made.id)
        assert found.state == "failed"
        assert "not allowed" in (found.error or "")
        assert tenants.list_all(connection) == []
