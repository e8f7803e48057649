import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.postgres
NOCTIS = Path(sys.executable).with_name("noctis")


def noctis(
    *arguments: str, url: str, folder: Path, password: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command as an operator does: with settings alone, no platform running."""
    settings = {
        "NOCTIS_DATABASE_URL": url,
        "NOCTIS_VAR": str(folder),
        "NOCTIS_SERVICE_PASSWORD": password,
    }
    return subprocess.run(
        [NOCTIS, *arguments],
        env={**os.environ, **settings, "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_empty_database_is_migrated_and_filled(
    empty_database_url: str, tmp_path: Path
) -> None:
    def run(*arguments: str, password: str = "") -> subprocess.CompletedProcess[str]:
        return noctis(*arguments, url=empty_database_url, folder=tmp_path, password=password)

    early = run("tenant", "list")
    assert early.returncode == 1
    assert "noctis migrate" in early.stderr
    assert run("migrate").returncode == 0
    assert run("migrate").returncode == 0
    assert run("tenant", "add", "home").returncode == 0
    again = run("tenant", "add", "home")
    assert again.returncode == 1
    assert "already" in again.stderr
    assert run("service", "set", "svc-ingestor-0").returncode == 1
    assert run("service", "set", "svc-ingestor-0", password="s3cret").returncode == 0
    assert run("device", "add", "away/bed").returncode == 1
    added = run("device", "add", "home/bed", "--time-zone", "Europe/Berlin", "--json")
    assert json.loads(added.stdout)["username"] == "home/bed"
    listed = json.loads(run("device", "list", "home", "--json").stdout)
    assert [row["device"] for row in listed] == ["home/bed"]
    assert run("tenant", "retention", "home", "30").returncode == 0
    assert json.loads(run("tenant", "list", "--json").stdout)[0]["retention_days"] == 30
    assert run("tenant", "retention", "home", "default").returncode == 0
    assert "'default'" in run("tenant", "retention", "home", "0").stderr
    shown = run("night", "show", "home/bed")
    assert shown.returncode == 1
    assert "no night yet" in shown.stderr


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = noctis(
        "tenant", "list", url="postgresql://nobody@127.0.0.1:1/nothing", folder=tmp_path
    )
    assert result.returncode == 3
    assert "unavailable" in result.stderr
    assert "Traceback" not in result.stderr
