"""A page that shows a run: who was hurt when, how far the database was behind, what it took."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.nemesis import Happened
from tests.chaos.progress import Sample
from tests.chaos.run import WRONG, Outcome
from tests.chaos.schedule import Kind

__all__ = ["page"]

LANES: Final = (
    *("device", "broker", "ingestor", "worker", "companion", "facade", "database", "log"),
)
COLOURS: Final[dict[Kind, str]] = {
    "kill": "#d0342c",
    "freeze": "#2f7ed8",
    "cut": "#a86d00",
    "one-way": "#dba11c",
    "delay": "#7a8797",
    "reset": "#8e5bd0",
    "disk full": "#00897b",
    "clock": "#d81b60",
    "reload": "#6b8e23",
}
STYLE: Final = """
:root{--ink:#1c1f24;--paper:#fff;--line:#e3e6ea;--dim:#5f6b7a;--good:#2e7d32;--bad:#c62828}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--paper:#14171c;--line:#2c323b;
--dim:#98a2b0;--good:#66bb6a;--bad:#ef5350}}
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1240px;padding:0 1em;
color:var(--ink);background:var(--paper)}
h1{margin:0}h1.good{color:var(--good)}.bad{color:var(--bad)}p{margin:.3em 0}
p,.none{color:var(--dim)}
ul{display:flex;flex-wrap:wrap;gap:.4em 2em;padding:0;list-style:none}li b{font-size:1.3em}
svg{width:100%;height:auto;margin-top:1em}text{font-size:13px;fill:var(--dim)}
.grid{stroke:var(--line)}.lag{fill:var(--ink);fill-opacity:.12;stroke:var(--ink)}
.silent{fill:var(--bad);fill-opacity:.15}.back{fill:var(--good)}.late{fill:var(--bad)}
table{border-spacing:0}td,th{padding:.1em 1.2em .1em 0;text-align:left;font-weight:400}
.number{text-align:right;font-variant-numeric:tabular-nums}
"""
WIDTH, LEFT, RIGHT, LANE, TOP, CHART = 1200, 90, 20, 26, 20, 150
LANES_Y: Final = CHART + 14
HEIGHT: Final = LANES_Y + LANE * (len(LANES) + 1) + 24
STEPS_S: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
TICKS: Final = 12


@dataclass(frozen=True, slots=True)
class _Scale:
    """From unix seconds to places on the page."""

    begin: float
    end: float

    def x(self, at: float) -> float:
        share = (at - self.begin) / max(1.0, self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self) -> Iterator[float]:
        """Yield round moments, no more than TICKS of them and a few."""
        length = self.end - self.begin
        step = next((it for it in STEPS_S if length / it <= TICKS), length)
        at = self.begin
        while at <= self.end:
            yield at
            at += step

    def clock(self, at: float) -> str:
        """Return the minutes and seconds since the run began."""
        return f"{int(at - self.begin) // 60}:{int(at - self.begin) % 60:02d}"


def page(outcome: Outcome) -> str:
    """Return the page as HTML that needs nothing from elsewhere."""
    samples = outcome.progress.samples if outcome.progress else []
    happened = outcome.nemesis.happened if outcome.nemesis else []
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Noctis: a run of chaos</title><style>{STYLE}</style>",
        *_verdict(outcome),
    ]
    if samples:
        last = max(
            samples[-1].at, *(it.ended + (it.recovered_s or 0.0) for it in happened), 0.0
        )
        scale = _Scale(samples[0].at, last)
        parts += [*_drawing(samples, happened, scale), *_events(happened, scale)]
    return "".join([*parts, *_examples(outcome), "</html>\n"])


def _verdict(outcome: Outcome) -> Iterator[str]:
    asked = outcome.asked
    good = outcome.holds
    yield f"<h1 class={'good' if good else 'bad'}>"
    yield f"The verdict {'holds' if good else 'does not hold'}</h1>"
    yield (
        f"<p>seed {asked.seed}: {asked.tenants * asked.devices} devices of {asked.tenants} "
        f"tenants, nights {asked.speed:g} times as fast as the clock, broker "
        f"{'with' if asked.persistence else 'without'} persistence, {outcome.seconds:.0f} s</p>"
    )
    yield "<ul>"
    for name, value in outcome.verdict.items():
        look = " class=bad" if value else " class=none"
        look = look if name in WRONG else ""
        yield f"<li{look}><b>{value:,}</b> {html.escape(name.replace('_', ' '))}</li>"
    yield "</ul>"


def _drawing(
    samples: Sequence[Sample], happened: Sequence[Happened], scale: _Scale
) -> Iterator[str]:
    yield (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img '
        'aria-label="Epochs that are not stored yet, faults and recoveries, over time">'
    )
    yield from _grid(scale)
    yield from _lag(samples, scale)
    yield from _faults(happened, scale)
    yield from _recoveries(happened, scale)
    yield "</svg><p>"
    for kind, colour in COLOURS.items():
        yield f'<span style="color:{colour}">■</span> {kind} &ensp;'
    yield (
        "<br>Recovery: from the end of the last fault until more is stored, an app has heard "
        "a stage and every service is ready; none where the next fault came first. Red above: "
        "the database gave no answer.</p>"
    )


def _grid(scale: _Scale) -> Iterator[str]:
    bottom = HEIGHT - 20
    for at in scale.ticks():
        x = scale.x(at)
        yield f"<line class=grid x1={x} x2={x} y1={TOP} y2={bottom} />"
        yield f"<text x={x} y={HEIGHT - 5} text-anchor=middle>{scale.clock(at)}</text>"
    for number, name in enumerate((*LANES, "recovery")):
        y = LANES_Y + LANE * (number + 1)
        yield f"<text x=0 y={y - 8}>{name}</text>"
        yield f"<line class=grid x1={LEFT} x2={WIDTH - RIGHT} y1={y} y2={y} />"


def _lag(samples: Sequence[Sample], scale: _Scale) -> Iterator[str]:
    """Draw how many epochs were made and not stored; red where the database was silent."""
    lags = [None if it.stored is None else max(0, it.made - it.stored) for it in samples]
    most = max((lag for lag in lags if lag is not None), default=0)
    ends = [*(it.at for it in samples[1:]), scale.end]
    yield f"<text x=0 y={TOP + 10}>{most:,} epochs</text>"
    yield f"<text x=0 y={TOP + 27}>not stored</text>"
    yield f"<text x=0 y={CHART}>0</text>"
    path = f"M{scale.x(scale.begin)} {CHART}"
    height = CHART - TOP
    for sample, end, lag in zip(samples, ends, lags, strict=True):
        x = scale.x(sample.at)
        if lag is None:
            width = round(scale.x(end) - x, 1)
            yield f"<rect class=silent x={x} y={TOP} width={width} height={height} />"
        else:
            path += f"L{x} {CHART - lag / max(1, most) * height:.1f}"
    yield f'<path class=lag d="{path}L{scale.x(samples[-1].at)} {CHART}Z" />'


def _faults(happened: Sequence[Happened], scale: _Scale) -> Iterator[str]:
    for this in happened:
        for fault in this.event.faults:
            begin = this.began + fault.after_s
            span = begin, begin + fault.lasts_s
            look = f'fill="{COLOURS[fault.kind]}"'
            yield _bar(scale, LANES.index(fault.target), span, look, str(fault))


def _recoveries(happened: Sequence[Happened], scale: _Scale) -> Iterator[str]:
    """Draw each recovery that was waited for; one that did not come is red."""
    for this in happened:
        if this.recovered_s is not None:
            span = this.ended, this.ended + this.recovered_s
            yield _bar(scale, len(LANES), span, "class=back", f"{this.recovered_s:.1f} s")
        elif _is_missing(this, happened):
            span = this.ended, scale.end
            yield _bar(scale, len(LANES), span, "class=late", "not recovered")


def _bar(scale: _Scale, lane: int, span: tuple[float, float], look: str, told: str) -> str:
    x, y = scale.x(span[0]), LANES_Y + LANE * lane + 5
    width = max(3.0, round(scale.x(span[1]) - x, 1))
    return (
        f"<rect x={x} y={y} width={width} height={LANE - 10} rx=2 {look}>"
        f"<title>{html.escape(told)}</title></rect>"
    )


def _is_missing(this: Happened, happened: Sequence[Happened]) -> bool:
    """Tell whether a recovery that is not there was waited for."""
    return this.recovered_s is None and (not this.event.storm or this is happened[-1])


def _events(happened: Sequence[Happened], scale: _Scale) -> Iterator[str]:
    worst = max((it.recovered_s or 0.0 for it in happened), default=0.0)
    yield "<table><tr><th class=number>at<th>what befell whom"
    yield "<th class=number>recovered after</tr>"
    for this in happened:
        faults = " and ".join(map(str, this.event.faults))
        told, look = "", ""
        if this.recovered_s is not None:
            told = f"{this.recovered_s:.1f} s"
            told = f"<b>{told}</b>" if this.recovered_s == worst else told
        elif _is_missing(this, happened):
            told, look = "not recovered", " bad"
        yield (
            f"<tr><td class=number>{scale.clock(this.began)}<td>{html.escape(faults)}"
            f'<td class="number{look}">{told}</tr>'
        )
    yield "</table>"


def _examples(outcome: Outcome) -> Iterator[str]:
    for kind, examples in outcome.findings.examples.items():
        yield f"<h2 class=bad>{html.escape(kind)}</h2>"
        for example in examples:
            yield f"<p>{html.escape(example)}</p>"
