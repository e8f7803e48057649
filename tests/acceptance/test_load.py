"""The load test itself: a short run, with a fault that breaks one promise and no other."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
ROOT = Path(__file__).parents[2]
SHORT = ("--devices", "8", "--rate", "8", "--minutes", "0.1", "--reads", "4", "--kill")
OF_SPEED = {"stage_p95", "reads_p99", "predict_p95", "ingest_share"}
"""What a machine that does something else beside may break."""


def run(folder: Path, points: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.load", "--json", "--folder", str(folder), *SHORT],
        cwd=ROOT,
        env={**os.environ, "NOCTIS_FAULTS": "allowed", "NOCTIS_FAULT_POINTS": points},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def test_stages_that_are_not_published_break_their_promise_and_end_the_run_with_1(
    tmp_path: Path,
) -> None:
    code, found = run(tmp_path, "inference.publish=drop@0.5")
    assert code == 1
    assert found["holds"] is False
    broken = {it["name"]: it["value"] for it in found["kpis"] if not it["holds"]}
    assert broken.keys() - OF_SPEED == {"stages_missing"}
    assert broken["stages_missing"] > 0
    assert found == json.loads((tmp_path / "report.json").read_text())
    assert "**broken** | live epochs" in (tmp_path / "report.md").read_text()
    assert found["facts"]["epochs_made"] > found["facts"]["epochs_in_the_window"] > 0
