import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.context import (
    DEPTH,
    FEATURE_COUNT,
    FEATURE_NAMES,
    GAP,
    Context,
    ContextError,
    Moment,
    Pushed,
    Rows,
    features,
    night_features,
    row_from_codes,
    session_of,
)
from noctis.features import COUNT, FEATURES, NAMES, quantise

IN_BED = COUNT
MISSING = np.array([feature.missing for feature in FEATURES], dtype=np.int16)


def night(epochs: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    low, high = np.array([(f.minimum, f.maximum) for f in FEATURES]).T
    values = low + random.random((epochs, COUNT)) * (high - low)
    values[random.random((epochs, COUNT)) < 0.05] = np.nan
    return np.column_stack((quantise(values), np.ones(epochs))).astype(np.int16)


def push_all(context: Context, rows: Rows, *, skip: frozenset[int] = frozenset()) -> None:
    for epoch, row in enumerate(rows):
        if epoch not in skip:
            context.push(Moment(epoch + 1, 30.0 * epoch), row)


def feature(values: object, name: str) -> float:
    return float(np.asarray(values)[FEATURE_NAMES.index(name)])


def test_an_incremental_context_equals_the_whole_night_bit_for_bit() -> None:
    rows = night(DEPTH + 150)
    whole = night_features(rows, range(0, len(rows), 7))
    context = Context()
    for epoch, row in enumerate(rows):
        context.push(Moment(epoch, 30.0 * epoch), row)
        if epoch % 7 == 0:
            assert context.features().tobytes() == whole[epoch // 7].tobytes(), epoch


def test_a_context_that_starts_with_the_last_rows_arrives_at_the_same_features() -> None:
    rows = night(2 * DEPTH)
    live, settled = Context(), Context()
    push_all(live, rows)
    for epoch in range(len(rows) - DEPTH, len(rows)):
        settled.push(Moment(epoch + 1, 30.0 * epoch), rows[epoch])
    assert live.features().tobytes() == settled.features().tobytes()


def test_only_the_past_is_seen() -> None:
    rows, other = night(120), night(120)
    other[60:] = night(60, seed=1)
    at = list(range(0, 60, 6))
    assert night_features(rows, at).tobytes() == night_features(other, at).tobytes()


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(40)), st.sets(st.integers(0, 39), max_size=10))
def test_the_order_of_rows_does_not_matter(order: list[int], twice: set[int]) -> None:
    rows = night(40)
    straight, shuffled = Context(), Context()
    push_all(straight, rows)
    for epoch in [*order, *twice]:
        shuffled.push(Moment(epoch + 1, 30.0 * epoch), rows[epoch])
    assert (shuffled.window() == straight.window()).all()
    assert len(shuffled) == len(rows)


def test_late_rows_take_their_place_in_a_full_context() -> None:
    rows = night(DEPTH + 300)
    straight, late = Context(), Context()
    push_all(straight, rows)
    held_back = frozenset(range(DEPTH, DEPTH + 200, 3))
    push_all(late, rows, skip=held_back)
    for epoch in sorted(held_back, reverse=True):
        assert late.push(Moment(epoch + 1, 30.0 * epoch), rows[epoch]) is Pushed.LATE
    assert (late.window() == straight.window()).all()


def test_a_session_that_was_read_stays_as_it_was() -> None:
    rows = night(140)
    context = Context()
    push_all(context, rows[:100], skip=frozenset(range(10)))
    session = context.session()
    before = session.copy()
    push_all(context, rows)  # the first ten come late, the others follow
    assert np.array_equal(session, before)
    assert np.array_equal(context.session(), rows[:, :COUNT])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([-30.0, 0.0, 14.0, 30.0, 44.9, 45.0, 90.0]), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 19),
)
def test_the_short_way_to_a_window_leads_where_the_long_way_does(
    steps: list[tuple[float, bool]], late: int
) -> None:
    rows = night(len(steps))
    times = np.cumsum([step for step, _ in steps])
    boots = np.cumsum([again for _, again in steps])
    order = sorted(range(len(steps)), key=lambda seq: (seq == late, seq))
    context = Context()
    for seq in order:
        context.push(Moment(seq, float(times[seq]), int(boots[seq])), rows[seq])
        short = context.window().copy()
        known, context._even = context._even, 0
        assert np.array_equal(short, context.window())
        context._even = known


def test_a_push_tells_what_became_of_the_row() -> None:
    rows = night(DEPTH + 2)
    context = Context()
    assert context.last_seq is None
    assert context.push(Moment(10, 300.0), rows[10]) is Pushed.LAST
    assert context.push(Moment(9, 270.0), rows[9]) is Pushed.LATE
    assert context.push(Moment(10, 300.0), rows[0]) is Pushed.DUPLICATE
    assert (context.window()[-1] == rows[10]).all()
    assert context.last_seq == 10
    for epoch in range(11, DEPTH + 11):
        context.push(Moment(epoch, 30.0 * epoch), rows[0])
    assert len(context) == DEPTH
    assert context.push(Moment(9, 270.0), rows[9]) is Pushed.STALE
    assert len(context) == DEPTH


def test_a_short_gap_becomes_missing_rows() -> None:
    rows = night(100)
    context = Context()
    push_all(context, rows, skip=frozenset(range(50, 50 + GAP)))
    window = context.window()
    assert len(window) == 100
    assert (window[50 : 50 + GAP, :COUNT] == MISSING).all()
    assert len(session_of(window)) == 100


def test_a_long_gap_begins_a_new_session() -> None:
    rows = night(100)
    context = Context()
    push_all(context, rows, skip=frozenset(range(50, 51 + GAP)))
    assert len(session_of(context.window())) == 100 - 51 - GAP
    fresh = night_features(rows[51 + GAP :], [28])[0]
    assert context.features().tobytes() == fresh.tobytes()


def test_an_empty_bed_for_long_ends_the_session_and_a_short_walk_does_not() -> None:
    rows = night(100)
    rows[40:50, IN_BED] = 0
    assert len(session_of(rows)) == 100
    assert (session_of(rows)[40:50] == MISSING).all()
    rows[40 : 41 + GAP, IN_BED] = 0
    assert len(session_of(rows)) == 100 - 41 - GAP
    rows[-1 - GAP :, IN_BED] = 0
    assert len(session_of(rows)) == 0
    assert np.isnan(features(session_of(rows))).all()


def test_a_session_begins_when_the_sleeper_comes_to_bed() -> None:
    rows = night(100)
    rows[:7, IN_BED] = 0
    assert feature(night_features(rows, [99])[0], "session") == 93


def test_time_that_goes_back_begins_a_new_window() -> None:
    rows = night(20)
    context = Context()
    for epoch, row in enumerate(rows):
        context.push(Moment(epoch + 1, 30.0 * epoch - (3600 if epoch >= 12 else 0)), row)
    assert (context.window() == rows[12:]).all()


def test_another_boot_without_a_clock_begins_a_new_window() -> None:
    rows = night(20)
    context = Context()
    for epoch, row in enumerate(rows):
        context.push(Moment(epoch + 1, 30.0 * epoch, boot=int(epoch >= 5)), row)
    assert (context.window() == rows[5:]).all()
    context.push(Moment(21, 600.0), rows[0])
    assert len(context.window()) == 1


def test_a_restart_off_the_grid_takes_the_nearest_places() -> None:
    rows = night(6)
    context = Context()
    for seq, start in enumerate([0, 30, 60, 101, 131, 206]):
        context.push(Moment(seq + 1, float(start)), rows[seq])
    window = context.window()
    assert len(window) == 8
    assert (window[[0, 1, 2, 3, 4, 7]] == rows).all()
    assert (window[5:7, :COUNT] == MISSING).all()


def test_features_know_what_they_are_called() -> None:
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == FEATURE_COUNT
    rows = np.tile(quantise([np.zeros(COUNT)])[0], (30, 1))
    rows[:, NAMES.index("hr_mean")] = FEATURES[0].codes(np.arange(60, 90))
    values = features(rows)
    assert feature(values, "session") == 30
    assert feature(values, "heart") == pytest.approx(89, abs=0.2)
    assert feature(values, "heart_slope_10") == pytest.approx(1, abs=0.05)
    assert feature(values, "heart_over_mean_20") == pytest.approx(9, abs=0.3)
    assert feature(values, "heart_rank") > 0.9
    assert feature(values, "onset") == 10
    assert feature(values, "mean_5_rr_mean") == pytest.approx(4)


def test_time_since_motion_counts_epochs() -> None:
    values = np.full((50, COUNT), np.nan)
    values[:, NAMES.index("act_count")] = 0
    values[30, NAMES.index("act_count")] = 50
    assert feature(features(quantise(values)), "since_motion_0.5") == 19


def test_a_night_of_missing_values_has_no_feature_but_its_length() -> None:
    values = features(np.tile(MISSING, (10, 1)))
    assert feature(values, "session") == 10
    assert np.isnan(values[1:]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_any_codes_give_features_without_a_warning(epochs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, MISSING + 1, (epochs, COUNT)).astype(np.int16)
    values = features(codes)
    assert values.shape == (FEATURE_COUNT,)
    assert not np.isinf(values).any()


def test_a_row_of_a_wrong_shape_or_range_is_refused() -> None:
    row = row_from_codes(MISSING.tolist(), in_bed=True)
    assert row.tolist() == [*MISSING.tolist(), 1]
    with pytest.raises(ContextError, match="15 codes"):
        row_from_codes([1, 2, 3], in_bed=True)
    with pytest.raises(ContextError, match="hr_mean is out of range"):
        row_from_codes([512, *MISSING[1:].tolist()], in_bed=True)
