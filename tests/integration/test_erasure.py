"""Erasures leave nothing in any table and on no topic, and nothing of it comes back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from typer.testing import CliRunner

from cli.main import app
from noctis import topics
from noctis.ack import DISPOSED, STORED
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import (
    accounts,
    commands,
    dead_letters,
    devices,
    erasing,
    erasures,
    predictions,
    tenants,
    void_tokens,
)
from noctis.storage.engine import transaction
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.predictions import Prediction
from tests.integration.broker_fixtures import (
    password_of,
)
from tests.integration.flash_fixtures import play_offline
from tests.integration.houses import (
    _OWNED,
    GONE,
    OTHER,
    STREAM,
    TWIN,
    House,
    content,
    house,
    of,
    tables_that_name,
    traces,
)
from tests.integration.test_ingestor import Running
from tests.integration.test_storage_ingest import NOW, frame, send

__all__ = ["house"]

pytestmark = [pytest.mark.postgres, pytest.mark.broker]


def test_everything_of_a_device_goes_everywhere_and_nothing_of_others(house: House) -> None:
    gone = house.keys[GONE]
    owned = traces(house.engine, "device_id", gone)
    with transaction(house.engine) as connection:
        everything = set(connection.scalars(_OWNED, {"column": "device_id"}).all())
    assert everything - owned == {"erasures"}, "let fill() leave something in these tables"
    others = {who: content(house.engine, house.keys[who]) for who in (TWIN, OTHER)}
    assert house.retained() >= of(GONE)

    number = house.ask(GONE.tenant, GONE.device)
    house.carry_out(turns=1)
    assert house.get(number).state == "erased"
    house.carry_out(turns=1)

    done = house.get(number)
    assert (done.state, done.subject, done.device_id) == ("done", None, gone)
    assert {table for table, count in done.counts.items() if count} == {
        *(owned - {"streams"}),
        "dead_letters",
    }
    assert done.counts["epochs"] == 49
    assert traces(house.engine, "device_id", gone) == {"erasures"}
    assert tables_that_name(house.engine, str(GONE)) == set()
    with transaction(house.engine) as connection:
        with pytest.raises(NotFoundError):
            devices.get(GONE.tenant, connection, GONE.device)
        stream = connection.execute(text("SELECT * FROM streams WHERE stream = 1")).one()
    assert (stream.device_id, stream.tenant_id) == (None, None)
    assert stream.closed_at is not None
    assert {who: content(house.engine, house.keys[who]) for who in others} == others
    left = house.retained()
    assert not left & of(GONE)
    assert left >= {*topics.retained_for_apps(TWIN), topics.up(TWIN, "status")}
    assert left >= {topics.up(OTHER, "status"), topics.tenant_status(GONE.tenant)}


def test_from_the_moment_of_asking_nothing_comes_in(house: House) -> None:
    house.ask(GONE.tenant, GONE.device)
    late = frame(301, 5, run_seq=300, stream=STREAM[GONE])
    assert send(house.engine, late, device=GONE)[0].code == DISPOSED
    with transaction(house.engine) as connection:
        active = {it.username for it in accounts.active(connection)}
    assert str(GONE) not in active
    assert {str(TWIN), str(OTHER)} <= active
    house.carry_out()
    for sender in (GONE, TWIN):
        assert send(house.engine, late, device=sender)[0].code == DISPOSED
    assert traces(house.engine, "device_id", house.keys[GONE]) == {"erasures"}


def test_a_tenant_goes_with_its_devices_its_apps_and_its_name(house: House) -> None:
    others = content(house.engine, house.keys[OTHER])
    with transaction(house.engine) as connection:
        dead_letters.put(
            GONE.tenant, connection, "stranger", topic="", reason="crc", detail="", payload=b""
        )
        tenant = tenants.id_of(GONE.tenant, connection)
    number = house.ask(GONE.tenant, None)
    house.carry_out()
    assert house.get(number).state == "done"
    for who in (GONE, TWIN):
        assert traces(house.engine, "device_id", house.keys[who]) == set()
    assert traces(house.engine, "tenant_id", tenant) == {"erasures"}
    assert tables_that_name(house.engine, GONE.tenant, TWIN.device) == set()
    with transaction(house.engine) as connection:  # its tokens stay void
        _, void = void_tokens.list_all(connection)
    assert void_tokens.digest(f"phone@{GONE.tenant}") in void
    assert content(house.engine, house.keys[OTHER]) == others
    assert house.retained() == {
        topics.up(OTHER, "status"),
        *(t for t in topics.retained_of_device(OTHER) if "/down/" in t),
    }


def test_what_was_written_between_the_two_looks_goes_too(house: House) -> None:
    number = house.ask(GONE.tenant, GONE.device)
    house.carry_out(turns=1)
    with transaction(house.engine) as connection:
        predictions.store(
            connection,
            1,
            [Prediction(house.keys[GONE], 1, 7, NOW, Stage.REM, None)],
        )
        dead_letters.put(
            GONE.tenant,
            connection,
            GONE.device,
            topic="",
            reason="revoked_device",
            detail="",
            payload=b"",
        )
    house.carry_out(turns=3, again_s=3600)
    assert house.get(number).state == "erased"
    house.carry_out(turns=1)
    assert house.get(number).state == "done"
    assert traces(house.engine, "device_id", house.keys[GONE]) == {"erasures"}
    assert tables_that_name(house.engine, str(GONE)) == set()


def test_the_names_go_in_one_transaction_with_whatever_came_last(house: House) -> None:
    number = house.ask(GONE.tenant, GONE.device)
    with transaction(house.engine, 60) as connection:
        erasure = erasures.get(connection, number)
        erasing.finish(connection, erasure, erasing.subjects(connection, erasure))
    assert traces(house.engine, "device_id", house.keys[GONE]) == {"erasures"}
    assert tables_that_name(house.engine, str(GONE)) == set()
    assert house.get(number).counts["epochs"] == 49


def test_an_erasure_that_is_cut_off_is_taken_up_where_it_was(house: House) -> None:
    number = house.ask(GONE.tenant, GONE.device)
    for _ in range(6):
        with transaction(house.engine) as connection:
            erasure = erasures.get(connection, number)
            [subject] = erasing.subjects(connection, erasure)
            gone = erasing.step(connection, erasure, subject, limit=5)
            assert sum(gone.values()) <= 7
    assert 40 > house.get(number).counts["epochs"] > 0
    house.carry_out()
    done = house.get(number)
    assert (done.state, done.counts["epochs"], done.counts["predictions"]) == ("done", 49, 40)


def test_a_kept_device_may_go_on_in_a_new_stream_alone(house: House) -> None:
    number = house.ask(GONE.tenant, GONE.device, keep_device=True)
    house.carry_out()
    assert house.get(number).state == "done"
    old = frame(1, 4, stream=STREAM[GONE])
    assert send(house.engine, old, device=GONE)[0].code == DISPOSED
    assert send(house.engine, frame(1, 4, stream=77), device=GONE)[0].code == STORED
    with transaction(house.engine) as connection:
        assert str(GONE) in {it.username for it in accounts.active(connection)}
        count = connection.scalar(select(text("count(*) FROM epochs WHERE device_id = 1")))
    assert count == 4
    assert not house.retained() & of(GONE)


def test_nobody_asks_twice_and_nobody_for_what_is_not_there(house: House) -> None:
    house.ask(GONE.tenant, GONE.device)
    with pytest.raises(AlreadyExistsError):
        house.ask(GONE.tenant, GONE.device)
    house.ask(GONE.tenant, None)
    with pytest.raises(AlreadyExistsError):
        house.ask(GONE.tenant, TWIN.device)
    with pytest.raises(NotFoundError):
        house.ask(OTHER.tenant, TWIN.device)
    with pytest.raises(NotFoundError):
        house.ask("nobody", None)


def test_the_command_asks_before_it_erases(house: House) -> None:
    def run(*arguments: str, typed: str | None = None) -> tuple[int, str]:
        environment = {"NOCTIS_DATABASE_URL": house.url}
        done = CliRunner().invoke(app, arguments, env=environment, input=typed)
        return done.exit_code, done.stdout

    assert run("erase", str(GONE))[0] != 0  # nobody sits there
    assert json.loads(run("erasure", "--json")[1]) == []
    code, said = run("erase", str(GONE), "--yes", "--json")
    assert code == 0
    asked = json.loads(said)
    assert (asked["state"], asked["subject"]) == ("requested", str(GONE))
    house.carry_out()
    code, said = run("erasure", str(asked["erasure"]), "--json")
    shown = json.loads(said)
    assert (code, shown["state"], shown["subject"]) == (0, "done", None)
    assert shown["counts"]["epochs"] == 49
    assert f"erasure {asked['erasure']} of a device: done" in run("erasure")[1]


@pytest.fixture
def ingestor(house: House, tmp_path: Path) -> Iterator[Running]:
    process = Running(house.broker.port, house.url, tmp_path / "ingestor.log")
    yield process
    process.child.kill()


def erases_of(house: House, who: DeviceId) -> set[str]:
    """Return the streams that a device is ordered to erase."""
    with transaction(house.engine) as connection:
        ordered = commands.list_of(who.tenant, connection, who.device)
    assert all(it.body["command"] == "erase" for it in ordered)
    return {it.body["stream"] for it in ordered}


def test_a_device_that_sends_all_its_flash_again_is_told_to_forget_it(
    house: House, ingestor: Running, tmp_path: Path
) -> None:
    played = play_offline(GONE, tmp_path, "--hours", 3)
    flash = tmp_path / f"{GONE.device}.nor"
    before = flash.read_bytes()

    def deliver(name: str) -> None:
        """Let the device send what its flash holds, until nothing is left to send."""
        program = Path(sys.executable).with_name("noctis-device")
        names = ["--tenant", GONE.tenant, "--device", GONE.device, "--port"]
        files = ["--nor", str(flash), "--log", str(tmp_path / name)]
        night = ["--hours", "0.02", "--speed", "max", "--once"]
        environment = {**os.environ, "NOCTIS_DEVICE_PASSWORD": password_of(str(GONE))}
        subprocess.run(
            [program, *names, str(house.broker.port), *files, *night],
            env=environment,
            check=True,
            capture_output=True,
            timeout=90,
        )

    deliver("first.jsonl")
    stream = int(played.log[0]["stream"], 16)
    with transaction(house.engine) as connection:
        count = connection.scalar(
            text("SELECT count(*) FROM epochs WHERE stream = :s"),
            {"s": stream - (stream >> 63 << 64)},
        )
    assert count >= len(played.log)
    disposed = ingestor.metric("noctis_ingest_disposed_total")

    number = house.ask(GONE.tenant, GONE.device, keep_device=True)
    house.carry_out()
    assert house.get(number).state == "done"
    # The same chip, as it was before anything of it was acknowledged.
    with flash.open("r+b") as chip:
        chip.write(before)
    deliver("second.jsonl")
    assert ingestor.metric("noctis_ingest_disposed_total") - disposed >= len(played.log)
    # Nothing is left but the order to the device to erase what it holds of that stream.
    assert traces(house.engine, "device_id", house.keys[GONE]) == {"erasures", "commands"}
    assert erases_of(house, GONE) == {f"{of:016x}" for of in (stream, STREAM[GONE])}
    assert ingestor.metric("noctis_ingest_dead_letters_total") == 0
