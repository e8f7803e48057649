"""A page that shows a run: who was hurt when, and how far the database was behind."""

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.nemesis import Happened
from tests.chaos.progress import Sample
from tests.chaos.run import Outcome
from tests.chaos.schedule import Kind

__all__ = ["page"]

LANES: Final = (
    *("device", "broker", "ingestor", "worker", "companion", "facade", "database", "log"),
)
COLOURS: Final[dict[Kind, str]] = {
    "kill": "#b3261e",
    "freeze": "#1f5fa8",
    "cut": "#8a5a00",
    "one-way": "#c98a1b",
    "delay": "#5f6b7a",
    "reset": "#6b3fa0",
    "disk full": "#00695c",
    "clock": "#ad1457",
    "reload": "#2e7d32",
}
WIDTH, LEFT, LANE, CHART = 1200, 90, 24, 160


@dataclass(frozen=True, slots=True)
class _Scale:
    """From unix seconds to places on the page."""

    begin: float
    end: float

    def x(self, at: float) -> float:
        share = (at - self.begin) / max(1.0, self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - 10), 1)


def page(outcome: Outcome) -> str:
    """Return the page as HTML that needs nothing from elsewhere."""
    samples = outcome.progress.samples if outcome.progress else []
    happened = outcome.nemesis.happened if outcome.nemesis else []
    held = "holds" if outcome.holds else "does not hold"
    asked = outcome.asked
    told = (
        f"seed {asked.seed}, {outcome.faults} faults, {outcome.epochs} epochs of "
        f"{asked.tenants * asked.devices} devices in {asked.tenants} tenants, broker "
        f"{'with' if asked.persistence else 'without'} persistence, {outcome.seconds:.0f} s"
    )
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{json.dumps(value)}</td></tr>"
        for name, value in outcome.verdict.items()
    )
    legend = " ".join(
        f'<span style="color:{it}">■ {kind}</span>' for kind, it in COLOURS.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Noctis: a run of chaos</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1240px;"
        "color:#1c1f24;background:#fff}svg{width:100%;height:auto}th{text-align:left;"
        "font-weight:400;padding-right:2em}td{text-align:right}</style>"
        f"<h1>The verdict {held}</h1><p>{told}</p>{_drawing(samples, happened)}"
        f"<p>{legend}</p><table>{rows}</table></html>\n"
    )


def _drawing(samples: Sequence[Sample], happened: Sequence[Happened]) -> str:
    if not samples:
        return "<p>Nothing was measured.</p>"
    scale = _Scale(samples[0].at, max(samples[-1].at, *(it.ended for it in happened), 0.0))
    height = CHART + 40 + LANE * len(LANES)
    parts = [*_lag(samples, scale), *_lanes(), *_faults(happened, scale)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role=img '
        'aria-label="Epochs that are not stored yet, and faults, over time">'
        f"{''.join(parts)}</svg>"
    )


def _lag(samples: Sequence[Sample], scale: _Scale) -> Iterator[str]:
    """Draw how many epochs were made and not stored; a gap where the database was silent."""
    lags = [None if it.stored is None else max(0, it.made - it.stored) for it in samples]
    most = max((lag for lag in lags if lag is not None), default=1) or 1
    yield f"<text x=0 y=14 font-size=12>behind</text><text x=0 y=30 font-size=12>{most}</text>"
    pen, path = "M", []
    for sample, lag in zip(samples, lags, strict=True):
        if lag is None:
            pen = "M"
            continue
        path.append(f"{pen}{scale.x(sample.at)} {CHART - lag / most * (CHART - 20):.1f}")
        pen = "L"
    yield f'<path d="{" ".join(path)}" fill=none stroke=#1c1f24 />'
    yield f"<line x1={LEFT} x2={WIDTH} y1={CHART} y2={CHART} stroke=#9aa2ad />"


def _lanes() -> Iterator[str]:
    for number, name in enumerate(LANES):
        y = CHART + 26 + LANE * (number + 1)
        yield f"<text x=0 y={y - 6} font-size=13>{name}</text>"
        yield f"<line x1={LEFT} x2={WIDTH} y1={y} y2={y} stroke=#e3e6ea />"


def _faults(happened: Sequence[Happened], scale: _Scale) -> Iterator[str]:
    for this in happened:
        for fault in this.event.faults:
            begin = scale.x(this.began + fault.after_s)
            end = scale.x(this.began + fault.after_s + fault.lasts_s)
            y = CHART + 30 + LANE * LANES.index(fault.target)
            yield (
                f"<rect x={begin} y={y} width={max(2.0, end - begin):.1f} height={LANE - 8} "
                f'fill="{COLOURS[fault.kind]}"><title>{html.escape(str(fault))}</title></rect>'
            )
        if this.recovered_s is not None:
            x = scale.x(this.ended + this.recovered_s)
            yield (
                f"<line x1={x} x2={x} y1={CHART - 6} y2={CHART + 6} stroke=#2e7d32 "
                f"stroke-width=2><title>{this.recovered_s:.1f} s</title></line>"
            )
