"""What the doctor finds in files, ports and settings, and the order in which it tells it."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from cli.doctor import (
    certificates,
    clock,
    disk,
    environment,
    examination,
    model,
    ports,
    services,
)
from cli.doctor.findings import Finding, State, Topic, in_order
from cli.doctor.site import Once, Server, Site, Told
from cli.main import app
from inference.model import DEFAULT_FOLDER
from noctis.certificates import Authority, make_key
from noctis.private_files import write_private
from tests.disks import needs_small_disk, small_disk

ROOT: Final = Path(__file__).parents[2]
TOLD: Final = {"means": "something", "cure": "noctis"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let neither the environment nor a ``.env`` of this machine say anything."""
    for name in [it for it in os.environ if it.startswith("NOCTIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    var = tmp_path / "var"
    var.mkdir()
    return Site(var)


def bad(found: Iterator[Finding]) -> list[str]:
    return [it.id for it in found if it.state is not State.OK]


def test_a_cause_is_told_before_what_follows_from_it_and_other_parts_causes_are_not_its() -> (
    None
):
    services, database = Topic("services"), Topic("database")
    cut_off = services.fault("no-database", "it gets no answer", of="ingestor", **TOLD)
    stalled = Topic("line").fault("stalled", "messages wait", of="ingestor", **TOLD)
    away = database.fault("unreachable", "nobody is there", **TOLD)
    topics = ["database", "services", "line"]
    told = in_order([stalled, cut_off, away], topics)
    assert [it.id for it in told] == [away.id, cut_off.id, stalled.id]
    assert [it.follows for it in told] == ["", away.id, away.id]
    [first, second] = in_order([stalled, cut_off], topics)
    assert (first.id, second.follows) == (cut_off.id, f"{cut_off.id} (ingestor)")
    others = services.fault("no-database", "it gets no answer", of="companion", **TOLD)
    assert not any(it.follows for it in in_order([stalled, others], topics))


def test_a_cause_comes_first_although_its_topic_does_not() -> None:
    stale = Topic("broker").fault("accounts-stale", "nobody new gets in", **TOLD)
    cut_off = Topic("services").fault("no-database", "no answer", of="broker", **TOLD)
    told = in_order([stale, cut_off], ["broker", "services"])
    assert [it.id for it in told] == [cut_off.id, stale.id]


def test_a_fault_is_told_before_a_warning_and_both_before_what_is_well() -> None:
    topic = Topic("disk")
    found = [
        topic.ok("room", "there is"),
        topic.warning("little", "soon", **TOLD),
        topic.fault("full", "now", **TOLD),
    ]
    assert in_order(found, ["disk"]) == found[::-1]


def test_a_topic_that_hangs_or_breaks_hides_no_other_and_holds_up_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = threading.Event()

    def hangs(_: Site) -> Iterator[Finding]:
        ends.wait(120)
        yield from ()

    def breaks(_: Site) -> Iterator[Finding]:
        raise KeyError(site.var)

    known = dict(examination.TOPICS)
    monkeypatch.setattr(examination, "TOPICS", {**known, "clock": hangs, "disk": breaks})
    began = time.monotonic()
    found = examination.examine(site, ["clock", "disk", "ports"], within_s=3.0)
    ends.set()
    assert time.monotonic() - began < 60
    assert [it.id for it in found] == ["disk/not-looked-at", "clock/no-end"]
    assert str(site.var) in found[0].seen


def test_who_has_a_port_is_named(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (site.var / "ports.json").write_text(json.dumps({"broker": port}))
        [found] = [it for it in ports.look(site) if it.of == "broker"]
    assert found.id == "ports/taken"
    assert f"pid {os.getpid()}" in found.seen


@needs_small_disk
def test_a_disk_without_room_is_a_fault(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 64) as folder:
        [found] = disk.look(Site(folder))
    assert (found.id, found.state) == ("disk/full", State.FAULT)


def certified(site: Site, *, days: int, authority: Authority | None = None) -> Path:
    """Write a CA and a server's certificate as the command line would; return the latter's."""
    ca = Authority.create()
    ca.save(site.var / "ca")
    folder = site.var / "certificates"
    folder.mkdir()
    key, public_key = make_key()
    issued = (authority or ca).issue_server(["localhost"], public_key, days=days)
    (folder / "server.crt").write_text(issued.pem)
    write_private(folder / "server.key", key)
    (folder / "revoked.crl").write_text(ca.revocation_list([]))
    return folder


def test_certificates_that_hold_are_no_reason_for_a_word(site: Site) -> None:
    certified(site, days=90)
    assert not bad(certificates.look(site))
    assert len(list(certificates.look(site))) > 3


@pytest.mark.parametrize(
    ("days", "told"), [(-1, "certificates/ended"), (20, "certificates/ends-soon")]
)
def test_a_certificate_that_has_ended_or_will_is_named(
    site: Site, days: int, told: str
) -> None:
    certified(site, days=days)
    assert bad(certificates.look(site)) == [told]


def test_a_certificate_of_another_ca_a_torn_list_and_an_open_key_are_found(site: Site) -> None:
    folder = certified(site, days=90, authority=Authority.create())
    (folder / "revoked.crl").write_text("-----BEGIN X509 CRL-----\n")
    (folder / "server.key").chmod(0o644)
    assert set(bad(certificates.look(site))) == {
        "certificates/foreign",
        "certificates/damaged",
        "certificates/key-open",
    }


def test_variables_that_nobody_reads_weak_passwords_and_open_secrets_are_found(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(Path(".env"), "NOCTIS_BROKR_PORT=1883\nNOCTIS_BROKER_PASSWORD=changeme\n")
    monkeypatch.setenv("NOCTIS_RETENTION_DAYS", "400")
    (site.var / "run.json").write_text("{}")
    (site.var / "run.json").chmod(0o644)
    found = [it for it in environment.look(site) if it.state is not State.OK]
    assert {(it.id, it.of) for it in found} == {
        ("settings/unknown", "NOCTIS_BROKR_PORT"),
        ("settings/weak-password", "NOCTIS_BROKER_PASSWORD"),
        ("settings/file-open", "run.json"),
    }


def test_settings_that_make_no_sense_are_a_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_BROKER_PORT", "a lot")
    assert bad(environment.look(site)) == ["settings/senseless"]


def test_every_variable_of_the_example_is_known() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    names = {it.lstrip("# ").partition("=")[0] for it in lines if "NOCTIS_" in it and "=" in it}
    assert {it for it in names if it.startswith("NOCTIS_") and " " not in it} <= (
        environment.KNOWN
    )


def test_a_champion_that_was_altered_is_found_and_the_shipped_one_proved(site: Site) -> None:
    assert not bad(model.look(site))
    folder = site.var / "models" / "stager" / "versions" / "1"
    shutil.copytree(DEFAULT_FOLDER, folder)
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    (site.var / "models" / "stager" / "aliases").mkdir()
    (site.var / "models" / "stager" / "aliases" / "champion").write_text("1\n")
    assert bad(model.look(site)) == ["model/damaged"]


def heard(site: Site, *told: Told, **run: object) -> Site:
    """Return a site whose services have answered so."""
    site.run = {"metrics": {it.name: it.address for it in told}, **run}
    site.told = Once(lambda: {it.name: it for it in told})
    site.server = Once(Server)
    return site


def metrics(**values: float) -> dict[str, dict[tuple[str, ...], float]]:
    return {f"noctis_{name}": {(): value} for name, value in values.items()}


def test_a_service_that_dies_again_and_again_is_named_with_how_it_ended(site: Site) -> None:
    young = {"process_start_time_seconds": {(): 990.0}}
    told = Told("ingestor", "a:1", is_ready=True, metrics=young, at=1000.0)
    ends = {"ingestor": {"times": 5, "code": -9}}
    found = {it.id: it for it in services.look(heard(site, told, ends=ends))}
    assert "ended 5 times, last with -9" in found["services/dies"].seen
    assert not bad(services.look(heard(site, told, ends={"ingestor": {"times": 1}})))


def test_faults_that_somebody_asked_for_are_a_warning_beside_what_they_do(site: Site) -> None:
    told = Told("ingestor", "a:1", is_ready=True, metrics=metrics(faults_rules=2), at=1.0)
    assert bad(services.look(heard(site, told))) == ["services/faults-asked-for"]


def test_a_process_whose_clock_is_wrong_is_named(site: Site) -> None:
    wrong = Told("ingestor", "a:1", metrics=metrics(clock_skew_seconds=-3600.0))
    right = Told("companion", "a:2", metrics=metrics(clock_skew_seconds=0.2))
    [found] = [it for it in clock.look(heard(site, wrong, right)) if it.state is State.FAULT]
    assert (found.id, found.of) == ("clock/apart", "ingestor")
    assert "3600 s behind" in found.seen


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (
            "not ready: broker a:1 refuses svc-ingestor-0: 135",
            "noctis service set svc-ingestor-0",
        ),
        ("not ready: broker a:1 cannot be reached", "NOCTIS_BROKER_HOST"),
    ],
)
def test_a_wrong_password_has_another_cure_than_a_broker_that_is_away(
    site: Site, why: str, told: str
) -> None:
    [found] = services.look(heard(site, Told("ingestor", "a:1", why=why)))
    assert found.id == "services/no-broker"
    assert found.cure.startswith(told)


def test_it_prints_one_json_value_and_fails_where_there_is_a_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_DATABASE_URL", "postgresql://noctis@127.0.0.1:1/noctis")
    arguments = ["doctor", "--var", str(site.var), "--json"]
    result = CliRunner().invoke(app, [*arguments, "database", "clock"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert not told["ok"]
    assert [it["id"] for it in told["findings"]] == ["database/unreachable", "clock/alone"]
    assert CliRunner().invoke(app, [*arguments, "clock"]).exit_code == 0
    assert CliRunner().invoke(app, [*arguments, "weather"]).exit_code == 1


def test_what_it_shows_people_names_the_cause_and_the_cure(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_DATABASE_URL", "postgresql://noctis@127.0.0.1:1/noctis")
    shown = CliRunner().invoke(app, ["doctor", "--var", str(site.var), "database"]).stdout
    assert "database/unreachable" in shown
    assert "cure" in shown
    assert "not well: 1 faults" in shown
