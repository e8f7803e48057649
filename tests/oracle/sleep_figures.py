"""Hold the figures of random hypnograms against YASA's; ``make oracle`` runs it.

YASA brings MNE and numba along, so it has an environment of its own and is no dependency of
the platform. What it said about some hundred hypnograms is kept in
``tests/vectors/sleep_figures.json``, which the unit tests read.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from math import isnan
from pathlib import Path

import numpy as np
from yasa import Hypnogram

from noctis.figures import figures
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED

VECTORS = Path(__file__).parents[1] / "vectors" / "sleep_figures.json"
NAMES = ("WAKE", "LIGHT", "DEEP", "REM", "WAKE", "UNS", "UNS")
"""What a code of a hypnogram is for YASA: out of bed is wake, no stage is unscored."""

OURS = {
    "TIB": "tib_min",
    "SPT": "spt_min",
    "TST": "tst_min",
    "SOL": "sol_min",
    "WAKE": "wake_min",
    "LIGHT": "light_min",
    "DEEP": "deep_min",
    "REM": "rem_min",
    "SE": "efficiency_percent",
    "%LIGHT": "light_percent",
    "%DEEP": "deep_percent",
    "%REM": "rem_percent",
}
ROUNDED = 5.1e-5  # YASA rounds to four decimals


def hypnograms(count: int, seed: int) -> Iterator[list[int]]:
    """Yield random hypnograms, from a single epoch to a long night, odd ones first."""
    draw = random.Random(seed)  # noqa: S311 - test data
    for code in range(MISSING + 1):
        yield [code]
        yield [code] * 60
    for _ in range(count - 2 * (MISSING + 1)):
        codes = draw.sample(range(MISSING + 1), draw.randint(1, MISSING + 1))
        if draw.random() < 0.5:
            codes += [*range(4), *range(4)]
        stay = draw.choice((0.0, 0.5, 0.9, 0.98))
        night = [draw.choice(codes)]
        for _ in range(int(2 ** draw.uniform(0, 10)) - 1):
            night.append(night[-1] if draw.random() < stay else draw.choice(codes))
        yield night


def told_by_yasa(night: list[int]) -> dict[str, float | None]:
    """Return YASA's figures under our names."""
    names = [NAMES[code] for code in night]
    said = Hypnogram(names, n_stages=4, freq="30s").sleep_statistics()
    if not [code for code in night if code < OUT_OF_BED]:
        return {"tib_min": float(said["TIB"])}  # nobody knows more of a night without a stage
    told = {ours: _plain(said[theirs]) for theirs, ours in OURS.items()}
    rem, onset = _plain(said["Lat_REM"]), _plain(said["SOL"])
    told["rem_latency_min"] = None if rem is None or onset is None else rem - onset
    return told | _of_scored([name for name in names if name != "UNS"])


def _of_scored(names: list[str]) -> dict[str, float | None]:
    """Return what YASA counts otherwise, made of its figures of the scored epochs.

    WASO until the end is TIB - SOL - TST; awakenings are the transitions from sleep to wake,
    which its fragmentation index counts, without the last awakening.
    """
    said = Hypnogram(names, n_stages=4, freq="30s").sleep_statistics()
    if not said["TST"]:
        return {"waso_min": None, "awakenings": None}
    transitions = round(said["SFI"] * said["TST"] / 60)
    return {
        "waso_min": float(said["TIB"] - said["SOL"] - said["TST"]),
        "awakenings": transitions - (names[-1] == "WAKE"),
    }


def _plain(value: float) -> float | None:
    return None if isnan(value) else float(value)


def differences(night: list[int], told: dict[str, float | None]) -> list[str]:
    """Return the names of the figures that differ."""
    ours = figures(np.array(night, np.uint8))
    return [
        name
        for name, theirs in told.items()
        if ((mine := getattr(ours, name)) is None) != (theirs is None)
        or (mine is not None and theirs is not None and abs(mine - theirs) > ROUNDED)
    ]


def main() -> int:
    """Compare, and write the vectors if asked to; 1 when a figure differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=int, default=0, help="write so many to the vectors")
    arguments = parser.parse_args()
    kept, wrong, compared, staged = [], 0, 0, 0
    for number, night in enumerate(hypnograms(arguments.count, arguments.seed)):
        told = told_by_yasa(night)
        found = differences(night, told)
        wrong += bool(found)
        compared += len(told)
        staged += sum(code < UNSTAGED for code in night)
        if found:
            print(f"{''.join(map(str, night))}: {', '.join(found)}")  # noqa: T201
        if number < arguments.keep:
            kept.append({"hypnogram": "".join(map(str, night)), "figures": told})
    print(  # noqa: T201
        f"{arguments.count} hypnograms, {compared} figures, {staged} epochs: "
        f"{wrong} hypnograms differ from YASA"
    )
    if kept:
        lines = ",\n".join(json.dumps(one) for one in kept)
        VECTORS.write_text(f"[\n{lines}\n]\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
