from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from drift import advice, chance, changes, report
from drift.distances import pooled
from drift.report import Report, compare
from inference.model import DEFAULT_FOLDER
from noctis.errors import ModelError
from noctis.features import FEATURES, NAMES
from noctis.histograms import PLACES, NightSummary
from registry import fingerprint
from registry.fingerprint import Fingerprint

KNOWN = fingerprint.read(DEFAULT_FOLDER)
START = date(2026, 1, 1)
HEART = NAMES.index("hr_mean")
STAGES = np.array([100, 400, 150, 150])


def night(
    person: int, evening: int, histograms: NDArray[np.int64] | None = None
) -> NightSummary:
    day = START + timedelta(days=evening)
    counts = KNOWN.subjects[person] if histograms is None else histograms
    return NightSummary(f"bed-{person}", day, counts, STAGES, 0.7)


def told(nights: Sequence[NightSummary], *, days: int = 60, since: int = 0) -> Report:
    begin, until = START + timedelta(days=since), START + timedelta(days=days)
    return compare(KNOWN, nights, model="stager@1", since=begin, until=until)


def moved(person: int, channel: int, codes: int) -> NDArray[np.int64]:
    """A person's histograms with a channel's values so many codes higher."""
    histograms = KNOWN.subjects[person].copy()
    place = PLACES[channel]
    counts = histograms[place][:-1]
    histograms[place][:-1] = np.concatenate((np.zeros(codes, np.int64), counts[:-codes]))
    histograms[place][-1] += counts[-codes:].sum()
    return histograms


def without(person: int, channel: int, share: float) -> NDArray[np.int64]:
    histograms = KNOWN.subjects[person].copy()
    counts = histograms[PLACES[channel]]
    taken = np.floor(counts[:-1] * share).astype(np.int64)
    counts[:-1] -= taken
    counts[-1] += taken.sum()
    return histograms


def test_every_training_person_by_themselves_is_within_chance() -> None:
    for person in range(len(KNOWN.subjects)):
        found = told([night(person, n) for n in range(4)])
        assert found.verdict == "stable", (person, [c for c in found.channels if c.why])
        assert found.changes is None


def test_the_more_sleepers_the_less_may_be_chance() -> None:
    known = chance.of(KNOWN)
    limits = [known.limits(sleepers) for sleepers in (1, 2, 4, 8, 16, 64, 1000)]
    for more, fewer in zip(limits[1:], limits[:-1], strict=True):
        assert (more <= fewer + 1e-9).mean() > 0.9
        assert more[HEART, 2] < fewer[HEART, 2]
    assert (limits[-1] >= chance.FLOOR).all()
    assert limits[0][HEART, 0] > 1  # the rule of thumb of 0.25 would cry wolf at once


def test_a_drift_of_many_sleepers_is_told_by_its_channel_and_its_distance() -> None:
    offset = 60  # codes of 0.375 bpm
    found = told([night(p, n, moved(p, HEART, offset)) for p in range(8) for n in range(3)])
    drifting = {it.name: it for it in found.channels if it.verdict == "drift"}
    assert found.verdict == "drift"
    assert list(drifting) == ["hr_mean"]
    assert drifting["hr_mean"].why == ("values",)
    away = drifting["hr_mean"].wasserstein
    assert away is not None
    assert away == pytest.approx(22.5, abs=6)
    assert any("heart rate" in line for line in advice.of(found))


def test_a_channel_that_falls_silent_is_told_as_missing() -> None:
    channel = NAMES.index("act_count")
    nights = [night(p, n, without(p, channel, 0.5)) for p in range(6) for n in range(3)]
    found = told(nights)
    [drifting] = [it for it in found.channels if it.verdict == "drift"]
    assert (drifting.name, drifting.why) == ("act_count", ("missing",))
    assert drifting.missing_change == pytest.approx(0.5, abs=0.05)
    assert any("says nothing" in line for line in advice.of(found))


def test_a_channel_that_training_never_had_is_no_drift() -> None:
    channel = NAMES.index("rr_mean")
    histograms = KNOWN.subjects[3].copy()
    place = PLACES[channel]
    histograms[place] = 0
    histograms[place][50] = histograms[PLACES[0]].sum()
    found = told([night(3, n, histograms) for n in range(5)])
    assert found.channels[channel].verdict == "unlearnt"
    assert found.channels[channel].psi is None
    assert found.verdict == "stable"


def test_two_nights_are_too_few_to_say_anything() -> None:
    found = told([night(1, 0), night(1, 1)])
    assert found.verdict == "unknown"
    assert advice.of(found) == ["too few nights: look again when three have closed"]
    assert told([]).verdict == "unknown"


def test_a_small_step_of_all_devices_is_a_change_of_that_channel_alone() -> None:
    nights = [
        night(p, n, moved(p, HEART, 14) if n >= 42 else None)
        for p in range(3)
        for n in range(56)
    ]
    found = told(nights, days=56, since=42)
    assert [it.verdict for it in found.channels if it.name == "hr_mean"] == ["stable"]
    assert found.changes is not None
    assert [it.stream for it in found.changes] == ["hr_mean"]
    [change] = found.changes
    assert change.since == START + timedelta(days=42)
    assert (change.told - change.since).days < 8
    assert change.by > 0
    assert found.verdict == "drift"


def test_what_the_model_says_is_watched_too() -> None:
    shares = (STAGES, np.array([50, 250, 250, 250]))
    nights = [
        NightSummary(
            f"bed-{p}",
            START + timedelta(days=n),
            KNOWN.subjects[p],
            shares[n >= 40],
            0.7 - 0.2 * (n >= 40),
        )
        for p in range(3)
        for n in range(56)
    ]
    found = changes.find(nights)
    assert found is not None
    names = {it.stream for it in found}
    assert {"confidence", "stage deep", "stage light"} <= names
    assert not names & set(NAMES)


def test_a_device_that_comes_or_goes_changes_nothing() -> None:
    nights = [night(p, n) for p in range(2) for n in range(56)]
    nights += [night(9, n) for n in range(30, 56)]
    found = changes.find([it for it in nights if it.device != "bed-1" or it.evening.month == 1])
    assert found == []


def test_a_night_more_than_the_usual_ones_is_needed_to_tell_a_change() -> None:
    assert changes.find([night(1, n) for n in range(changes.FIRST_NIGHTS)]) is None
    assert changes.find([night(1, n) for n in range(changes.FIRST_NIGHTS + 1)]) == []


def test_a_fingerprint_of_few_people_is_refused() -> None:
    few = Fingerprint(KNOWN.total, KNOWN.names[:5], KNOWN.subjects[:5], KNOWN.stages)
    with pytest.raises(ModelError, match="5 subjects does not tell drift from chance"):
        chance.of(few)


def test_a_report_is_json_with_every_channel_and_what_chance_may_do() -> None:
    document = told([night(p, n) for p in range(2) for n in range(3)]).as_json()
    assert [it["name"] for it in document["channels"]] == [it.name for it in FEATURES]
    heart = document["channels"][HEART]
    assert heart["unit"] == "bpm"
    assert set(heart["limits"]) == {"psi", "ks", "wasserstein_scaled", "missing_change"}
    assert (document["verdict"], document["nights"], document["sleepers"]) == ("stable", 6, 2)
    assert sum(document["stages"].values()) == pytest.approx(1, abs=0.001)
    assert document["confidence"] == 0.7
    assert report.WINDOW_DAYS < report.LOOKBACK_DAYS


def test_each_sleeper_weighs_the_same_however_long_they_slept() -> None:
    people = KNOWN.subjects[:3]
    longer = people * np.array([[40], [1], [1]])
    whole, group = np.ones(3), np.array([[1.0, 0, 1], [0, 1, 0]])
    for weights in (whole, group):
        expected, found = pooled(people, weights), pooled(longer, weights)
        shares = [
            it[..., PLACES[0]] / it[..., PLACES[0]].sum(-1, keepdims=True)
            for it in (expected, found)
        ]
        assert np.allclose(*shares)
    lone = pooled(people, group)[1]
    assert lone == pytest.approx(people[1])
