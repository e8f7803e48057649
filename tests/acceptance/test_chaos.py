"""Faults drawn by a seed, over a platform of real processes: nothing is lost or doubled."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(900)]

FAULTS: Final = int(os.environ.get("NOCTIS_CHAOS_FAULTS", "12"))
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
