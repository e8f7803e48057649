"""Write Grafana's dashboards, and the docs' tables of alerts and dashboards.

The dashboards are described in ``scripts/dashboards``, the alerts in
``observability/prometheus/alerts.yml``. Run it from the repository's root; ``--check`` only
compares and fails on a difference.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.dashboards import DASHBOARDS
from scripts.dashboards.parts import Dashboard, Panel, Row

FOLDER: Final = Path("observability/grafana/dashboards")
ALERTS: Final = Path("observability/prometheus/alerts.yml")
PAGE: Final = Path("docs/observability.md")
SOURCE: Final = {"type": "prometheus", "uid": "noctis-prometheus"}
WIDTH: Final = 24
HEIGHTS: Final = {"stat": 4, "timeseries": 8}


def grafana(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.why,
        "tags": ["noctis"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "tags": ["noctis"], "title": "Noctis", "asDropdown": False}
        ],
        "panels": list(_panels(dashboard.rows)),
    }


def _panels(rows: tuple[Row, ...]) -> Iterator[dict[str, Any]]:
    """Yield headings and panels, each with a number and its place on the grid."""
    number, top = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        top += 1
        width, height = WIDTH // len(row.panels), max(HEIGHTS[it.kind] for it in row.panels)
        for at, panel in enumerate(row.panels):
            number += 1
            place = {"x": at * width, "y": top, "w": width, "h": height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
        top += height


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_from is not None:
        steps.append({"color": "red", "value": panel.bad_from})
    is_stat = panel.kind == "stat"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "color": {"mode": "thresholds" if is_stat else "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {} if is_stat else {"fillOpacity": 8, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}}
        if is_stat
        else {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
            }
            for at, query in enumerate(panel.queries)
        ],
    }


def alerts() -> list[dict[str, Any]]:
    """Return all alerts in the order of their file."""
    groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alert_table() -> str:
    """Return the alerts as a table in Markdown."""
    lines = ["| alert | after | what it means | what to do |", "|---|---|---|---|"]
    for it in alerts():
        told, name = it["annotations"], f"`{it['alert']}` ({it['labels']['severity']})"
        after = it.get("for", "at once")
        lines.append(f"| {name} | {after} | {told['meaning']} | {told['action']} |")
    return "\n".join(lines) + "\n"


def dashboard_table() -> str:
    """Return the dashboards and their panels as a table in Markdown."""
    lines = ["| dashboard | panel | why one looks at it |", "|---|---|---|"]
    for dashboard in DASHBOARDS:
        lines.append(f"| **{dashboard.title}** | | {dashboard.why} |")
        lines += [
            f"| | {panel.title} | {panel.why} |"
            for row in dashboard.rows
            for panel in row.panels
        ]
    return "\n".join(lines) + "\n"


def with_table(page: str, name: str, table: str) -> str:
    """Return a page with the table ``name`` as it should be."""
    begin = f"<!-- {name}: made by scripts/generate_dashboards.py, do not edit -->\n"
    end = f"<!-- {name}: end -->\n"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        sys.exit(f"{PAGE} has no place for the table: {begin.strip()} ... {end.strip()}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def files() -> dict[Path, str]:
    """Return what each file should be."""
    page = with_table(PAGE.read_text("utf-8"), "alerts", alert_table())
    made = {FOLDER / f"{it.uid}.json": json.dumps(grafana(it), indent=1) for it in DASHBOARDS}
    return {
        PAGE: with_table(page, "dashboards", dashboard_table()),
        **{path: text + "\n" for path, text in made.items()},
    }


def main() -> int:
    """Write or check all files; return the exit code."""
    stale = [
        path
        for path, text in files().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(
                f"{path} is stale: run python scripts/generate_dashboards.py", file=sys.stderr
            )
        return 1 if stale else 0
    for path in stale:
        path.write_text(files()[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
