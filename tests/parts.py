"""Our services as processes, and what they tell monitors."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from noctis.childproc import Child, free_port
from tests.integration.broker_fixtures import eventually

READY_S = 40.0


class Part:
    """``python -m <module>`` as a child process; the test ends it."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self.module = module
        self.log = log
        self.metrics_port = free_port()
        listens = {"api": "NOCTIS_API_PORT", "api.internal": "NOCTIS_INTERNAL_PORT"}
        port = listens.get(module, "NOCTIS_METRICS_PORT")
        self.environment = {**os.environ, port: str(self.metrics_port), **environment}
        self.child: Child

    def launch(self, **environment: str) -> None:
        """Start it, with further variables, and do not wait."""
        arguments = [sys.executable, "-m", self.module]
        everything = {**self.environment, **environment}
        self.child = Child(arguments, log=self.log, environment=everything)

    def start(self, **environment: str) -> None:
        """Start it and wait until it is ready."""
        self.launch(**environment)
        assert eventually(self.is_ready, within_s=READY_S), self.child.tail()

    def stop(self) -> int:
        return self.child.stop(within_s=20)

    def kill(self) -> None:
        """End whatever process it is by now."""
        self.child.kill()

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/readyz"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def get(self, path: str) -> str:
        address = f"http://127.0.0.1:{self.metrics_port}{path}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            body: bytes = answer.read()
        return body.decode()

    def metric(self, name: str) -> float:
        lines = [it.split() for it in self.get("/metrics").splitlines() if it[:1] != "#"]
        return sum(float(value) for key, value in lines if key.partition("{")[0] == name)

    def resident_bytes(self) -> int:
        """Return the memory that it has in use (Linux)."""
        pages = Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
