"""Rules of the metrics: their names, that they say what they are, and who is no label."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from scripts.generate_metrics import Metric, metrics

ROOT: Final = Path(__file__).parents[2]
METRICS: Final = metrics(ROOT)
UNITS: Final = ("_seconds", "_bytes", "_frames", "_epochs")
RESERVED: Final = ("_total", "_count", "_sum", "_bucket", "_created")
BOUNDED: Final = {
    "breaker": "what is guarded: one word of ours",
    "certificate": "server, ca, revoked",
    "change": "what happened to a night: made, revised, withdrawn",
    "check": "database, broker, model",
    "how": "how an operation ended: a few words of ours",
    "kind": "of an operation or a report: a few words of ours",
    "method": "of HTTP; what is unknown is other",
    "model": "a version of the registry, which an operator put there",
    "part": "of the companion: one word of ours",
    "point": "where a fault can be asked for: one of ours",
    "reason": "why a message is none: one word of ours",
    "route": "a template of the facade's routes; what is unknown is unknown",
    "rule": "of alerts: one of four",
    "service": "one of ours",
    "state": "of a device or a command: a few words of ours",
    "status": "of HTTP, or of an item: a few words of ours",
    "table": "of our own schema",
    "tenant": "fifty at most, and the sum of all others",
    "verdict": "of a report on drift: a few words of ours",
    "version": "of the software that runs",
}
"""The labels that there may be, and why each has few values."""


def wrong(metric: Metric) -> list[str]:
    """Return what is wrong with a metric."""
    is_counter, name = metric.kind == "counter", metric.name
    rules = {
        "begins with noctis_": name.startswith("noctis_"),
        "is of small letters, digits and _": bool(re.fullmatch("[a-z][a-z0-9_]*", name)),
        "a counter ends in _total, nothing else does": is_counter == name.endswith("_total"),
        "ends in no word of Prometheus's own": is_counter or not name.endswith(RESERVED),
        "a histogram ends in its unit": metric.kind != "histogram" or name.endswith(UNITS),
        "times are in seconds, sizes in bytes": not re.search(
            "_(ms|millis.*|us|minutes|hours_ago|mb|kb|mib)(_total)?$", name
        ),
        "its help is a sentence": bool(re.fullmatch(r"[A-Z0-9].{8,}\.", metric.help)),
        "its help has no line breaks nor bars": not re.search(r"[\n|]", metric.help),
        "its labels have few values": not set(metric.labels) - BOUNDED.keys(),
        "is no summary": metric.kind != "summary",
    }
    return [rule for rule, holds in rules.items() if not holds]


@pytest.mark.parametrize("metric", METRICS, ids=lambda it: it.name)
def test_a_metric_is_named_and_told_as_all_others_are(metric: Metric) -> None:
    assert not wrong(metric)


def test_the_rules_know_a_wrong_metric_when_they_see_one() -> None:
    good = Metric("noctis_x_total", "counter", "Epochs stored.", ("reason",), "api", "")
    assert not wrong(good)
    assert wrong(Metric("noctis_x", "counter", "Epochs stored.", (), "api", ""))
    assert wrong(Metric("noctis_x_total", "gauge", "Epochs stored.", (), "api", ""))
    assert wrong(Metric("noctis_x_ms", "histogram", "Epochs stored.", (), "api", ""))
    assert wrong(Metric("noctis_x_total", "counter", "stored", (), "api", ""))
    assert wrong(Metric("noctis_x_total", "counter", "Epochs stored.", ("device",), "api", ""))


def test_no_two_metrics_have_one_name_and_no_label_is_listed_in_vain() -> None:
    names = [it.name for it in METRICS]
    assert len(names) == len(set(names)) > 50
    assert BOUNDED.keys() == {label for it in METRICS for label in it.labels}


def test_the_documentation_lists_every_metric_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate_metrics.py", "--check"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
