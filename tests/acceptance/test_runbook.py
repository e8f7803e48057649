"""Every row of docs/runbook.md on a platform that runs: metric, log line, doctor, cure."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from cli.doctor.examination import examine
from cli.doctor.findings import Finding, State
from cli.doctor.site import Site
from cli.service import device_program
from noctis.childproc import free_port
from noctis.storage import migrate
from noctis.storage.server import PostgresServer
from registry.store import Registry
from scripts.generate_dashboards import alerts
from tests.acceptance.test_observability import BED, MODULES, SERVICES, enrol
from tests.acceptance.test_up import noctis
from tests.integration.broker_fixtures import eventually
from tests.models import copy_of_the_shipped
from tests.parts import Part
from tests.prometheus import ROOT

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(300)]
PAGE: Final = ROOT / "docs" / "runbook.md"
SPEED: Final = "120"
FELT_S: Final = 60.0
MENDED_S: Final = 120.0
LOOK_S: Final = 0.3
ORDERED_S: Final = 120.0
STANDS_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the runbook: what is claimed of a fault, and how it is brought about.

    ``metric``: its name, whose it is, whether it rises, falls or stands still. ``line``: the
    event and whose it is. ``finding``: the doctor's first one and whose.
    """

    notices: str
    metric: tuple[str, str, str]
    alert: str
    line: tuple[str, str]
    finding: tuple[str, str]
    service: str
    points: str

    @classmethod
    def of(cls, cells: list[str]) -> "Row":
        notices, look, log, doctor, _, purpose = cells
        metric = re.search(r"`(noctis_\w+)` of (\w+) (rises|falls|stands still)", look)
        line = re.fullmatch(r"`(\w+)` of (\w+)", log)
        finding = re.fullmatch(r"`([\w/-]+)`(?: \((.+)\))?", doctor)
        asked = re.fullmatch(r"(\w+): `(.+)`", purpose)
        alert = re.search(r"; `([A-Z]\w+)`", look)
        assert metric and line and finding and asked and alert, cells  # noqa: PT018
        return cls(
            notices,
            (metric[1], metric[2], metric[3]),
            alert[1],
            (line[1], line[2]),
            (finding[1], finding[2] or ""),
            asked[1],
            asked[2],
        )


def rows() -> list[Row]:
    table = PAGE.read_text().partition("<!-- runbook: read")[2].partition("<!-- runbook: end")
    lines = [it for it in table[0].splitlines() if it.startswith("|")][2:]
    return [Row.of([cell.strip() for cell in it.strip("|").split("|")]) for it in lines]


ROWS: Final = rows()


@dataclass(frozen=True, slots=True)
class Home:
    """A platform of single services, as compose starts them, with a device that never ends."""

    folder: Path
    parts: Mapping[str, Part]
    operator: httpx.Client

    def found(self) -> list[Finding]:
        """Return what the doctor finds bad, the first thing first."""
        found = examine(Site(self.folder / "var"))
        return [it for it in found if it.state is not State.OK]

    def told(self, part: str, since: int) -> list[dict[str, Any]]:
        """Return what a service has logged since a place in its log."""
        text = self.parts[part].log.read_bytes()[since:].decode()
        return [json.loads(it) for it in text.splitlines() if it.startswith("{")]

    def size(self, part: str) -> int:
        return self.parts[part].log.stat().st_size


@contextmanager
def platform(folder: Path) -> Iterator[Home]:
    with ExitStack() as ends:
        postgres = PostgresServer(folder / "postgres")
        ends.callback(postgres.stop)
        postgres.start()
        migrate.upgrade(postgres.url)
        secrets = enrol(postgres.url)
        port = str(free_port())
        common = {
            "NOCTIS_VAR": str(folder / "var"),
            "NOCTIS_DATABASE_URL": postgres.url,
            "NOCTIS_BROKER_PORT": port,
            "NOCTIS_BROKER_LOOPBACK_PORT": port,
            "NOCTIS_LOG_FORMAT": "json",
            "NOCTIS_FAULTS": "allowed",
            "OMP_NUM_THREADS": "1",
        }
        parts = {}
        for name, account in SERVICES.items():
            own = {"NOCTIS_BROKER_PASSWORD": secrets[account]} if account else {}
            module = MODULES.get(name, name)
            parts[name] = part = Part(module, {**common, **own}, folder / f"{name}.log")
            part.launch()
            ends.callback(part.stop)
        for part in parts.values():
            assert eventually(part.is_ready, within_s=60), part.child.tail()
        ends.enter_context(device(folder, port, secrets[str(BED)]))
        ends.enter_context(as_an_operator(folder, postgres.url, port, parts))
        yield Home(folder, parts, ends.enter_context(operator(folder, parts["internal"])))


@contextmanager
def device(folder: Path, port: str, password: str) -> Iterator[None]:
    """Run a device that makes an epoch every quarter of a second until the end."""
    arguments = [
        device_program(),
        *("--tenant", BED.tenant, "--device", BED.device, "--hours", "100"),
        *("--port", port, "--speed", SPEED, "--nor", folder / "nor", "--log", folder / "log"),
    ]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            arguments, env={"NOCTIS_DEVICE_PASSWORD": password}, stderr=said, stdout=said
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def as_an_operator(
    folder: Path, url: str, port: str, parts: Mapping[str, Part]
) -> Iterator[None]:
    """Have the settings of the container that operators use: see docker-compose.yml."""
    services = ",".join(f"{name}=127.0.0.1:{it.metrics_port}" for name, it in parts.items())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NOCTIS_DATABASE_URL", url)
        patch.setenv("NOCTIS_BROKER_PORT", port)
        patch.setenv("NOCTIS_DOCTOR_SERVICES", services)
        yield


def operator(folder: Path, internal: Part) -> httpx.Client:
    """Return whoever may order faults at /internal."""
    token = noctis("key", "token", "--var", str(folder / "var"), "--json")["access_token"]
    address = f"http://127.0.0.1:{internal.metrics_port}/internal"
    return httpx.Client(
        base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=20
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with platform(tmp_path_factory.mktemp("runbook")) as made:
        content(made)
        yield made


def content(home: Home) -> None:
    """Wait until the doctor finds nothing at all."""
    left: list[list[Finding]] = []

    def is_content() -> bool:
        time.sleep(LOOK_S)
        left.append(home.found())
        return not left[-1]

    assert eventually(is_content, within_s=MENDED_S), left[-1]


@contextmanager
def brought_about(home: Home, row: Row) -> Iterator[None]:
    """Order a fault of a running service as an operator would; withdraw it at the end."""
    answer = home.operator.post(
        "/resilience/faults",
        json={"rules": row.points, "services": [row.service], "seconds": ORDERED_S},
    )
    place = answer.raise_for_status().headers["Location"]
    assert eventually(lambda: rules(home, row) > 0, within_s=FELT_S)
    with changed(home, row):
        try:
            yield
        finally:
            home.operator.delete(place.removeprefix("/internal")).raise_for_status()
            assert eventually(lambda: rules(home, row) == 0, within_s=FELT_S)


def rules(home: Home, row: Row) -> float:
    return home.parts[row.service].metric("noctis_faults_rules")


@contextmanager
def changed(home: Home, row: Row) -> Iterator[None]:
    """Promote another model where the fault is one of its loading; roll back at the end."""
    if not row.points.startswith("model.load"):
        yield
        return
    registry = Registry(home.folder / "var" / "models")
    if "another" not in registry.versions():
        registry.publish(copy_of_the_shipped(home.folder, version="another"))
    registry.promote("champion", "another", approver="test", reason="a test")
    try:
        yield
    finally:
        registry.rollback("champion", approver="test", reason="a test")


def moved(how: str, before: float, after: float) -> bool:
    """Tell whether a metric did as is claimed; what stands still is a moment long ago."""
    stands = time.time() - after > STANDS_S
    return {"rises": after > before, "falls": after < before, "stands still": stands}[how]


def test_the_runbook_tells_of_ten_faults_that_the_doctor_tells_apart() -> None:
    assert len(ROWS) >= 10
    assert len({it.finding for it in ROWS}) == len(ROWS)
    assert {it.alert for it in ROWS} <= {it["alert"] for it in alerts()}
    assert not [it.metric for it in ROWS if it.alert not in telling(it.metric[0])]


def telling(metric: str) -> set[str]:
    """Return the alerts that look at a metric, or at another one of the same thing."""
    stem = RELATED.get(metric, metric)
    return {it["alert"] for it in alerts() if stem in it["expr"]}


RELATED: Final = {
    "noctis_companion_failures_in_a_row": "noctis_companion_success_timestamp_seconds",
    "noctis_ingest_duplicates_total": "noctis_devices_backlog_epochs",
    "noctis_ingest_last_commit_seconds": "noctis_ingest_commit_seconds",
}
"""Alerts ask for what lasts; what moves at once is another side of it."""


@pytest.mark.parametrize("row", ROWS, ids=lambda it: f"{it.service}: {it.points}")
def test_a_fault_is_seen_in_a_metric_in_the_log_and_its_cause_by_the_doctor(
    home: Home, row: Row
) -> None:
    name, whose, how = row.metric
    before = home.parts[whose].metric(name)
    place = home.size(row.line[1])
    looks: list[list[str]] = []

    def is_found() -> bool:
        time.sleep(LOOK_S)
        found = home.found()
        looks.append([f"{it.id} ({it.of}): {it.seen}" for it in found])
        return bool(found) and (found[0].id, found[0].of) == row.finding

    with brought_about(home, row):
        assert eventually(is_found, within_s=FELT_S), looks[-1]
        first = home.found()[0]
        assert (first.id, first.of) == row.finding
        assert moved(how, before, home.parts[whose].metric(name))
        events = {it["event"] for it in home.told(row.line[1], place)}
        assert row.line[0] in events, events
    assert first.cure
    content(home)
