"""The database killed, restarted, frozen, cut off, slow, read-only, out of disk."""

from contextlib import suppress

import httpx
import psycopg
import pytest

from ingestor.service import RECEIVE_MAXIMUM
from noctis.epoch import encode_frame
from noctis.identity import DeviceId
from noctis.storage import accounts
from noctis.storage.engine import transaction
from noctis.topics import up
from tests.disks import fill, needs_small_disk
from tests.integration.broker_fixtures import eventually, password_of
from tests.integration.test_ingestor import Device, frame
from tests.rig import (
    DEADLINE_S,
    Rig,
    breaker,
    nothing_is_stored,
    recovery,
    until_it_is_felt,
    until_nothing_is_stored,
    waiting,
)

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(120)]
SEEN = 24
"""Epochs that are stored before a fault begins: all was well."""


def test_the_database_is_killed(rig: Rig) -> None:
    with rig.fleet("killed") as fleet:
        fleet.wait_until_stored(SEEN)
        rig.postgres.kill()
        assert eventually(lambda: breaker(rig) > 0)
        nothing_is_stored(rig, seconds=1.0)
        with recovery(rig, "database killed"):
            rig.postgres.start(rig.postgres.port)
        fleet.finish()


def test_the_facade_says_at_once_that_the_database_is_away_and_when_to_ask_again(
    rig: Rig,
) -> None:
    app = "phone@facade"
    rig.enrol(DeviceId("facade", "bed"))
    with transaction(rig.engine) as connection:
        accounts.add("facade", connection, app, "app", password_of(app))
    with httpx.Client(base_url=f"http://127.0.0.1:{rig.parts['api'].metrics_port}") as client:
        form = {"grant_type": "client_credentials", "client_id": app}
        form["client_secret"] = password_of(app)
        token = client.post("/v1/auth/token", data=form, timeout=20).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/v1/devices").status_code == 200
        rig.postgres.stop()
        answers = [client.get("/v1/devices") for _ in range(20)]
        assert rig.parts["api"].metric("noctis_breaker_state") > 0
        assert {it.status_code for it in answers} == {503}
        assert all(int(it.headers["Retry-After"]) >= 1 for it in answers)
        assert eventually(lambda: client.get("/readyz").status_code == 503)
        assert "database" in client.get("/readyz").json()["detail"]
        rig.postgres.start(rig.postgres.port)
        assert eventually(lambda: client.get("/v1/devices").status_code == 200, within_s=20)


def test_the_database_is_restarted_in_order(rig: Rig) -> None:
    with rig.fleet("restarted") as fleet:
        fleet.wait_until_stored(SEEN)
        rig.postgres.stop()
        with recovery(rig, "database restarted"):
            rig.postgres.start(rig.postgres.port)
        fleet.finish()


def test_the_database_is_frozen_for_longer_than_the_deadline(rig: Rig) -> None:
    with rig.fleet("frozen") as fleet:
        fleet.wait_until_stored(SEEN)
        rig.postgres.freeze()
        try:
            until_it_is_felt(rig)
            nothing_is_stored(rig, seconds=DEADLINE_S)
        finally:
            with recovery(rig, "database frozen"):
                rig.postgres.thaw()
        fleet.finish()


def test_a_flood_on_a_frozen_database_is_held_back_and_takes_no_memory(rig: Rig) -> None:
    flooder = DeviceId("flood", "bed")
    rig.enrol(flooder)
    payloads = [encode_frame(frame(seq)) for seq in range(2, RECEIVE_MAXIMUM + 1002)]
    device = Device(rig.broker.port, flooder)
    device._client.max_inflight_messages_set(2000)
    with device:
        device.send(frame(1))
        device.acked(1)
        resident = rig.ingestor.resident_bytes()
        rig.postgres.freeze()
        try:
            for payload in payloads:
                device._client.publish(up(flooder, "backlog"), payload, qos=1)
            assert eventually(lambda: waiting(rig) == RECEIVE_MAXIMUM, within_s=30)
            assert device.hears_nothing(1.0)
            assert waiting(rig) == RECEIVE_MAXIMUM
            assert rig.ingestor.resident_bytes() - resident < 64 << 20
        finally:
            with recovery(rig, "database frozen under a flood"):
                rig.postgres.thaw()
        acked = {it.first for it in device.acked(len(payloads), timeout=60)}
    assert acked == set(range(2, len(payloads) + 2))
    stored = [epoch.seq for epoch in rig.stored("flood")]
    assert sorted(stored) == list(range(1, len(payloads) + 2))
    rig.sql("DELETE FROM outbox")  # nobody asks for the stages of these


def test_the_answers_of_the_database_are_lost_for_a_while(rig: Rig) -> None:
    """What it commits meanwhile nobody hears of: it comes again, and is known."""
    with rig.fleet("parted") as fleet:
        fleet.wait_until_stored(SEEN)
        rig.proxy.held.add("answers")
        try:
            until_it_is_felt(rig)
            nothing_is_stored(rig, seconds=0.5 * DEADLINE_S)
        finally:
            with recovery(rig, "answers of the database held back"):
                rig.proxy.held.clear()
        fleet.finish()


def test_a_slow_database_is_waited_for_before_anything_is_acknowledged(rig: Rig) -> None:
    patient = DeviceId("slow", "patient")
    with rig.fleet("slow") as fleet:
        rig.enrol(patient)
        fleet.wait_until_stored(SEEN)
        rig.proxy.delay_s = 0.02
        try:
            with Device(rig.broker.port, patient) as device:
                for seq in range(1, 4):
                    device.send(frame(seq, stream=0xABC))
                    [told] = device.ack().ranges
                    stored = [it.seq for it in rig.stored("slow") if it.stream == 0xABC]
                    assert told.first == seq
                    assert seq in stored  # already, as anyone else may see
            fleet.process.wait(60)
        finally:
            rig.proxy.delay_s = 0.0
    made = fleet.made()
    assert len(rig.stored("slow")) == len(made) + 3


def test_the_database_takes_no_writes(rig: Rig) -> None:
    with rig.fleet("readonly") as fleet:
        fleet.wait_until_stored(SEEN)
        rig.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        rig.sql("SELECT pg_reload_conf()")
        try:
            until_it_is_felt(rig)
            nothing_is_stored(rig, seconds=1.0)
            assert breaker(rig) == 0.0  # it answers: others still read
        finally:
            with recovery(rig, "database read-only"):
                rig.sql("ALTER SYSTEM RESET default_transaction_read_only")
                rig.sql("SELECT pg_reload_conf()")
        fleet.finish()


@needs_small_disk
def test_the_disk_of_the_data_is_full(rig: Rig) -> None:
    with rig.fleet("full", hours=2.0) as fleet:
        fleet.wait_until_stored(SEEN)
        filler = fill(rig.data_disk)
        until_it_is_felt(rig)
        until_nothing_is_stored(rig, seconds=1.0)
        assert "No space left on device" in rig.ingestor.log.read_text()
        with recovery(rig, "disk of the data full"):
            filler.unlink()
        fleet.finish()


@needs_small_disk
def test_the_disk_of_the_log_is_full(rig: Rig) -> None:
    """PostgreSQL panics then, and has to be started again once there is room."""
    with rig.fleet("panic", hours=2.0) as fleet:
        fleet.wait_until_stored(SEEN)
        filler = fill(rig.log_disk, leave=1 << 20)
        with suppress(psycopg.Error):
            for _ in range(2 * 96):
                rig.sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))")
        assert "PANIC" in rig.postgres.log_file.read_text()
        until_it_is_felt(rig)
        nothing_is_stored(rig, seconds=1.0)
        filler.unlink()
        rig.postgres.kill()  # whatever it was about to do
        with recovery(rig, "disk of the log full"):
            rig.postgres.start(rig.postgres.port)
        fleet.finish()
