from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pytest

from cli.verdict import Agreement, Entry, Key, Latency, Report, judge
from noctis.stages import Stage
from noctis.storage.census import Census

STREAM = 0xFEDCBA9876543210
T0 = 1_800_000_000


def entry(
    seq: int, *, record: str = "aa", place: int = 0, published: float | None = None
) -> Entry:
    return {
        "stream": f"{STREAM:016x}",
        "seq": seq,
        "record_hex": record,
        "utc": T0 + 30 * place,
        "published_at": published,
    }


def report(
    log: list[Entry],
    counted: Census,
    *,
    arrivals: Mapping[Key, float] = MappingProxyType({}),
    reference: Sequence[Stage | None] = (None, None, None),
) -> Report:
    return judge(log, counted, arrivals, reference, in_training=False, seconds=1.0)


def census(*rows: tuple[int, str], stages: dict[int, int | None] | None = None) -> Census:
    made = {seq: 0 for seq, _ in rows} if stages is None else stages
    return Census(
        [(STREAM, seq, record) for seq, record in rows],
        [(STREAM, seq, stage) for seq, stage in made.items()],
    )


def test_a_night_that_arrived_exactly_once_passes() -> None:
    result = report([entry(1), entry(2, record="bb")], census((1, "aa"), (2, "bb")))
    assert (result.made, result.stored, result.predicted) == (2, 2, 2)
    assert result.verdict


def test_an_epoch_that_is_not_stored_is_lost() -> None:
    result = report([entry(1), entry(2)], census((1, "aa")))
    assert result.lost == 1
    assert not result.verdict


def test_an_epoch_stored_with_another_content_is_lost() -> None:
    result = report([entry(1)], census((1, "ab")))
    assert result.lost == 1
    assert not result.verdict


def test_an_epoch_stored_twice_is_a_duplicate() -> None:
    result = report([entry(1)], census((1, "aa"), (1, "aa")))
    assert (result.stored, result.duplicates) == (1, 1)
    assert not result.verdict


def test_an_epoch_that_the_device_never_made_fails_the_night() -> None:
    assert not report([entry(1)], census((1, "aa"), (9, "cc"))).verdict


def test_an_epoch_without_a_prediction_fails_the_night() -> None:
    assert not report([entry(1)], census((1, "aa"), stages={})).verdict


def test_a_night_of_nothing_does_not_pass() -> None:
    assert not report([], census()).verdict


def test_agreement_counts_the_scored_epochs_at_their_time() -> None:
    log = [entry(1), entry(2, place=1), entry(4, place=2)]
    counted = census((1, "aa"), (2, "aa"), (4, "aa"), stages={1: 0, 2: 2, 4: 3})
    result = report(log, counted, reference=[Stage.WAKE, None, Stage.REM])
    assert result.agreement == Agreement(kappa=1.0, accuracy=1.0)
    result = report(log, counted, reference=[Stage.WAKE, Stage.LIGHT, Stage.REM])
    assert result.agreement is not None
    assert result.agreement.accuracy == pytest.approx(2 / 3, abs=1e-4)


def test_latency_is_taken_over_live_epochs_that_arrived() -> None:
    log = [entry(1, published=10.0), entry(2, published=20.0), entry(3)]
    arrivals = {(STREAM, 1): 10.004, (STREAM, 3): 99.0}
    result = report(log, census((1, "aa"), (2, "aa"), (3, "aa")), arrivals=arrivals)
    assert result.latency_ms == Latency(p50=4.0, p95=4.0, count=1)
