"""Alerts in the real database: what the rules see, what is committed, and what is told."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from broker.server import MosquittoServer
from companion.alerts import Alerts, Tidings, evaluate
from noctis.alerts import DEFAULTS, RULES, Name, Rule
from noctis.epoch import Frame, Run
from noctis.features import FEATURES, NAMES
from noctis.identity import DeviceId
from noctis.mqtt import Session
from noctis.settings import Settings
from noctis.status import Status
from noctis.storage import (
    alert_events,
    alert_rules,
    alert_watches,
    alerts,
    devices,
    reports,
    retention,
)
from noctis.storage.alert_events import Event
from noctis.storage.alerts import Alert
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from tests.integration.broker_fixtures import Client, eventually, link, on_loop, until
from tests.integration.broker_fixtures import accounts as broker_accounts
from tests.integration.settling_fixtures import BED, COT, STREAM, home, send

__all__ = ["home"]

pytestmark = pytest.mark.postgres
ALL = frozenset(range(64))
AT_ONCE = Rule(threshold=60)
ONLINE = Status(state="online", stream=f"{STREAM:016x}", oldest_seq=0, next_seq=5, backlog=0)
RATE = NAMES.index("rr_mean")


def rule(engine: Engine, name: Name, rule: Rule, tenant: str = "home") -> None:
    with transaction(engine) as connection:
        alert_rules.put(tenant, connection, name, rule)


def looked(engine: Engine, name: Name, *, listening_s: float = 1e6) -> tuple[int, int]:
    with transaction(engine, 30) as connection:
        return evaluate(connection, name, ALL, listening_s=listening_s)


def known(engine: Engine, tenant: str = "home", **filters: Any) -> list[Alert]:  # noqa: ANN401
    with transaction(engine) as connection:
        return alerts.list_of(tenant, connection, **filters)


def untold(engine: Engine) -> list[Event]:
    with transaction(engine) as connection:
        return alert_events.untold(connection, ALL, limit=1000)


def heard(engine: Engine, device: DeviceId, *, ago_s: int, state: str = "online") -> None:
    status = ONLINE.model_copy(update={"state": state})
    with transaction(engine) as connection:
        reports.store(connection, {device: status})
        connection.execute(
            text(
                "UPDATE device_reports SET reported_at = now() - make_interval(secs => :ago) "
                "WHERE device_id = (SELECT id FROM devices WHERE name = :name "
                "AND tenant_id = (SELECT id FROM tenants WHERE name = :tenant))"
            ),
            {"ago": ago_s, "name": device.device, "tenant": device.tenant},
        )


def slept(
    engine: Engine,
    first: int,
    breathing: list[bool],
    *,
    ago_s: int,
    in_bed: bool = True,
    device: DeviceId = BED,
) -> None:
    """Store epochs, the first of which began so long ago, with or without a breathing rate."""
    count = len(breathing)
    codes = np.tile(np.array([3 for _ in FEATURES], np.int16), (count, 1))
    codes[~np.array(breathing), RATE] = FEATURES[RATE].missing
    utc = datetime.now(UTC) - timedelta(seconds=ago_s)
    run = Run(0, 0, 1, 10, int(utc.timestamp()))
    stream = STREAM + (device != BED)
    lain = np.full(count, in_bed)
    send(engine, Frame(stream, first, first - 1, run, codes, lain), device=device)


def test_a_lost_device_is_silent_after_the_threshold_and_clears_when_it_is_back(
    home: Engine,
) -> None:
    rule(home, "silent", Rule(threshold=60, raise_after=2, clear_after=2, cooldown_s=600))
    heard(home, BED, ago_s=30, state="lost")
    heard(home, COT, ago_s=30)
    assert [looked(home, "silent") for _ in range(3)] == [(0, 0)] * 3
    heard(home, BED, ago_s=70, state="lost")
    assert [looked(home, "silent") for _ in range(4)] == [(0, 0), (1, 0), (0, 0), (0, 0)]
    [found] = known(home)
    assert (found.device, found.rule, found.state) == ("bed", "silent", "open")
    assert found.details == {"value": 70, "threshold": 60, "unit": "s"}
    heard(home, BED, ago_s=0)
    assert [looked(home, "silent") for _ in range(3)] == [(0, 0), (0, 1), (0, 0)]
    heard(home, BED, ago_s=70, state="lost")  # within the cooldown
    assert [looked(home, "silent") for _ in range(3)] == [(0, 0)] * 3
    assert [it.state for it in untold(home)] == ["raised", "cleared"]


def test_a_device_that_says_online_is_silent_when_two_of_its_reports_are_missing(
    home: Engine,
) -> None:
    rule(home, "silent", AT_ONCE)
    heard(home, BED, ago_s=650)
    assert looked(home, "silent") == (0, 0)
    heard(home, BED, ago_s=670)
    with transaction(home) as connection:
        connection.execute(
            text(
                "INSERT INTO config_reports (device_id, version, body) SELECT id, 1, "
                """'{"settings": {"report_s": 600}}' FROM devices WHERE name = 'bed'"""
            )
        )
    assert looked(home, "silent") == (0, 0)
    heard(home, BED, ago_s=1330)
    assert looked(home, "silent") == (1, 0)


def test_nobody_is_called_silent_while_the_platform_itself_does_not_listen(
    home: Engine,
) -> None:
    rule(home, "silent", AT_ONCE)
    heard(home, BED, ago_s=700)
    heard(home, COT, ago_s=700, state="lost")
    assert looked(home, "silent", listening_s=0.0) == (0, 0)
    assert looked(home, "silent", listening_s=30.0) == (1, 0)
    assert looked(home, "silent", listening_s=650.0) == (0, 0)
    assert looked(home, "silent", listening_s=670.0) == (1, 0)
    assert {it.device for it in known(home)} == {"bed", "cot"}


def test_what_the_broker_kept_and_says_again_is_no_sign_of_life(home: Engine) -> None:
    rule(home, "silent", Rule(threshold=60, clear_after=1))
    heard(home, BED, ago_s=700)
    assert looked(home, "silent") == (1, 0)
    with transaction(home) as connection:
        reports.store(connection, {BED: ONLINE}, repeated={BED})
    assert looked(home, "silent") == (0, 0)
    with transaction(home) as connection:
        other = ONLINE.model_copy(update={"next_seq": 6})
        reports.store(connection, {BED: other}, repeated={BED})
    assert looked(home, "silent") == (0, 1)
    heard(home, BED, ago_s=700)
    assert looked(home, "silent") == (1, 0)
    with transaction(home) as connection:
        reports.store(connection, {BED: ONLINE})
    assert looked(home, "silent") == (0, 1)


def test_epochs_in_bed_without_a_breathing_rate_raise_and_breathing_clears(
    home: Engine,
) -> None:
    rule(home, "no_breathing", Rule(threshold=120, raise_after=1, clear_after=2))
    slept(home, 1, [True, False, False, False], ago_s=210)
    assert looked(home, "no_breathing") == (0, 0)
    slept(home, 11, [False], ago_s=90)
    assert looked(home, "no_breathing") == (1, 0)
    [found] = known(home)
    assert found.details == {"value": 120, "threshold": 120, "unit": "s"}
    assert "not a medical device" in found.message
    slept(home, 21, [True], ago_s=60)
    assert looked(home, "no_breathing") == (0, 0)
    slept(home, 31, [False], ago_s=30)  # speaks neither for it nor against it
    assert looked(home, "no_breathing") == (0, 0)
    slept(home, 41, [True], ago_s=0)
    assert looked(home, "no_breathing") == (0, 1)


def test_an_empty_bed_does_not_breathe_and_nobody_minds(home: Engine) -> None:
    rule(home, "no_breathing", AT_ONCE)
    slept(home, 1, [False] * 6, ago_s=180, in_bed=False)
    assert looked(home, "no_breathing") == (0, 0)
    slept(home, 11, [False] * 2, ago_s=60, device=COT)
    assert looked(home, "no_breathing") == (1, 0)
    slept(home, 21, [False], ago_s=1, in_bed=False, device=COT)
    assert looked(home, "no_breathing") == (0, 1)
    [event] = [it for it in untold(home) if it.state == "cleared"]
    assert "nobody is reported in bed" in event.message


def test_old_epochs_say_nothing_about_breathing(home: Engine) -> None:
    rule(home, "no_breathing", AT_ONCE)
    slept(home, 1, [False] * 10, ago_s=900)
    assert looked(home, "no_breathing") == (0, 0)


def test_epochs_that_are_missing_raise_and_those_that_come_late_clear(home: Engine) -> None:
    rule(home, "missing_epochs", Rule(threshold=5))
    begin = datetime.now(UTC) - timedelta(minutes=40)
    run = Run(0, 0, 1, 10, int(begin.timestamp()))

    def part(first: int, count: int) -> Frame:
        codes = np.full((count, len(FEATURES)), 3, np.int16)
        return Frame(STREAM, first, 0, run, codes, np.ones(count, np.bool_))

    send(home, part(1, 4), part(10, 4))
    assert looked(home, "missing_epochs") == (1, 0)
    assert known(home)[0].details["value"] == 5
    send(home, part(5, 1), backlog=True)
    assert looked(home, "missing_epochs") == (0, 1)


def test_a_devices_newest_report_on_drift_raises_and_a_stable_one_clears(home: Engine) -> None:
    report = text(
        "INSERT INTO drift_reports (tenant_id, device_id, model, day, verdict, body) "
        "SELECT tenant_id, id, 'stager@1', CAST(:day AS date), :verdict, '{}' FROM devices "
        "WHERE name = 'cot'"
    )
    told = []
    for day, verdict in enumerate(("stable", "drift", "unknown", "drift", "stable"), 1):
        with transaction(home) as connection:
            connection.execute(report, {"day": f"2026-11-0{day}", "verdict": verdict})
        told.append(looked(home, "drift"))
    assert told == [(0, 0), (1, 0), (0, 0), (0, 0), (0, 1)]


@pytest.mark.parametrize("how", ["disabled", "revoked"])
def test_an_alert_of_whom_nobody_watches_any_more_is_cleared(home: Engine, how: str) -> None:
    rule(home, "silent", Rule(threshold=60, clear_after=9))
    heard(home, BED, ago_s=700)
    assert looked(home, "silent") == (1, 0)
    with transaction(home) as connection:
        if how == "disabled":
            alert_rules.put("home", connection, "silent", Rule(enabled=False, threshold=60))
        else:
            devices.revoke("home", connection, "bed")
    assert looked(home, "silent") == (0, 1)
    assert looked(home, "silent") == (0, 0)
    assert "nobody looks any more" in untold(home)[-1].message
    with transaction(home) as connection:
        assert connection.scalar(text("SELECT count(*) FROM alert_watches")) == 0


def test_a_fleet_that_is_well_leaves_no_row_and_costs_none(home: Engine) -> None:
    for device in (BED, COT):
        heard(home, device, ago_s=1)
    slept(home, 1, [True] * 8, ago_s=240)
    with transaction(home, 30) as connection:
        for name in RULES:
            assert alert_watches.look(connection, name, listening_s=1e6) == []
        assert connection.scalar(text("SELECT count(*) FROM alert_watches")) == 0


def test_two_that_look_at_once_raise_one_alert_and_tell_it_once(home: Engine) -> None:
    rule(home, "silent", AT_ONCE)
    heard(home, BED, ago_s=700)
    with transaction(home) as one, transaction(home) as other:
        looks = alert_watches.look(one, "silent", listening_s=1e6)
        again = alert_watches.look(other, "silent", listening_s=1e6)
        told = [alert_watches.Told(looks[0], "silent", {})]
        assert alert_watches.raise_(one, "silent", looks[0].at, told) == 1
        one.commit()
        told = [alert_watches.Told(again[0], "silent", {})]
        assert alert_watches.raise_(other, "silent", again[0].at, told) == 0
    assert len(known(home)) == len(untold(home)) == 1


def test_the_first_who_acknowledges_is_kept_and_told_once(home: Engine) -> None:
    rule(home, "silent", AT_ONCE)
    heard(home, BED, ago_s=700)
    looked(home, "silent")
    [raised] = known(home, acknowledged=False)
    with transaction(home) as connection:
        first, is_first = alerts.acknowledge("home", connection, raised.id, by="user:ann@home")
        again = alerts.acknowledge("home", connection, raised.id, by="user:bob@home")
        with pytest.raises(NotFoundError):
            alerts.acknowledge("away", connection, raised.id, by="user:eve@away")
    assert is_first
    assert again == (first, False)
    assert (first.acknowledged_by, first.state) == ("user:ann@home", "open")
    assert [it.state for it in untold(home)] == ["raised", "acknowledged"]
    assert known(home, acknowledged=True) == known(home, state="open") == [first]
    assert known(home, acknowledged=False) == known(home, state="cleared") == []
    assert known(home, device="cot") == known(home, rule="drift") == known(home, "away") == []


def test_of_two_who_acknowledge_at_the_same_moment_one_is_the_first(home: Engine) -> None:
    rule(home, "silent", AT_ONCE)
    heard(home, BED, ago_s=700)
    looked(home, "silent")
    [raised] = known(home, acknowledged=False)

    def acknowledged(by: str) -> bool:
        with transaction(home) as connection:
            return alerts.acknowledge("home", connection, raised.id, by=by)[1]

    with ThreadPoolExecutor(1) as pool:
        with transaction(home) as connection:
            _, is_first = alerts.acknowledge("home", connection, raised.id, by="user:ann@home")
            later = pool.submit(acknowledged, "user:bob@home")
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            assert eventually(lambda: connection.scalar(text(waiting)) > 0)
        assert (is_first, later.result(20)) == (True, False)


def test_a_rule_is_as_by_default_until_it_is_changed_and_then_of_the_next_version(
    home: Engine,
) -> None:
    with transaction(home) as connection:
        assert {it.name: it.rule for it in alert_rules.list_of("home", connection)} == DEFAULTS
        other = Rule(threshold=900, raise_after=3, clear_after=4, cooldown_s=5)
        made = alert_rules.put("home", connection, "silent", other)
        assert (made.version, made.rule) == (1, other)
        assert alert_rules.put("home", connection, "silent", other) == made
        assert alert_rules.put("home", connection, "silent", DEFAULTS["silent"]).version == 2
        assert alert_rules.get("away", connection, "silent").version == 0


def test_alerts_go_as_old_as_their_tenant_keeps_and_open_ones_stay(home: Engine) -> None:
    rule(home, "silent", AT_ONCE)
    for device in (BED, COT):
        heard(home, device, ago_s=700)
    looked(home, "silent")
    heard(home, COT, ago_s=0)
    looked(home, "silent")
    with transaction(home) as connection:
        connection.execute(
            text(
                "UPDATE alerts SET raised_at = raised_at - interval '400 days', "
                "cleared_at = cleared_at - interval '400 days'"
            )
        )
        for due in retention.due(connection, ALL, timedelta(days=100)):
            retention.step(connection, due)
    assert [it.device for it in known(home)] == ["bed"]
    assert {it.device.device for it in untold(home)} == {"bed"}


class Apps:
    """A home's telephone, a companion's session, and a database to tell from."""

    def __init__(self, engine: Engine, url: str, broker: MosquittoServer) -> None:
        self.engine = engine
        self.broker = broker
        self.database = Database(Settings(database_url=SecretStr(url)), application="test")
        self.session = Session(link(broker, "svc-companion-0"))
        self.tidings = Tidings(self.database, self.session, ALL)

    def turn(self, *, fails: bool = False) -> None:
        """Tell what is untold; ``fails``: cut off before it is noted as told."""

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.session.run())
                await until(lambda: self.session.ready)
                if fails:
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr(alert_events, "told", _crash)
                        with pytest.raises(ZeroDivisionError):
                            await self.tidings.turn()
                else:
                    await self.tidings.turn()
                await self.session.stop()
                running.cancel()
            self.session = Session(link(self.broker, "svc-companion-0"))
            self.tidings = Tidings(self.database, self.session, ALL)

        on_loop(main)


def _crash(*_: object) -> None:
    raise ZeroDivisionError


@pytest.fixture
def apps(home: Engine, database_url: str, broker: MosquittoServer) -> Iterator[Apps]:
    broker.reload(broker_accounts("phone@home"))
    made = Apps(home, database_url, broker)
    yield made
    made.database.close()


@pytest.mark.broker
def test_a_transition_is_told_after_its_commit_and_again_by_the_same_id_after_a_crash(
    apps: Apps,
) -> None:
    rule(apps.engine, "silent", AT_ONCE)
    heard(apps.engine, BED, ago_s=700)
    looked(apps.engine, "silent")
    [raised] = untold(apps.engine)
    with Client(apps.broker.port, "phone@home") as phone:
        phone.subscribe("noctis/v1/app/home/#")
        apps.turn(fails=True)
        assert untold(apps.engine) == [raised]
        apps.turn()
        apps.turn()
        messages = [phone.next(), phone.next()]
        assert phone.topics() == []
    assert {it.topic for it in messages} == {"noctis/v1/app/home/bed/alert"}
    assert not any(it.retain for it in messages)
    first, second = (json.loads(it.payload) for it in messages)
    assert first == second
    assert first == {
        "id": raised.id,
        "alert": known(apps.engine)[0].id,
        "rule": "silent",
        "state": "raised",
        "event_type": "silent",
        "at": raised.at.isoformat(),
        "message": raised.message,
        "details": {"value": first["details"]["value"], "threshold": 60, "unit": "s"},
    }
    assert untold(apps.engine) == []


@pytest.mark.broker
def test_the_companions_part_looks_by_each_rule_at_its_own_pace(apps: Apps) -> None:
    for name in RULES:
        rule(apps.engine, name, Rule(threshold=DEFAULTS[name].threshold))
    slept(apps.engine, 1, [False] * 12, ago_s=360)
    part = Alerts(apps.database, apps.session, ALL)

    async def main() -> None:
        await part.turn()
        await part.turn()

    on_loop(main)
    assert [it.rule for it in known(apps.engine)] == ["no_breathing"]
    assert part._listening_s() == 0.0


def test_a_look_reads_the_newest_epochs_of_a_device_by_the_key_however_many_there_are(
    home: Engine,
) -> None:
    slept(home, 1, [True] * 60, ago_s=1800)
    statement = alert_watches._LOOKS["no_breathing"]
    rule = DEFAULTS["no_breathing"]
    keys = {
        "rule": "no_breathing",
        **{it: getattr(rule, it) for it in alert_watches._RULE},
    }
    with transaction(home) as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        plan = [*connection.scalars(text(f"EXPLAIN {statement.text}"), keys)]
    scans = [line for line in plan if " on epochs" in line or "_hyper_" in line]
    assert scans
    assert all("Index" in line for line in scans), plan
    assert any(line.strip().startswith("->  Limit") for line in plan), plan
