"""Faults drawn by a seed, over a platform of real processes: nothing is lost or doubled."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.broker_fixtures import eventually

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(900)]

FAULTS: Final = int(os.environ.get("NOCTIS_CHAOS_FAULTS", "50"))
SEED: Final = int(os.environ.get("NOCTIS_CHAOS_SEED", "1"))
LONGEST_S: Final = 2.0
ROOT: Final = Path(__file__).parents[2]


def chaos(*options: str) -> dict[str, Any]:
    """Run the command; return its one JSON value, which must hold."""
    command = [sys.executable, "-m", "tests.chaos", "--json", *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=840, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-6000:]}"
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def test_every_epoch_is_stored_and_staged_once_whatever_befalls_the_platform() -> None:
    verdict = chaos(
        *("--faults", str(FAULTS), "--seed", str(SEED), "--longest", str(LONGEST_S)),
        *("--devices", "2"),
    )
    assert verdict["faults"] == FAULTS
    assert verdict["epochs"] > 10 * FAULTS
    for wrong in ("lost", "phantom", "duplicates", "crossed", "altered", "disordered"):
        assert verdict[wrong] == 0, verdict
    assert verdict["predictions_missing"] == verdict["predictions_doubled"] == 0, verdict


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_a_campaign_that_is_told_to_end_ends_all_that_it_started(tmp_path: Path) -> None:
    told = tmp_path / "told"
    campaign = [
        sys.executable,
        "-m",
        "tests.chaos.campaign",
        "--folder",
        str(tmp_path / "runs"),
    ]
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with (
            told.open("w") as file,
            subprocess.Popen(
                [*campaign, "--tenants", "2", "--devices", "1"],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": name},
                stdout=subprocess.DEVNULL,
                stderr=file,
            ) as running,
        ):
            hurt = eventually(
                lambda: re.search(r" 1/\d+ ", told.read_text()) is not None, within_s=300
            )
            among = [*_processes_with(name)]
            running.send_signal(signal.SIGTERM)
            assert running.wait(200) == 128 + signal.SIGTERM, told.read_text()
        assert hurt, told.read_text()
        assert len(among) > 8  # they are to be seen, else nothing could be said of them
        assert [*_processes_with(name)] == []
        assert name not in Path("/proc/mounts").read_text()
        assert [*Path(name).glob("noctis-*")] == []


def _processes_with(text: str) -> Iterator[str]:
    """Yield the command lines of processes that have a text in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if text.encode() in (folder / "environ").read_bytes():
                yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
