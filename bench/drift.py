"""Drift: how often a fleet that stays alarms anybody, and how soon an injected drift is told.

People are split: one part is what the model learnt from, of the others fleets are made. A
night of a device is drawn from its person's one night, half-hours at a time, with the heart
rate off by what it differs from night to night. After six weeks something changes.

Nights are those below ``NOCTIS_NIGHTS`` (the folder with most of them is who is learnt from,
the others are another group of sleepers), else made up by ``noctis-device``.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from drift.report import LOOKBACK_DAYS, WINDOW_DAYS, Report, compare
from evaluation.datasets import find_device, find_nights, load, parse
from evaluation.figures import NO_STAGE
from evaluation.staging import stage_night
from inference.context import Rows
from inference.model import DEFAULT_FOLDER, Model
from noctis.features import COUNT, FEATURES, NAMES
from noctis.histograms import NightSummary, count
from noctis.stages import COUNT as STAGES
from registry.fingerprint import Fingerprint, of_training
from registry.manifest import Night, read_manifest

__all__ = ["main", "measure"]

BEFORE: Final = LOOKBACK_DAYS - WINDOW_DAYS
BLOCK: Final = 60
HEART_SD: Final = 2.5  # bpm, from night to night of one person
SIZES: Final = (1, 4, 8)
RULE: Final = 0.25
START: Final = date(2026, 1, 1)
MADE_UP: Final = 24
STILL: Final = 5
"""Fleets that stay, for each with a drift: false alarms are rare, and must be counted."""
HEART, MOTION = NAMES.index("hr_mean"), (NAMES.index("act_count"), NAMES.index("enmo"))
BREATHING: Final = [NAMES.index(n) for n in NAMES if n.startswith(("rr_", "resp_"))]
SENSED: Final = [n for n in range(COUNT) if NAMES[n] != "quality"]

Codes = NDArray[np.int16]
Injection = Callable[[Codes, np.random.Generator], Codes]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person's night in bed: codes (n, 15), stages (n,) and their probability (n,)."""

    name: str
    group: str
    codes: Codes
    stages: NDArray[np.int8]
    sure: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of drift in fleets of so many devices.

    ``told``: the share of fleets of which a report says drift, of those that nothing was done
    to: false alarms. ``by_training``, ``by_change``: by which comparison; ``by_rule``: what the
    rule of thumb, a PSI above 0.25, would have said of the same reports. ``delay_nights``: the
    median of the evenings until it was told by change. ``named``: the most frequent findings.
    """

    what: str
    devices: int
    fleets: int
    told: float
    by_training: float
    by_change: float
    by_rule: float
    delay_nights: float | None
    named: list[str]


def offset(channel: int, by: float) -> Injection:
    """Return what adds so many units to a channel."""

    def change(codes: Codes, _: np.random.Generator) -> Codes:
        return _with(codes, channel, FEATURES[channel].values(codes[:, channel]) + by)

    return change


def gain(factor: float) -> Injection:
    """Return what makes motion weaker; the share of seconds with movement stays."""

    def change(codes: Codes, _: np.random.Generator) -> Codes:
        for channel in MOTION:
            values = FEATURES[channel].values(codes[:, channel]) * factor
            codes = _with(codes, channel, values)
        return codes

    return change


def lost(channels: Sequence[int], share: float) -> Injection:
    """Return what takes channels away in a share of the blocks of ten minutes."""

    def change(codes: Codes, random: np.random.Generator) -> Codes:
        gone = np.repeat(random.random(len(codes) // 20 + 1) < share, 20)[: len(codes)]
        codes = codes.copy()
        for channel in channels:
            codes[gone, channel] = FEATURES[channel].missing
        return codes

    return change


INJECTIONS: Final[dict[str, Injection]] = {
    "heart rate +5 bpm": offset(HEART, 5.0),
    "heart rate +15 bpm": offset(HEART, 15.0),
    "gain of motion halved": gain(0.5),
    "breathing lost": lost(BREATHING, 1.0),
    "moved away: a third missing": lost(SENSED, 0.33),
}


def measure(people: Sequence[Person], *, splits: int, fleets: int) -> list[Row]:
    """Return a row for each injection, each size of fleet, and for fleets that stay."""
    groups = Counter(person.group for person in people)
    own = groups.most_common(1)[0][0]
    mine = [it for it in people if it.group == own]
    others = [it for it in people if it.group != own]
    told: dict[tuple[str, int], list[Report]] = {}
    for split in range(splits):
        random = np.random.default_rng(split)
        order = random.permutation(len(mine))
        known = [mine[n] for n in order[: 2 * len(mine) // 3]]
        new = [mine[n] for n in order[2 * len(mine) // 3 :]]
        reference = of_training(
            {it.name: it.codes for it in known}, read_manifest(DEFAULT_FOLDER).figures
        )
        _say(f"split {split + 1} of {splits}")
        for size in SIZES:
            for what, injection, after in _cases(new, others):
                for _ in range(fleets if injection or after else STILL * fleets):
                    fleet = _some(new, size, random)
                    later = fleet if after is None else _some(after, size, random)
                    nights = _nights(fleet, later, injection, random)
                    told.setdefault((what, size), []).append(_report(reference, nights))
    return [_row(what, size, reports) for (what, size), reports in told.items()]


def _some(people: Sequence[Person], size: int, random: np.random.Generator) -> list[Person]:
    return [people[n] for n in random.permutation(len(people))[:size]]


def _cases(
    new: Sequence[Person], others: Sequence[Person]
) -> list[tuple[str, Injection | None, Sequence[Person] | None]]:
    cases: list[tuple[str, Injection | None, Sequence[Person] | None]] = [
        ("nothing", None, None)
    ]
    for what, injection in INJECTIONS.items():
        has_breath = any((it.codes[:, BREATHING[0]] != 255).any() for it in new)  # noqa: PLR2004
        if what != "breathing lost" or has_breath:
            cases.append((what, injection, None))
    if others:
        cases.append(("another group of sleepers", None, others))
    return cases


def _nights(
    fleet: Sequence[Person],
    later: Sequence[Person],
    injection: Injection | None,
    random: np.random.Generator,
) -> list[NightSummary]:
    nights = []
    for evening in range(LOOKBACK_DAYS):
        is_late = evening >= BEFORE
        for number, person in enumerate(later if is_late else fleet):
            change = injection if is_late else None
            day = START + timedelta(days=evening)
            nights.append(_night(person, f"bed-{number}", day, change, random))
    return nights


def _night(
    person: Person,
    device: str,
    day: date,
    change: Injection | None,
    random: np.random.Generator,
) -> NightSummary:
    blocks = max(1, len(person.codes) // BLOCK)
    starts = random.integers(0, max(1, len(person.codes) - BLOCK), blocks)
    places = (starts[:, np.newaxis] + np.arange(min(BLOCK, len(person.codes)))).ravel()
    codes = offset(HEART, random.normal(0, HEART_SD))(person.codes[places], random)
    if change is not None:
        codes = change(codes, random)
    told = person.stages[places] != NO_STAGE
    stages = np.bincount(person.stages[places][told], minlength=STAGES).astype(np.int64)
    sure = float(person.sure[places][told].mean()) if told.any() else None
    return NightSummary(device, day, count(codes), stages, sure)


def _report(reference: Fingerprint, nights: Sequence[NightSummary]) -> Report:
    until = START + timedelta(days=LOOKBACK_DAYS)
    since = until - timedelta(days=WINDOW_DAYS)
    return compare(reference, nights, model="bench", since=since, until=until)


def _row(what: str, size: int, reports: Sequence[Report]) -> Row:
    training = [any(c.verdict == "drift" for c in it.channels) for it in reports]
    changed = [bool(it.changes) for it in reports]
    begin = START + timedelta(days=BEFORE)
    delays = [
        min((c.told - begin).days + 1 for c in it.changes)
        for it in reports
        if it.changes and what != "nothing"
    ]
    names = Counter(
        name
        for it in reports
        for name in {
            *(c.name for c in it.channels if c.verdict == "drift"),
            *(c.stream for c in it.changes or ()),
        }
    )
    told = [it.verdict == "drift" for it in reports]
    return Row(
        what,
        size,
        len(reports),
        told=_share(told),
        by_training=_share(training),
        by_change=_share(changed),
        by_rule=_share([any((c.psi or 0) > RULE for c in it.channels) for it in reports]),
        delay_nights=median(delays) if delays else None,
        named=[name for name, _ in names.most_common(4)],
    )


def _share(these: Sequence[bool]) -> float:
    return round(sum(these) / len(these), 3)


def _with(codes: Codes, channel: int, values: NDArray[np.float64]) -> Codes:
    changed = codes.copy()
    changed[:, channel] = FEATURES[channel].codes(values)
    return changed


def _people(var: Path) -> list[Person]:
    model = Model.load(DEFAULT_FOLDER)
    people = []
    for name, group, rows in _rows(var):
        _say(f"stages of {group}/{name}")
        staging = stage_night(model, rows)
        in_bed = rows[:, COUNT] == 1
        sure = np.nan_to_num(staging.probabilities.max(axis=1))
        people.append(
            Person(name, group, rows[in_bed, :COUNT], staging.stages[in_bed], sure[in_bed])
        )
    return people


def _rows(var: Path) -> list[tuple[str, str, Rows]]:
    """Return the nights as (name, group, rows)."""
    root = os.environ.get("NOCTIS_NIGHTS")
    if root:
        groups = {folder.name: folder.parent.name for folder in find_nights(Path(root))}
        cache = var / "cache" / "nights"
        nights = load(
            Path(root), cache=cache, progress=lambda *it: _say("{}: {} of {}".format(*it))
        )
        return [(it.night.name, groups[it.night.name], it.rows) for it in nights]
    return [(f"seed-{seed}", "made up", _made_up(seed)) for seed in range(MADE_UP)]


def _made_up(seed: int) -> Rows:
    command = [str(find_device()), "--seed", str(seed), "--hours", "8", "--to", "csv"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)  # noqa: S603 - our own program
    return parse(done.stdout, Night(name=f"seed-{seed}", subject=f"{seed}", files={})).rows


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| what | devices | told | by training | by change | PSI > 0.25 | evenings | named |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {it.what} | {it.devices} | {it.told:.0%} | {it.by_training:.0%} | "
        f"{it.by_change:.0%} | {it.by_rule:.0%} | "
        f"{'' if it.delay_nights is None else it.delay_nights} | "
        f"{', '.join(it.named)} |"
        for it in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--splits", type=int, default=6, help="of the people")
    parser.add_argument("--fleets", type=int, default=2, help="of each kind and size, a split")
    parser.add_argument("--var", type=Path, default=Path("var"), help="for the cache of nights")
    parser.add_argument("--json", action="store_true", help="one JSON value on stdout")
    asked = parser.parse_args()
    people = _people(asked.var)
    rows = measure(people, splits=asked.splits, fleets=asked.fleets)
    result: dict[str, Any] = {
        "nights": "real" if os.environ.get("NOCTIS_NIGHTS") else "made up",
        "people": dict(Counter(person.group for person in people)),
        "rows": [asdict(row) for row in rows],
    }
    sys.stdout.write((json.dumps(result) if asked.json else _table(rows)) + "\n")


if __name__ == "__main__":
    main()
