"""Every service as ``docker-compose.yml`` starts it, without Docker: ``make containers``.

A minute of a quiet machine, so it is not of ``make test``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from cli.service import device_program
from noctis.childproc import child_user
from noctis.storage.binaries import find
from tests.compose import FILE, resolved
from tests.containers import Container, Host, can_contain
from tests.dockerfile import ROOT
from tests.integration.broker_fixtures import eventually

pytestmark = [
    pytest.mark.broker,
    pytest.mark.postgres,
    pytest.mark.timeout(600),
    pytest.mark.skipif("NOCTIS_TEST_CONTAINERS" not in os.environ, reason="make containers"),
    pytest.mark.skipif(not can_contain(), reason="only root can make namespaces, with ip"),
]

HEALTHY_S: Final = 90.0
ELSEWHERE: Final = frozenset({"prometheus", "grafana", "admin"})
"""Services of images that are not here, and what is not started."""
LOOK: Final = "import urllib.request as r; print(r.urlopen('{}', timeout=9).read().decode())"


class Platform:
    """All services of the file, started in its order."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.running: dict[str, Container] = {}

    def start(self) -> None:
        waiting = {it: d for it, d in self.host.services.items() if it not in ELSEWHERE}
        done: set[str] = set()
        while waiting:
            ready = [it for it, d in waiting.items() if set(d.get("depends_on", ())) <= done]
            assert ready, f"{waiting.keys()} wait for each other"
            began = time.monotonic()
            for name in ready:
                self._begin(name)
            for name in ready:
                self._wait(name, began)
                del waiting[name]
            done |= set(ready)

    def admin(self, *arguments: str) -> str:
        return self.host.container("admin").run(*arguments)

    def metrics(self, name: str, port: int = 9100) -> dict[str, float]:
        look = LOOK.format(f"http://{name}:{port}/metrics")
        told = self.host.container("admin", entrypoint=["python", "-c"]).run(look)
        lines = [it.rsplit(" ", 1) for it in told.splitlines() if it and it[0] != "#"]
        return {name: float(value) for name, value in lines}

    def _begin(self, name: str) -> None:
        if name == "database":
            container = self.host.database(programs(self.host.folder))
        else:
            container = self.host.container(name)
        if self.host.services[name]["restart"] == "no":
            container.run()
            return
        self.running[name] = container
        container.start()

    def _wait(self, name: str, began: float) -> None:
        if name in self.running:
            container = self.running[name]
            assert eventually(container.healthy, within_s=HEALTHY_S), container.tail()
            sys.stderr.write(f"{name}: healthy after {time.monotonic() - began:.1f} s\n")


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """What ``scripts/prepare`` has made beside the compose file."""
    with tempfile.TemporaryDirectory(prefix="noctis-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        there = folder / "project"
        (there / "scripts").mkdir(parents=True)
        shutil.copy(FILE, there)
        shutil.copy(ROOT / "scripts" / "prepare", there / "scripts")
        subprocess.run([there / "scripts" / "prepare", "sleep.test"], check=True)
        yield there


@pytest.fixture(scope="module")
def platform(project: Path) -> Iterator[Platform]:
    """The whole platform but for its monitors: started, and each service healthy."""
    variables = dict(it.split("=", 1) for it in (project / ".env").read_text().splitlines())
    with Host(project.parent, resolved(variables, project / FILE.name)) as host:
        made = Platform(host)
        made.start()
        yield made


def test_each_service_turns_healthy_in_the_order_of_the_file(platform: Platform) -> None:
    expected = {it for it, d in platform.host.services.items() if "healthcheck" in d}
    assert platform.running.keys() == expected - ELSEWHERE
    assert all(it.healthy() for it in platform.running.values())
    for name, container in platform.running.items():
        resident = container.resident_mib()
        sys.stderr.write(f"{name}: {resident:.0f} MiB\n")
        limit = str(platform.host.services[name].get("mem_limit", "64g"))
        assert resident < int(limit[:-1]) * 1024 / 2, f"{name} begins near its limit {limit}"


def test_a_service_is_nobody_and_can_write_nowhere_but_where_it_must(
    platform: Platform,
) -> None:
    probe = platform.host.container("runner", command=["sh", "-c", PROBE]).run()
    told = yaml.safe_load(probe)
    assert told["user"] == 10001
    assert int(str(told["capabilities"]), 16) == 0
    assert told["written"] == ["/tmp"]  # noqa: S108 - the container's own
    assert told["secrets"] == ["noctis_database_password"]


PROBE: Final = """
echo "user: $(id -u)"
echo "capabilities: '$(sed -n 's/^CapEff:.//p' /proc/self/status)'"
echo "written:"
for it in / /etc /usr /opt /var/lib/noctis /var/lib/noctis/models /run /tmp; do
  (: >$it/probe) 2>/dev/null && echo "- $it"
done
echo "secrets:"
for it in $(ls /run/secrets); do echo "- $it"; done
"""


def test_no_password_shows_in_what_docker_tells_of_a_container(
    platform: Platform, project: Path
) -> None:
    secrets = [it.read_text().strip() for it in (project / "secrets").iterdir()]
    assert len(secrets) == len(platform.host.secrets)
    assert min(map(len, secrets)) == 32
    assert len(set(secrets)) == len(secrets)
    told = yaml.safe_dump(dict(platform.host.services))
    assert not [it for it in secrets if it in told]


def test_epochs_of_a_device_that_trusts_the_new_ca_are_stored_and_staged(
    platform: Platform,
) -> None:
    platform.admin("tenant", "add", "home")
    account = yaml.safe_load(platform.admin("device", "add", "home/bedroom", "--json"))
    names = ("--tenant", "home", "--device", "bedroom")
    address = ("--host", "broker", "--port", "8883")
    trust = ("--tls-ca", "/etc/noctis/certificates/ca.crt")
    files = ("--nor", "/tmp/nor", "--log", "/tmp/log")  # noqa: S108 - the container's own
    pace = ("--hours", "0.25", "--speed", "600", "--once")
    device = platform.host.container(
        "device",
        user="10001:10001",
        command=[device_program(), *names, *address, *trust, *files, *pace],
        environment={"NOCTIS_DEVICE_PASSWORD": account["password"]},
        volumes=["certificates:/etc/noctis/certificates:ro"],
        tmpfs=["/tmp"],  # noqa: S108 - the container's own
    )
    device.run()  # it ends once all it has made is acknowledged
    assert platform.metrics("ingestor")["noctis_ingest_rows_total"] >= 30
    assert eventually(lambda: staged(platform) >= 30, within_s=60)


def programs(folder: Path) -> Path:
    found = find(major=None, copies=folder, user=child_user("postgres"))
    return Path(found.program("postgres")).parent


def staged(platform: Platform) -> float:
    return platform.metrics("inference")["noctis_settler_settled_total"]


def test_each_service_ends_in_order_within_its_time(platform: Platform) -> None:
    ours = {name: it for name, it in platform.running.items() if it.is_ours}
    codes = {name: it.stop() for name, it in reversed(ours.items())}
    assert codes == dict.fromkeys(codes, 0), {n: ours[n].tail() for n, c in codes.items() if c}
    assert codes.keys() >= {"broker", "ingestor", "inference", "companion", "runner", "api"}
