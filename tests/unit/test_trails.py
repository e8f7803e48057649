import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import trails as module
from inference.context import DEPTH, GAP, IN_BED, STEP, Context, Moment, Rows
from inference.scaling import Scaling
from inference.track_sums import Carried
from inference.tracks import COUNT, WINDOW, rows_of, tracks
from inference.trails import ROOM, Trails
from noctis.features import COUNT as CHANNELS
from noctis.features import FEATURES

MISSING = np.array([feature.missing for feature in FEATURES], np.int16)


def night(epochs: int, *, seed: int, missing: float = 0.05) -> Rows:
    draw = np.random.default_rng(seed)
    codes = draw.integers(0, MISSING, (epochs, CHANNELS)).astype(np.int16)
    codes = np.where(draw.random(codes.shape) < missing, MISSING, codes)
    rows = np.column_stack((codes, np.ones(epochs, np.int16))).astype(np.int16)
    rows[:, IN_BED] = draw.random(epochs) > 0.02
    return rows


def read(trails: Trails, session: Rows) -> bytes:
    window = np.empty((WINDOW, COUNT), np.float32)
    trails.read(session, None, window)
    return window.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    seed=st.integers(0, 2**16),
    missing=st.sampled_from([0.0, 0.1, 0.5, 0.97]),
)
def test_rows_made_in_any_steps_are_those_made_at_once(
    steps: list[int], seed: int, missing: float
) -> None:
    size = min(sum(steps), DEPTH)
    session = night(size, seed=seed, missing=missing)[:, :CHANNELS]
    carried = Carried()
    ends = np.minimum(np.cumsum(steps), size)
    rows = [rows_of(session[:end], carried, size) for end in ends]
    at_once = Carried()
    assert np.concatenate(rows).tobytes() == rows_of(session, at_once, size).tobytes()
    assert carried.sums.tobytes() == at_once.sums.tobytes()


class Schedule:
    """A device's epochs on their way to a context: late, lost, doubled, after restarts."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 - no secret
        count = draw.choice([60, 300, 1300])
        rows = night(count, seed=seed, missing=draw.choice([0.0, 0.1, 0.6]))
        time_s, boot, seq = 0.0, 0, draw.randrange(500)
        self.epochs: list[tuple[Moment, Rows]] = []
        for row in rows:
            step = draw.random()
            if step < 0.01:  # the device was off for a while, and comes back off the grid
                time_s += draw.choice([7.0, 200.0, 30.0 * (GAP + 2)])
                boot, seq = boot + 1, seq + 1
            elif step < 0.012:
                time_s -= 3600.0
            self.epochs.append((Moment(seq, time_s, draw.choice([boot, 0])), row))
            time_s, seq = time_s + 30.0, seq + 1
        self.sent = sorted(
            self.epochs, key=lambda it: it[0].seq + (draw.random() < 0.02) * draw.randrange(60)
        )
        self.sent = [it for it in self.sent if draw.random() > 0.005]
        self.sent = [it for it in self.sent for _ in range(1 + (draw.random() < 0.02))]
        self.asked = [draw.random() < draw.choice([0.1, 0.9]) for _ in self.sent]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_session_carried_on_says_what_it_says_from_scratch_whatever_came_when(
    seed: int,
) -> None:
    schedule = Schedule(seed)
    live, trails = Context(), Trails()
    asked_at = [at for at, asked in enumerate(schedule.asked) if asked]
    checked = set(asked_at[:: max(1, len(asked_at) // 12)])
    for at, (moment, row) in enumerate(schedule.sent):
        live.push(moment, row)
        if not schedule.asked[at]:
            continue
        carried = read(trails, live.session())
        if at not in checked:
            continue
        anew = Context()
        known = {it[0].seq: it for it in schedule.sent[: at + 1]}
        for seq in sorted(known)[-DEPTH:]:
            anew.push(*known[seq])
        assert np.array_equal(anew.session(), live.session())
        assert carried == tracks(anew.session()).tobytes()


def test_a_long_session_begins_at_the_same_epoch_for_step_epochs() -> None:
    rows = night(DEPTH + 3 * STEP, seed=1)
    rows[:, IN_BED] = 1
    context, sizes = Context(), []
    for seq, row in enumerate(rows, 1000):
        context.push(Moment(seq, 30.0 * seq), row)
        sizes.append(len(context.session()))
        begin = seq + 1 - sizes[-1]
        assert begin == 1000 or begin % STEP == 0
    assert max(sizes) == DEPTH
    assert min(sizes[DEPTH:]) == DEPTH - STEP + 1


def test_only_new_epochs_of_a_session_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def watched(session: Rows, carried: Carried, **options: bool) -> np.ndarray:
        rows = rows_of(session, carried, **options)
        made.append(len(rows))
        return rows

    monkeypatch.setattr("inference.trails.rows_of", watched)
    session, trails = night(700, seed=2)[:, :CHANNELS], Trails()
    for size in (400, 401, 401, 404, 700, 400 + WINDOW, 699):
        assert read(trails, session[:size]) == tracks(session[:size]).tobytes()
    assert made == [WINDOW, 1, 3, WINDOW]


def test_a_session_that_is_not_what_it_was_is_made_anew() -> None:
    session, trails = night(500, seed=3)[:, :CHANNELS], Trails()
    read(trails, session[:400])
    late = session.copy()
    late[200] = MISSING
    assert read(trails, late) == tracks(late).tobytes() != tracks(session).tobytes()
    assert read(trails, session) == tracks(session).tobytes()
    assert len(trails) == 1


def test_whoever_asks_a_little_later_gets_the_rows_that_are_there() -> None:
    session, trails = night(WINDOW + 6 * ROOM, seed=4)[:, :CHANNELS], Trails()
    for size in range(20, len(session)):
        read(trails, session[:size])
        for behind in (1, 5, ROOM, 300):
            part = session[: max(16, size - behind)]
            if size % 7 == 0:
                assert read(trails, part) == tracks(part).tobytes()


def test_rows_are_kept_as_each_net_scales_them() -> None:
    session, trails = night(600, seed=5)[:, :CHANNELS], Trails()
    scalings = [
        Scaling(np.full(COUNT, it, np.float32), np.full(COUNT, 2, np.float32)) for it in (0, 1)
    ]
    for size in (12, 100, 101, 500, 501, 499, 600):
        for scaling in scalings:
            window = np.empty((WINDOW, COUNT), np.float32)
            trails.read(session[:size], scaling, window)
            assert window.tobytes() == scaling(tracks(session[:size])).tobytes()
            assert np.isfinite(window).all()


def test_no_more_sessions_are_kept_than_there_may_be() -> None:
    trails = Trails(most=3)
    sessions = [night(40, seed=seed)[:, :CHANNELS] for seed in range(5)]
    for session in (*sessions, *sessions):
        assert read(trails, session) == tracks(session).tobytes()
    assert len(trails) == 3


def test_a_session_that_nobody_asks_about_any_more_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions = [night(40, seed=seed)[:, :CHANNELS] for seed in range(3)]
    trails = Trails()
    first = [read(trails, session) for session in sessions]
    assert len(trails) == 3
    monkeypatch.setattr(module, "IDLE_S", 0.0)
    assert read(trails, sessions[2]) == first[2]
    assert len(trails) == 1
    assert [read(trails, session) for session in sessions] == first


def test_threads_that_ask_for_the_same_sessions_get_the_same_rows() -> None:
    sessions = [night(330, seed=seed)[:, :CHANNELS] for seed in range(3)]
    trails = Trails()

    def ask(turn: int) -> bool:
        part = sessions[turn % 3][: 300 + turn // 3 % 30]
        return read(trails, part) == tracks(part).tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(180)))
