"""The facade's processes under gunicorn, as one to who watches them."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from noctis.childproc import Child, free_port
from tests.integration.broker_fixtures import eventually

REQUESTS = 24


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "gunicorn.log"


@pytest.fixture
def facade(tmp_path: Path, log: Path) -> Iterator[str]:
    """Two processes without database and broker; the address."""
    port = free_port()
    folder = tmp_path / "measured"
    folder.mkdir()
    arguments = [
        *(sys.executable, "-m", "gunicorn", "--config=python:api.gunicorn", "--workers=2"),
        *("--worker-class=uvicorn_worker.UvicornWorker", f"--bind=127.0.0.1:{port}"),
        "api.app:create_app()",
    ]
    environment = {
        **os.environ,
        "NOCTIS_VAR": str(tmp_path / "var"),
        "NOCTIS_DATABASE_URL": f"postgresql://noctis@127.0.0.1:{free_port()}/noctis",
        "NOCTIS_BROKER_PORT": str(free_port()),
        "NOCTIS_LOG_FORMAT": "json",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }
    child = Child(arguments, log=log, environment=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        assert eventually(lambda: len(alive(folder)) == 2 and answers(address), within_s=60)
        yield address
    finally:
        child.stop(within_s=20)
    assert not list(folder.glob("gauge_live*.db"))  # who has ended is forgotten


def alive(folder: Path) -> list[Path]:
    """Return the files in which workers say that they run."""
    return list(folder.glob("gauge_livemax_*.db"))


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=5).is_success
    except httpx.TransportError:
        return False


def counted(address: str) -> float:
    told = httpx.get(f"{address}/metrics", timeout=10).text.splitlines()
    [line] = [
        it
        for it in told
        if it.startswith("noctis_api_requests_total") and 'route="/healthz"' in it
    ]
    return float(line.split()[-1])


def test_any_process_tells_what_all_have_measured_and_logs_are_json(
    facade: str, log: Path
) -> None:
    before = counted(facade)
    for _ in range(REQUESTS):
        assert answers(facade)
    assert {counted(facade) for _ in range(8)} == {before + REQUESTS}
    assert httpx.get(f"{facade}/readyz", timeout=10).status_code == 503
    metrics = httpx.get(f"{facade}/metrics", timeout=10).text
    assert 'noctis_api_check_ok{check="database"} 0.0' in metrics
    records = [it for it in log.read_text().splitlines() if it.startswith("{")]
    assert records
    assert all(json.loads(it)["service"] == "api" for it in records)
