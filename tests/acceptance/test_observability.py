"""A platform that runs, seen as its operator sees it: by Prometheus, and by its logs."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.routes.ingest import FRAME
from cli.service import device_program
from noctis.childproc import free_port
from noctis.epoch import encode_frame
from noctis.identity import DeviceId
from noctis.storage import accounts, devices, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from scripts.dashboards import DASHBOARDS
from scripts.dashboards.parts import RATE, Query
from scripts.generate_dashboards import alerts
from scripts.generate_metrics import Metric, metrics
from tests.integration.broker_fixtures import eventually
from tests.integration.settling_fixtures import STREAM, frame
from tests.parts import Part
from tests.prometheus import PROGRAM, ROOT, Prometheus, running

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(300)]
SERVICES: Final = {
    "broker": "",
    "ingestor": "svc-ingestor-0",
    "inference": "svc-live-0",
    "companion": "svc-companion-0",
    "runner": "",
    "api": "svc-api-0",
    "internal": "",
}
MODULES: Final = {"internal": "api.internal"}
BED: Final = DeviceId("home", "bed")
APP: Final = "phone@home"
EPOCHS: Final = 60


@dataclass(frozen=True, slots=True)
class Platform:
    """The services as compose starts them, one by one; ``secrets`` are all that they know."""

    parts: dict[str, Part]
    folder: Path
    secrets: dict[str, str]

    @property
    def targets(self) -> dict[str, str]:
        return {name: f"127.0.0.1:{it.metrics_port}" for name, it in self.parts.items()}

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all that the services have logged."""
        for part in self.parts.values():
            for line in part.log.read_text().splitlines():
                yield json.loads(line)


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
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
            "NOCTIS_LOG_LEVEL": "debug",
            "NOCTIS_TRACE": "home/*",
            "OMP_NUM_THREADS": "1",
        }
        parts = {}
        for name, account in SERVICES.items():
            own = {"NOCTIS_BROKER_PASSWORD": secrets[account]} if account else {}
            parts[name] = part = Part(
                MODULES.get(name, name), {**common, **own}, folder / f"{name}.log"
            )
            part.launch()
            ends.callback(part.stop)
        for part in parts.values():
            assert eventually(part.is_ready, within_s=60), part.child.tail()
        made = Platform(parts, folder, secrets)
        play(made, port)
        ask(made)
        yield made


def enrol(url: str) -> dict[str, str]:
    """Add accounts of services, a device and an app; return their passwords."""
    engine = create(url, application="noctis-test")
    try:
        with transaction(engine, 60) as connection:
            tenants.add(connection, BED.tenant)
            devices.add(BED.tenant, connection, BED.device)
            services = {
                it: accounts.set_service(connection, it) for it in SERVICES.values() if it
            }
            return {
                **services,
                str(BED): accounts.add(BED.tenant, connection, str(BED), "device"),
                APP: accounts.add(BED.tenant, connection, APP, "app", role="admin"),
            }
    finally:
        engine.dispose()


def play(made: Platform, port: str) -> None:
    """Let a device make half an hour of epochs, within seconds, and wait for their stages."""
    folder = made.folder
    done = subprocess.run(
        [
            device_program(),
            *("--tenant", BED.tenant, "--device", BED.device, "--hours", str(EPOCHS / 120)),
            *("--port", port, "--speed", "600", "--once"),
            *("--nor", folder / "nor", "--log", folder / "log"),
        ],
        env={**os.environ, "NOCTIS_DEVICE_PASSWORD": made.secrets[str(BED)]},
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    settled = "noctis_settler_settled_total"
    assert eventually(lambda: made.parts["inference"].metric(settled) >= EPOCHS, within_s=30)


def ask(made: Platform) -> None:
    """Log in as the app, well and badly, and use what comes of it."""
    form = {"grant_type": "client_credentials", "client_id": APP}
    with httpx.Client(base_url=f"http://{made.targets['api']}", timeout=10) as client:
        wrong = client.post("/v1/auth/token", data={**form, "client_secret": "a wrong secret"})
        assert wrong.status_code in {400, 401}
        made.secrets["of somebody who guesses"] = "a wrong secret"
        right = {**form, "client_secret": made.secrets[APP]}
        answer = client.post("/v1/auth/token", data=right).raise_for_status()
        token = made.secrets["access token"] = answer.json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        client.get("/v1/devices", headers=headers).raise_for_status()
        assert client.get("/v1/devices/none", headers=headers).status_code == 404
        sent = encode_frame(frame(1, 2, utc=datetime.now(UTC) - timedelta(days=1)))
        path = f"/v1/devices/{BED.device}/epochs:ingest"
        kind = {"Content-Type": FRAME}
        client.post(path, content=sent, headers=headers | kind).raise_for_status()


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("observed")
    with platform(folder) as made:
        yield made


@pytest.fixture(scope="module")
def prometheus(observed: Platform) -> Iterator[Prometheus]:
    if PROGRAM is None:
        assert "CI" not in os.environ, "apt-get install prometheus"
        pytest.skip("Prometheus is not here: scripts/bootstrap check")
    with running(observed.folder, observed.targets) as found:
        everything = f"count(up == 1) == {len(SERVICES)}"
        assert eventually(lambda: bool(found.value(everything)), within_s=20)
        with httpx.Client(base_url=f"http://{observed.targets['api']}", timeout=10) as client:
            for _ in range(4):  # rates are of at least two scrapes
                client.get("/healthz")
                client.get("/readyz")
                time.sleep(1)
        yield found


def queries() -> list[Query]:
    return [
        query
        for dashboard in DASHBOARDS
        for row in dashboard.rows
        for panel in row.panels
        for query in panel.queries
    ]


def test_every_expression_of_the_dashboards_has_data_where_it_should(
    prometheus: Prometheus,
) -> None:
    found = {it: prometheus.value(it.expression.replace(RATE, "1m")) for it in queries()}
    assert len(found) > 60
    assert not [it.expression for it, series in found.items() if not series and not it.rare]


def test_every_alert_can_be_evaluated_and_none_fires_on_a_platform_that_is_well(
    prometheus: Prometheus,
) -> None:
    groups = prometheus.ask("/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {it["name"] for it in rules} == {it["alert"] for it in alerts()}
    assert eventually(
        lambda: all(
            rule["health"] == "ok"
            for group in prometheus.ask("/api/v1/rules")["groups"]
            for rule in group["rules"]
        ),
        within_s=10,
    )
    assert not prometheus.value('ALERTS{alertstate="firing"}')


def test_a_service_that_dies_is_seen(prometheus: Prometheus, observed: Platform) -> None:
    runner = observed.parts["runner"]
    runner.stop()
    assert eventually(lambda: bool(prometheus.value('up{job="runner"} == 0')), within_s=20)
    pending = 'ALERTS{alertname="ServiceDown", job="runner"}'
    assert eventually(lambda: bool(prometheus.value(pending)), within_s=20)
    runner.start()
    assert eventually(lambda: not prometheus.value(pending), within_s=20)


def exported(prometheus: Prometheus) -> dict[str, set[str]]:
    """Return the names of all series of ours, each with its labels."""
    found: dict[str, set[str]] = {}
    for series in prometheus.ask("/api/v1/series", **{"match[]": '{__name__=~"noctis_.+"}'}):
        name = series.pop("__name__")
        found.setdefault(name, set()).update(set(series) - {"job", "instance", "le"})
    return found


def test_what_is_told_is_what_the_documentation_lists(prometheus: Prometheus) -> None:
    listed: dict[str, Metric] = {name: it for it in metrics(ROOT) for name in it.series}
    found = exported(prometheus)
    told = {name: labels for name, labels in found.items() if not name.endswith("_created")}
    assert not told.keys() - listed.keys()
    assert not {name for name, labels in told.items() if labels != set(listed[name].labels)}
    assert len(told) > 70


def test_no_label_names_a_device(prometheus: Prometheus) -> None:
    for series in prometheus.ask("/api/v1/series", **{"match[]": '{__name__=~"noctis_.+"}'}):
        assert not [it for it in series.values() if BED.device in it.split("/")]


def test_an_epoch_is_followed_from_its_commit_to_its_stored_stage(observed: Platform) -> None:
    made = [json.loads(it) for it in (observed.folder / "log").read_text().splitlines()]
    traces = {f"{BED}:{it['stream']}:{it['seq']}" for it in made}
    lines = [it for it in observed.records() if it.get("trace") in traces]
    for event in ("epoch_committed", "prediction_stored"):
        assert {it["trace"] for it in lines if it["event"] == event} == traces
    shown = next(it for it in lines if it["event"] == "stage_published")  # backlog is not
    [stored] = [
        it
        for it in lines
        if (it["event"], it["trace"]) == ("prediction_stored", shown["trace"])
    ]
    assert (shown["stage"], shown["model"]) == (stored["stage"], stored["model"])
    assert (shown["service"], stored["origin"]) == ("inference", "served")
    trace = f"{BED}:{STREAM:016x}:2"
    by_service = {it["service"]: it for it in observed.records() if it.get("trace") == trace}
    assert by_service["api"]["event"] == "epoch_committed"
    assert by_service["api"]["status"] == "stored"


def test_every_line_of_a_log_is_json_with_what_one_searches_for(observed: Platform) -> None:
    records = list(observed.records())
    assert {it["service"] for it in records} == set(SERVICES)
    assert all(re.fullmatch("[a-z_]+", it["event"]) for it in records)
    assert all({"level", "timestamp"} <= it.keys() for it in records)


def test_no_secret_is_logged(observed: Platform) -> None:
    told = {name: part.log.read_text() for name, part in observed.parts.items()}
    told["device"] = (observed.folder / "log").read_text()
    assert "epoch_committed" in told["ingestor"]
    keys = [
        it.read_text() for it in (observed.folder / "var" / "keys").rglob("*") if it.is_file()
    ]
    lines = {line for text in keys for line in text.splitlines() if len(line) > 40}
    assert lines
    assert len(observed.secrets) == 8
    observed.secrets.update({f"signing key {n}": line for n, line in enumerate(lines)})
    for text in told.values():
        assert not [whose for whose, secret in observed.secrets.items() if secret in text]
