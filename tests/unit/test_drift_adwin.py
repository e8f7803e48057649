import json
from pathlib import Path

import numpy as np

from drift.adwin import first_alarm

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "adwin.json").read_text())


def test_alarms_come_where_river_has_them() -> None:
    found = [
        first_alarm(np.array(it["values"]) / 1000, delta=it["delta"], shortest=it["shortest"])
        for it in VECTORS
    ]
    told = [None if it is None else it.told for it in found]
    assert told == [it["alarm"] for it in VECTORS]
    assert 20 < sum(it is not None for it in told) < len(told) - 10


def test_an_alarm_names_the_value_from_which_the_mean_is_new() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=60)
    values[35:] += 6
    alarm = first_alarm(values)
    assert alarm is not None
    assert alarm.since == 35
    assert 35 < alarm.told < 50


def test_a_stream_that_is_short_or_constant_alarms_nobody() -> None:
    assert first_alarm(np.array([0.0] * 5 + [9.0] * 5)) is None
    assert first_alarm(np.zeros(300)) is None
