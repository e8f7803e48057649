"""A real Prometheus on loopback, with the platform's own rules, that scrapes a test's parts."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from noctis.childproc import Child, free_port
from tests.integration.broker_fixtures import eventually

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "observability" / "prometheus"
PROGRAM: Final = shutil.which("prometheus")


class Prometheus:
    """What its HTTP API answers."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

    def ask(self, path: str, **values: str) -> Any:  # noqa: ANN401 - JSON
        return self._client.get(path, params=values).raise_for_status().json()["data"]

    def value(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now; a wrong one is an HTTPStatusError."""
        found: list[dict[str, Any]] = self.ask("/api/v1/query", query=expression)["result"]
        return found

    def close(self) -> None:
        self._client.close()

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False


@contextmanager
def running(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """Run Prometheus with the configuration of compose, but for where the jobs' targets are.

    It scrapes every second, so that rates have data soon.
    """
    assert PROGRAM is not None
    configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    configuration["global"] = dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s"
    )
    configuration["rule_files"] = [str(FOLDER / "alerts.yml")]
    jobs = {it["job_name"]: it for it in configuration["scrape_configs"]}
    assert jobs.keys() == targets.keys()
    for name, target in targets.items():
        jobs[name]["static_configs"] = [{"targets": [target]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    port = free_port()
    arguments = [
        PROGRAM,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    child = Child(arguments, log=folder / "prometheus.log")
    prometheus = Prometheus(port)
    try:
        assert eventually(prometheus.is_ready, within_s=30), child.tail()
        yield prometheus
    finally:
        prometheus.close()
        child.stop(within_s=20)
