import os
import pwd
import signal
import stat
import threading
from pathlib import Path

import pytest

from broker.server import MosquittoServer
from noctis.childproc import free_port, reachable_folder
from noctis.errors import ConfigurationError, ProcessError
from tests.integration.broker_fixtures import (
    USERS,
    Account,
    Client,
    account,
    accounts,
    broker,
    eventually,
    forgetful_broker,
    running_broker,
    session_properties,
)

__all__ = ["broker", "forgetful_broker"]

pytestmark = pytest.mark.broker

UP = "noctis/v1/up/7/t1/d1/epochs"


def test_a_new_account_works_after_a_reload_and_nobody_else_is_disturbed(
    broker: MosquittoServer,
) -> None:
    known = accounts()
    broker.reload(known)
    with Client(broker.port, "svc-ingestor-0") as service, Client(broker.port, "t1/d1") as old:
        service.subscribe("noctis/v1/up/+/+/+/epochs")
        with Client(broker.port, "t3/d1") as stranger:
            assert stranger.refused is not None
        broker.reload([*known, account("t3/d1"), account("phone@t3")])
        with Client(broker.port, "t3/d1") as fresh:
            assert fresh.refused is None
            fresh.publish("noctis/v1/up/7/t3/d1/epochs", b"x")
            assert service.next().topic == "noctis/v1/up/7/t3/d1/epochs"
        old.publish(UP, b"still here")
        assert service.next().payload == b"still here"


def test_a_revoked_account_is_cut_off_at_once(broker: MosquittoServer) -> None:
    known = accounts()
    broker.reload(known)
    revoked = Client(broker.port, "t1/d1")
    with revoked, Client(broker.port, "t1/d2") as other:
        broker.reload([it for it in known if it.username != "t1/d1"])
        assert eventually(lambda: not revoked.is_connected())
        assert other.is_connected()
    with Client(broker.port, "t1/d1") as again:
        assert again.refused is not None


def _queue_messages(server: MosquittoServer, *, save_s: float) -> list[str]:
    """Queue messages for a client that is away, kill the broker, and see what is left."""
    away = Client(server.port, "svc-ingestor-0")
    away._client.connect(
        "127.0.0.1", server.port, clean_start=False, properties=session_properties(600)
    )
    away._client.loop_start()
    away._done.get(timeout=5)
    away.subscribe("noctis/v1/up/+/+/+/epochs")
    away._client.disconnect()
    away._client.loop_stop()
    with Client(server.port, "t1/d1") as device:
        for _ in range(50):
            device.publish(UP, b"x")
    threading.Event().wait(save_s)
    server.kill()
    server.restart()
    back = Client(server.port, "svc-ingestor-0")
    back._client.connect(
        "127.0.0.1", server.port, clean_start=False, properties=session_properties(600)
    )
    back._client.loop_start()
    topics = back.topics(0.5)
    back._client.disconnect()
    back._client.loop_stop()
    return topics


def test_with_persistence_a_killed_broker_keeps_what_it_had_saved(
    broker: MosquittoServer,
) -> None:
    assert len(_queue_messages(broker, save_s=4.5)) == 50


def test_without_persistence_a_killed_broker_forgets(forgetful_broker: MosquittoServer) -> None:
    assert _queue_messages(forgetful_broker, save_s=0.0) == []


def test_a_port_that_somebody_has_is_named(
    broker: MosquittoServer, server_folder: Path
) -> None:
    second = MosquittoServer(server_folder / "second")
    with pytest.raises(ProcessError, match=rf"{broker.port}: Address already in use"):
        second.start(broker.port, accounts())


def test_a_broken_config_file_is_reported_with_mosquittos_words(
    broker: MosquittoServer,
) -> None:
    broker.stop()
    config = broker.folder / "mosquitto.conf"
    config.write_text(config.read_text() + "\nmax_shards 64\n")
    with pytest.raises(ProcessError, match="Unknown configuration variable"):
        broker.restart()


def test_a_frozen_broker_is_not_ready_within_the_deadline(broker: MosquittoServer) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ProcessError, match="does not answer"):
            broker.reload(accounts(), within_s=0.5)
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_without_mosquitto_the_error_says_what_to_install(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_MOSQUITTO", "mosquitto-that-nobody-has")
    with pytest.raises(ProcessError, match="apt-get install mosquitto"):
        MosquittoServer(server_folder / "broker").start(free_port(), accounts())


def test_a_reload_with_a_forged_account_changes_nothing(broker: MosquittoServer) -> None:
    forged = Account("t1/d1\nuser t1/d1\ntopic #", account("t1/d1").password_hash)
    before = (broker.folder / "acl").read_text()
    with pytest.raises(ConfigurationError):
        broker.reload([forged])
    assert (broker.folder / "acl").read_text() == before


def test_a_broker_left_behind_by_a_killed_parent_is_ended(
    broker: MosquittoServer, tmp_path: Path
) -> None:
    successor = MosquittoServer(tmp_path / "broker")
    try:
        successor.start(broker.port, accounts())
        assert eventually(lambda: broker.exit_code is not None)
        assert successor.exit_code is None
    finally:
        successor.stop()


def test_the_broker_listens_on_its_port_of_loopback_and_nowhere_else(
    broker: MosquittoServer,
) -> None:
    inodes = {
        link.readlink().name
        for link in Path(f"/proc/{broker.pid}/fd").iterdir()
        if link.readlink().name.startswith("socket:")
    }
    listening = [
        row.split()[1]
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if row.split()[3] == "0A" and f"socket:[{row.split()[9]}]" in inodes
    ]
    assert listening == [f"0100007F:{broker.port:04X}"]


def test_secrets_can_be_read_by_the_brokers_user_alone(broker: MosquittoServer) -> None:
    for name in ("accounts", "acl", "mosquitto.conf"):
        status = (broker.folder / name).stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        if os.geteuid() == 0:
            assert status.st_uid != 0
    assert stat.S_IMODE(broker.folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_as_root_the_broker_runs_as_an_unprivileged_user(broker: MosquittoServer) -> None:
    assert Path(f"/proc/{broker.pid}").stat().st_uid == pwd.getpwnam("mosquitto").pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_a_folder_out_of_reach_moves_and_no_parent_changes(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with running_broker(closed / "broker") as server:
        assert server.folder.is_relative_to("/var/lib/noctis")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert MosquittoServer(closed / "broker").folder == server.folder


def test_without_another_user_the_folder_is_where_it_was_asked_for(tmp_path: Path) -> None:
    assert reachable_folder(tmp_path / "a" / "b", None) == tmp_path / "a" / "b"


def test_the_users_of_these_tests_cover_every_kind_of_account() -> None:
    assert {name.split("-")[0] for name in USERS if name.startswith("svc")} == {"svc"}
