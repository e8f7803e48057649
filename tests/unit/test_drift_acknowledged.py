from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from drift.acknowledged import as_told
from drift.report import Report, compare
from inference.model import DEFAULT_FOLDER
from noctis.features import NAMES
from noctis.histograms import PLACES, NightSummary
from noctis.storage.drift_acknowledgements import Acknowledgement
from registry import fingerprint

KNOWN = fingerprint.read(DEFAULT_FOLDER)
START = date(2026, 1, 1)
STAGES = np.array([100, 400, 150, 150])
PEOPLE = range(4)
MODEL = "stager@1"
STEP, FOREIGN = 14, 80


def night(person: int, evening: int, higher: int) -> NightSummary:
    """A person's night with a heart rate so many codes higher."""
    histograms = KNOWN.subjects[person].copy()
    place = PLACES[NAMES.index("hr_mean")]
    counts = histograms[place][:-1]
    histograms[place][:-1] = np.concatenate((np.zeros(higher, np.int64), counts))[: len(counts)]
    return NightSummary(
        f"bed-{person}", START + timedelta(days=evening), histograms, STAGES, 0.7
    )


def nights(*steps: tuple[int, int]) -> list[NightSummary]:
    """Fifty evenings of all people, higher by so many codes since so many evenings."""
    return [
        night(person, evening, sum(by for since, by in steps if evening >= since))
        for person in PEOPLE
        for evening in range(50)
    ]


def report(
    found: Sequence[NightSummary], *known: Acknowledgement, model: str = MODEL
) -> Report:
    begin, until = START + timedelta(days=36), START + timedelta(days=50)
    return compare(
        KNOWN, found, model=model, since=begin, until=until, acknowledged=list(known)
    )


def acknowledged(made: Report) -> Acknowledgement:
    return Acknowledgement(
        "home",
        None,
        made.model,
        {it.stream: it.told for it in made.changes or ()},
        frozenset(f"{it.name} {why}" for it in made.channels for why in it.why),
        "Ada",
        "new sensors",
        datetime(2026, 2, 20, tzinfo=UTC),
    )


def test_a_change_that_is_acknowledged_is_told_no_more_and_its_words_are_kept() -> None:
    found = nights((20, STEP))
    before = report(found)
    assert before.verdict == "drift"
    assert [it.stream for it in before.changes or ()] == ["hr_mean"]
    known = acknowledged(before)
    after = report(found, known)
    assert after.verdict == "stable"
    assert after.changes == ()
    assert after.as_json()["acknowledged"] == [as_told(known)]
    assert as_told(known)["by"] == "Ada"


def test_another_change_of_the_same_stream_is_told_again() -> None:
    known = acknowledged(report(nights((20, STEP))))
    found = report(nights((20, STEP), (38, STEP)), known)
    assert found.verdict == "drift"
    [change] = found.changes or ()
    assert change.stream == "hr_mean"
    assert abs((change.since - START).days - 38) <= 2
    assert (
        report(nights((20, STEP), (38, STEP)), known, acknowledged(found)).verdict == "stable"
    )


def test_what_is_unlike_training_is_acknowledged_of_one_model_alone() -> None:
    found = nights((0, FOREIGN))
    before = report(found)
    assert [it.verdict for it in before.channels if it.name == "hr_mean"] == ["drift"]
    known = acknowledged(before)
    after = report(found, known)
    assert [it.verdict for it in after.channels if it.name == "hr_mean"] == ["acknowledged"]
    assert after.verdict == "stable"
    assert report(found, known, model="stager@2").verdict == "drift"


def test_a_channel_counts_as_acknowledged_only_with_all_that_is_wrong_with_it() -> None:
    found = nights((0, FOREIGN))
    known = acknowledged(report(found))
    assert known.channels == {"hr_mean values"}
    other = replace(known, channels=frozenset({"hr_mean missing", "hr_sd values"}))
    assert report(found, other).verdict == "drift"
    assert report(found, other, known).verdict == "stable"
