"""What the doctor finds in a real database and at a real broker."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from broker.server import MosquittoServer
from cli.doctor import broker as broker_topic
from cli.doctor import clock, database, devices, line
from cli.doctor.findings import Finding, State
from cli.doctor.site import Site
from noctis.certificates import Certificate
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import certificates, dead_letters, migrate, reports, tenants
from noctis.storage import devices as stored_devices
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.settling_fixtures import STREAM, frame

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
BED = DeviceId("home", "bed")


@pytest.fixture
def site(
    own_postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCTIS_DATABASE_URL", own_postgres.url)
    yield Site(tmp_path)
    migrate.upgrade(own_postgres.url)


def bad(found: Iterator[Finding]) -> dict[str, Finding]:
    return {it.id: it for it in found if it.state is not State.OK}


def test_a_database_that_is_well_is_no_reason_for_a_word(site: Site) -> None:
    assert not bad(database.look(site))
    assert not bad(clock.look(site))


def test_a_schema_of_another_version_or_none_is_named(
    site: Site, own_postgres: PostgresServer
) -> None:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        [found] = bad(database.look(Site(site.var))).values()
        assert (found.name, found.cure[:14]) == ("other-schema", "noctis migrate")
        connection.execute("UPDATE alembic_version SET version_num = %s", [migrate.head()])
        connection.execute("ALTER TABLE alembic_version RENAME TO aside")
        try:
            assert "database/no-schema" in bad(database.look(Site(site.var)))
        finally:
            connection.execute("ALTER TABLE aside RENAME TO alembic_version")


def test_a_database_that_takes_no_writes_is_a_fault(
    site: Site, own_postgres: PostgresServer
) -> None:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            assert eventually(
                lambda: "database/read-only" in bad(database.look(Site(site.var)))
            )
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
    assert eventually(lambda: not bad(database.look(Site(site.var))))


def test_who_holds_a_lock_that_others_wait_for_is_named(
    site: Site, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = database.look
    monkeypatch.setattr("noctis.storage.health.server.__kwdefaults__", {"long_s": 0.2})
    name = "application_name=somebodys-report"
    with psycopg.connect(own_postgres.url + f"?{name}") as holder:
        holder.execute("LOCK TABLE jobs")
        other = psycopg.connect(own_postgres.url)
        waits = threading.Thread(target=lambda: other.execute("SELECT * FROM jobs"))
        waits.start()
        try:
            assert eventually(lambda: "database/blocked" in bad(asked(Site(site.var))))
            found = bad(asked(Site(site.var)))["database/blocked"]
            assert found.of == "somebodys-report"
            assert str(holder.info.backend_pid) in found.cure
        finally:
            holder.rollback()
            waits.join()
            other.close()


def test_a_password_that_is_wrong_is_told_from_a_database_that_is_away(
    site: Site, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = own_postgres.url.replace("noctis:", "noctis:x", 1)
    monkeypatch.setenv("NOCTIS_DATABASE_URL", wrong)
    assert list(bad(database.look(Site(site.var)))) == ["database/refuses"]
    nobody = own_postgres.url.replace(f":{own_postgres.port}/", f":{free_port()}/")
    monkeypatch.setenv("NOCTIS_DATABASE_URL", nobody)
    assert list(bad(database.look(Site(site.var)))) == ["database/unreachable"]
    monkeypatch.setenv("NOCTIS_DATABASE_URL", "mysql://somewhere")
    assert list(bad(database.look(Site(site.var)))) == ["database/no-address"]


def test_devices_without_a_clock_with_a_backlog_and_with_dead_letters_are_named(
    site: Site, own_postgres: PostgresServer
) -> None:
    status = Status(
        state="online",
        stream=f"{7:016x}",
        oldest_seq=1,
        next_seq=9000,
        backlog=8000,
        clock="unknown",
    )
    engine = create(own_postgres.url, application="noctis-test")
    with transaction(engine) as connection:
        tenants.add(connection, BED.tenant)
        stored_devices.add(BED.tenant, connection, BED.device)
        reports.store(connection, {BED: status})
        for number in range(12):
            dead_letters.put(
                *(BED.tenant, connection, BED.device),
                topic="",
                reason="crc",
                detail="",
                payload=bytes([number]),
            )
    engine.dispose()
    found = bad(devices.look(Site(site.var)))
    assert set(found) == {"devices/clock-unknown", "devices/backlog", "devices/dead-letters"}
    assert "home/bed" in found["devices/backlog"].seen
    assert not bad(line.look(Site(site.var)))


def test_a_device_whose_certificate_ends_soon_is_named(
    site: Site, own_postgres: PostgresServer
) -> None:
    engine = create(own_postgres.url, application="noctis-test")
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        tenants.add(connection, "inn")
        for name, days in (("good", 300), ("soon", 12), ("away", -200)):
            stored_devices.add("inn", connection, name)
            for number, until in enumerate((days, days - 400)):
                ends = (now - timedelta(days=900), now + timedelta(days=until))
                serial = f"{sum(name.encode()):x}{number}"
                made = Certificate("", f"inn/{name}", serial, serial * 8, *ends)
                certificates.record("inn", connection, made)
    engine.dispose()
    found = bad(devices.look(Site(site.var)))["devices/certificate-ends"]
    assert "inn/soon ends in 12 days; 1 devices" in found.seen
    assert "noctis ca issue inn/soon" in found.cure


def test_a_broker_that_answers_one_that_is_gone_and_a_stranger_are_told_apart(
    site: Site, broker: MosquittoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_BROKER_PORT", str(broker.port))
    assert not bad(broker_topic.look(Site(site.var)))
    monkeypatch.setenv("NOCTIS_BROKER_PORT", str(free_port()))
    assert list(bad(broker_topic.look(Site(site.var)))) == ["broker/unreachable"]
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        monkeypatch.setenv("NOCTIS_BROKER_PORT", str(stranger.getsockname()[1]))

        def greet() -> None:
            link, _ = stranger.accept()
            with link:
                link.sendall(b"220 mail\r\n")
                link.recv(100)

        greeter = threading.Thread(target=greet)
        greeter.start()
        assert list(bad(broker_topic.look(Site(site.var)))) == ["broker/stranger"]
        greeter.join()


def test_a_device_that_sends_what_it_kept_is_not_taken_for_one_that_hears_of_nothing(
    site: Site, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_DOCTOR_SERVICES", "runner=127.0.0.1:1")
    back, deaf = DeviceId("house", "back"), DeviceId("house", "deaf")
    engine = create(own_postgres.url, application="noctis-test")
    with transaction(engine) as connection:
        tenants.add(connection, "house")
        for at, (who, first) in enumerate(((back, 1), (deaf, 950))):
            stored_devices.add(who.tenant, connection, who.device)
            kept = frame(first, 50, stream=STREAM + at, utc=datetime.now(UTC))
            [verdict] = ingest(connection, [Received(who, kept)])
            assert verdict.stored == 50
            told = Status(
                state="online",
                stream=f"{STREAM + at:016x}",
                oldest_seq=1,
                next_seq=1000,
                backlog=50,
            )
            reports.store(connection, {who: told})
    engine.dispose()
    found = bad(line.look(Site(site.var)))
    assert "house/deaf" in found["line/acknowledgements-lost"].seen
    assert "house/back" not in found["line/acknowledgements-lost"].seen
