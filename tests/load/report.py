"""The report of a run, for people and for programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.load.kpis import Verdict

__all__ = ["as_json", "as_markdown", "write"]

_HEAD: Final = "| | what | measured | bound |\n|---|---|---|---|\n"


def as_json(
    asked: Mapping[str, Any], verdicts: Sequence[Verdict], facts: Mapping[str, Any]
) -> str:
    """Return the report as one JSON value."""
    found = [
        {
            "name": it.kpi.name,
            "value": it.value,
            "unit": it.kpi.unit,
            it.kpi.kind: it.kpi.bound,
            "holds": it.holds,
        }
        for it in verdicts
    ]
    holds = all(it.holds for it in verdicts)
    document = {"holds": holds, "asked": dict(asked), "kpis": found, "facts": dict(facts)}
    return json.dumps(document, indent=2) + "\n"


def as_markdown(
    asked: Mapping[str, Any], verdicts: Sequence[Verdict], facts: Mapping[str, Any]
) -> str:
    """Return the report as a page."""
    holds = all(it.holds for it in verdicts)
    lines = [_row(it) for it in verdicts]
    told = ", ".join(f"{name} {value}" for name, value in asked.items())
    rest = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())
    headline = "Every promise was kept." if holds else "Not every promise was kept."
    table = _HEAD + "\n".join(lines)
    return f"# Load test\n\n{headline} Asked: {told}.\n\n{table}\n\n## Facts\n\n{rest}\n"


def write(
    folder: Path,
    asked: Mapping[str, Any],
    verdicts: Sequence[Verdict],
    facts: Mapping[str, Any],
) -> None:
    """Leave both forms in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(as_json(asked, verdicts, facts), "utf-8")
    (folder / "report.md").write_text(as_markdown(asked, verdicts, facts), "utf-8")


def _row(it: Verdict) -> str:
    value = "not measured" if it.value is None else f"{it.value:g} {it.kpi.unit}".strip()
    sign = "≤" if it.kpi.kind == "most" else "≥"
    mark = "held" if it.holds else "**broken**"
    bound = f"{sign} {it.kpi.bound:g} {it.kpi.unit}".strip()
    return f"| {mark} | {it.kpi.told} | {value} | {bound} |"
