"""Write the table of all metrics into ``docs/observability.md``.

The table is made of the source: each Counter, Gauge and Histogram with its help and labels. Run
it from the repository's root; ``--check`` only compares and fails on a difference.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path("docs/observability.md")
BEGIN: Final = "<!-- metrics: made by scripts/generate_metrics.py, do not edit -->\n"
END: Final = "<!-- metrics: end -->\n"
SERVICES: Final = {
    "api": "api",
    "broker": "broker",
    "companion": "companion",
    "inference": "inference",
    "ingestor": "ingestor",
    "noctis": "every service",
    "runner": "runner",
}
KINDS: Final = frozenset({"Counter", "Gauge", "Histogram", "Summary"})
CLIENT: Final = "prometheus_client"


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """A metric as the source defines it; ``service`` is who tells it."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    service: str
    path: str

    @property
    def series(self) -> set[str]:
        """The names of its time series."""
        if self.kind == "histogram":
            return {f"{self.name}_{it}" for it in ("bucket", "sum", "count")}
        return {self.name}


def metrics(root: Path = Path()) -> list[Metric]:
    """Return all metrics of the services in the order of their names."""
    paths = [path for folder in SERVICES for path in sorted((root / folder).rglob("*.py"))]
    return sorted(metric for path in paths for metric in _of(path, path.relative_to(root)))


def _of(path: Path, name: Path) -> Iterator[Metric]:
    module = ast.parse(path.read_text("utf-8"))
    kinds = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == CLIENT
        for alias in node.names
        if alias.name in KINDS
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            kind = kinds.get(node.func.id)
            if kind:
                yield _metric(node, kind, name)


def _metric(call: ast.Call, kind: str, path: Path) -> Metric:
    """Return the metric that a call makes; name, help and labels must be literals."""
    name, told, *rest = [ast.literal_eval(it) for it in call.args]
    labels = tuple(rest[0]) if rest else ()
    return Metric(name, kind.lower(), told, labels, SERVICES[path.parts[0]], str(path))


def table(found: list[Metric]) -> str:
    """Return the table in Markdown."""
    lines = ["| metric | kind | of | labels | what it tells |", "|---|---|---|---|---|"]
    for it in found:
        labels = ", ".join(f"`{label}`" for label in it.labels)
        lines.append(f"| `{it.name}` | {it.kind} | {it.service} | {labels} | {it.help} |")
    return "\n".join(lines) + "\n"


def render(page: str) -> str:
    """Return the page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{PAGE} has no place for the table: {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}\n{table(metrics())}\n{END}{after}"


def main() -> int:
    """Write or check the page; return the exit code."""
    page = PAGE.read_text("utf-8")
    if "--check" in sys.argv[1:]:
        if page == render(page):
            return 0
        print(f"{PAGE} is stale: run python scripts/generate_metrics.py", file=sys.stderr)
        return 1
    PAGE.write_text(render(page), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
