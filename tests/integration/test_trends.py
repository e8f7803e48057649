"""Weeks of nights in a real database: through the facade, the command line, and explained."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Engine, event, text

from noctis.storage import devices, recordings, trends
from noctis.storage.engine import transaction
from noctis.storage.recordings import Night
from tests.integration.facade_fixtures import Both, Facade, both, database, facade

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres

ZONE = "Europe/Berlin"
FIRST = date(2025, 3, 31)
DAYS = 365
EPOCHS = 960
SKIPPED = 100
"""Every so many evenings nobody was there."""


def night_of(evening: date) -> Night:
    """Return a night of eight hours from 23:00 on by the clock on the wall."""
    noon = datetime.combine(evening, time(12), ZoneInfo(ZONE))
    start = (noon + timedelta(hours=11)).astimezone(UTC)
    return Night(
        state="closed",
        evening=evening,
        time_zone=ZONE,
        started_at=start,
        ended_at=start + timedelta(seconds=30 * EPOCHS),
        hypnogram=(np.arange(EPOCHS) // 40 % 4).astype(np.uint8).tobytes(),
        model_id=None,
        moved=0,
        closes_at=None,
    )


_NEIGHBOURS = """
WITH made AS (
  INSERT INTO devices (tenant_id, name, time_zone)
  SELECT id, 'neighbour-' || n, 'UTC' FROM tenants, generate_series(1, 8) n WHERE name = 't1'
  RETURNING id
)
INSERT INTO recordings
SELECT (jsonb_populate_record(r, jsonb_build_object(
         'id', gen_random_uuid(), 'device_id', made.id))).*
  FROM recordings r, made
 WHERE r.device_id = (SELECT d.id FROM devices d JOIN tenants t ON t.id = d.tenant_id
                       WHERE t.name = 't1' AND d.name = 'd1')
"""
_HOURS = """
INSERT INTO epochs_hourly (tenant_id, device_id, hour, epochs, in_bed, heart_rate_count,
                           breathing_rate_count, movement_count, activity_count, quality_count)
SELECT tenant_id, id, h, 120, 0, 0, 0, 0, 0, 0
  FROM devices, generate_series(CAST(:since AS timestamptz), :until, '1 hour') h
 WHERE name = 'd1' OR name LIKE 'neighbour%'
"""


@pytest.fixture(scope="module")
def year(both: Both) -> Engine:
    """A year of nights of d1 in Berlin, a few evenings without one, every hour watched."""
    engine = both[1]
    with transaction(engine, 60) as connection:
        devices.set_time_zone("t1", connection, "d1", ZONE)
        key = devices.get("t1", connection, "d1").id
        for day in range(DAYS):
            if day % SKIPPED:
                recordings.add(connection, key, night_of(FIRST + timedelta(days=day)))
        connection.execute(text(_NEIGHBOURS))
        until = FIRST + timedelta(days=DAYS + 2)
        connection.execute(text(_HOURS), {"since": FIRST, "until": until})
        connection.execute(text("ANALYZE recordings, epochs_hourly"))
    return engine


def ask(facade: Facade, device: str = "d1", **query: object) -> dict[str, Any]:
    params = {name: str(value) for name, value in query.items()}
    response = facade.client.get(
        f"/v1/devices/{device}/trends", params=params, headers=facade.speaker("recordings:read")
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_a_year_is_told_week_by_week(facade: Facade, year: Engine) -> None:  # noqa: ARG001
    until = FIRST + timedelta(days=DAYS)
    found = ask(facade, weeks=53, until=until)
    assert len(found["weeks"]) == 53
    assert (found["nights"], found["missing"]) == (361, 4)
    assert found["until"] == str(until)
    spring, autumn = (
        next(it for it in found["weeks"] if it["monday"] == monday)
        for monday in ("2025-10-20", "2025-11-03")
    )
    for week in (spring, autumn):  # by the clock on the wall, whatever it does in the night
        assert week["figures"]["bedtime_min"]["median"] == 660
        assert week["figures"]["tib_min"]["median"] == 480
    assert autumn["regularity"] == pytest.approx(100)
    assert autumn["figures"]["rise_min"]["mean"] == 660 + 480
    assert spring["figures"]["rise_min"]["mean"] == pytest.approx(660 + 480 - 60 / 7)
    assert 95 < found["regularity"] < 100


def test_weeks_of_a_device_without_nights_are_all_missing(
    facade: Facade,
    year: Engine,  # noqa: ARG001
) -> None:
    found = ask(facade, "d2", weeks=2, until="2026-03-02")
    assert [(it["nights"], it["missing"]) for it in found["weeks"]] == [(0, 7), (0, 7)]
    assert found["regularity"] is None
    assert set(found["weeks"][0]["figures"].values()) == {None}


def test_anothers_device_is_not_found_and_weeks_have_bounds(facade: Facade) -> None:
    speaker = facade.speaker("recordings:read")
    for path, status in (("nobody/trends", 404), ("d1/trends?weeks=54", 422)):
        response = facade.client.get(f"/v1/devices/{path}", headers=speaker)
        assert response.status_code == status


@contextmanager
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Collect what is sent to the database."""
    seen: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        seen.append((arguments[2], arguments[3]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_year_takes_three_statements_and_each_walks_down_an_index(year: Engine) -> None:
    until = FIRST + timedelta(days=DAYS)
    with statements(year) as seen, transaction(year) as connection:
        found = trends.of("t1", connection, "d1", weeks=53, until=until, now=datetime.now(UTC))
    asked = [it for it in seen if "devices" in it[0] or "epochs_hourly" in it[0]]
    assert found.nights == 361
    assert len(asked) == 3
    with transaction(year) as connection:
        for statement, values in asked[1:]:
            rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", values)
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan on recordings" not in plan, plan
            assert "Seq Scan on epochs_hourly" not in plan, plan
