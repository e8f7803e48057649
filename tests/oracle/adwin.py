"""Write River's alarms on random streams into tests/vectors/adwin.json.

River brings SciPy and 100 MB of memory along, and takes seconds to import: it is no dependency.
In an environment of its own: ``pip install river==0.26.1``, then
``python -m tests.oracle.adwin``.
"""

import json
import sys
from pathlib import Path
from random import Random

from river.drift import ADWIN  # type: ignore[import-not-found,import-untyped,unused-ignore]

STREAMS = 60
PATH = Path(__file__).parents[1] / "vectors" / "adwin.json"


def main() -> None:
    """Write the streams, in thousandths, and where River tells that the mean has changed."""
    random = Random(26)  # noqa: S311 - no secret
    told = [_told(random) for _ in range(STREAMS)]
    PATH.write_text(json.dumps(told, separators=(",", ":")).replace("},{", "},\n{") + "\n")
    sys.stderr.write(f"{sum(it['alarm'] is not None for it in told)} alarms\n")


def _told(random: Random) -> dict[str, object]:
    step, at, length = random.uniform(0, 5), random.randint(5, 50), random.randint(20, 80)
    values = [round(1000 * random.gauss(step * (n >= at), 1)) for n in range(length)]
    delta, shortest = random.choice([0.002, 0.05, 0.2]), random.choice([3, 5])
    # A bucket for each value: every cut is tried.
    detector = ADWIN(
        delta=delta, clock=1, max_buckets=1000, min_window_length=shortest, grace_period=10
    )
    alarm = None
    for number, value in enumerate(values):
        detector.update(value / 1000)
        if detector.drift_detected:
            alarm = number
            break
    return {"delta": delta, "shortest": shortest, "alarm": alarm, "values": values}


if __name__ == "__main__":
    main()
