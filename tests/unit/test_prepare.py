"""``scripts/prepare``: what a fresh host needs before compose."""

import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.dockerfile import ROOT

SECRETS: Final = {
    *("database_password", "ingestor_password", "live_password", "companion_password"),
    *("api_password", "grafana_password"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "prepare", tmp_path / "scripts")
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    return tmp_path


def prepare(project: Path, *arguments: str) -> int:
    command = [project / "scripts" / "prepare", *arguments]
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode


def passwords(project: Path) -> dict[str, str]:
    return {it.name: it.read_text() for it in (project / "secrets").iterdir()}


def test_each_secret_of_the_file_is_made_once_and_stays(project: Path) -> None:
    assert prepare(project, "sleep.test", "192.168.1.5") == 0
    first = passwords(project)
    assert first.keys() == SECRETS
    assert len(set(first.values())) == len(SECRETS)
    assert stat.S_IMODE((project / "secrets").stat().st_mode) == 0o700
    (project / ".env").write_text((project / ".env").read_text() + "NOCTIS_LOG_LEVEL=debug\n")
    assert prepare(project, "other.test") == 0
    assert passwords(project) == first
    lines = set((project / ".env").read_text().splitlines())
    assert lines == {"NOCTIS_HOSTS=other.test", "NOCTIS_LOG_LEVEL=debug"}
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


def test_by_force_every_secret_is_made_anew(project: Path) -> None:
    assert prepare(project, "sleep.test") == 0
    first = passwords(project)
    assert prepare(project, "--force", "sleep.test") == 0
    assert not set(passwords(project).values()) & set(first.values())


@pytest.mark.parametrize("arguments", [(), ("--force",), ("--help",)])
def test_without_a_name_of_the_host_nothing_is_made(
    project: Path, arguments: tuple[str, ...]
) -> None:
    assert prepare(project, *arguments) == 2
    assert not (project / "secrets").exists()
