"""The alerts and dashboards as files: sound, tested, told in the documentation."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from cli.main import COMMANDS
from scripts.dashboards import DASHBOARDS
from scripts.generate_dashboards import alerts
from scripts.generate_metrics import metrics

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "observability" / "prometheus"
RULES: Final = alerts()
TOLD: Final = {"summary", "meaning", "action"}
KNOWN: Final = {series for it in metrics(ROOT) for series in it.series}


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        assert "CI" not in os.environ, "apt-get install prometheus"
        pytest.skip("promtool is not here: scripts/bootstrap check")
    done = subprocess.run(
        [program, *arguments],
        cwd=FOLDER,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_understands_rules_and_configuration() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_for_its_fault_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_each_alert_has_a_test_of_its_own() -> None:
    tests: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())[
        "tests"
    ]
    missing = {it["alert"] for it in RULES} - {it["name"] for it in tests}
    assert not missing


@pytest.mark.parametrize("rule", RULES, ids=lambda it: it["alert"])
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == TOLD
    assert all(rule["annotations"][it].endswith(".") for it in ("meaning", "action"))
    text = " ".join(rule["annotations"][it] for it in ("meaning", "action"))
    assert "|" not in text  # it stands in a table of the documentation
    commands = set(re.findall("`noctis ([a-z]+)", text))
    assert commands <= {it.name for it in COMMANDS}


def test_alerts_and_dashboards_ask_for_metrics_that_there_are() -> None:
    panels = [it for page in DASHBOARDS for row in page.rows for it in row.panels]
    asked = [query.expression for panel in panels for query in panel.queries]
    asked += [rule["expr"] for rule in RULES]
    names = {name for text in asked for name in re.findall("noctis_[a-z0-9_]+", text)}
    assert names <= KNOWN


def test_dashboards_and_tables_are_as_they_are_described() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate_dashboards.py", "--check"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
