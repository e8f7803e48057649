"""Who serves a device, and what becomes of a version that fails at work."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typing_extensions import override

from inference.context import Rows
from inference.model import DEFAULT_FOLDER, Model
from inference.scaling import Scaling
from inference.serving import Serving
from inference.trails import Trails
from inference.trials import PASSING, Trial, Trials
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.storage.experiments import Experiment, Kind

DEVICES = [DeviceId("home", f"bed-{number}") for number in range(4000)]
GOLDEN = ["bed-0", "bed-2", "bed-5", "bed-9", "bed-13", "bed-16", "bed-17"]
SESSION = np.full((5, COUNT), 20, np.int16)


def experiment(
    kind: Kind, *, share: float = 0.5, number: int = 1, tenant: str | None = None
) -> Experiment:
    began = datetime(2026, 11, 1, tzinfo=UTC)
    return Experiment(
        number, f"x-{number}", kind, "stager", "next", share, tenant, began, None, None
    )


def picked(share: float, tenant: str | None = None) -> set[DeviceId]:
    one = experiment("canary", share=share, tenant=tenant)
    return {device for device in DEVICES if one.picks(device)}


def test_a_share_of_devices_is_picked_and_a_larger_share_keeps_them() -> None:
    tenth, third = picked(0.1), picked(0.3)
    assert 0.08 < len(tenth) / len(DEVICES) < 0.12
    assert 0.27 < len(third) / len(DEVICES) < 0.33
    assert tenth < third
    assert picked(0.1) == tenth


def test_which_devices_are_picked_does_not_change_with_the_program() -> None:
    first = [device.device for device in DEVICES[:20] if device in picked(0.3)]
    assert first == GOLDEN


def test_devices_of_other_tenants_are_not_picked() -> None:
    assert not picked(0.9, tenant="hotel")
    assert picked(0.1, tenant="home") == picked(0.1)


class Failing(Model):
    """The shipped model, until it is asked."""

    @override
    def predict(
        self, sessions: Sequence[NDArray[np.int16]], trails: Trails | None = None
    ) -> NDArray[np.float32]:
        message = f"cannot stage {len(sessions)} sessions"
        raise RuntimeError(message)


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(Serving(tmp_path / "models"))


def ask(trials: Trials) -> list[Model]:
    said = trials.judge(DEVICES[:20], [SESSION] * 20)
    assert all(verdict.judged.stage is not None for verdict in said)
    return [verdict.model for verdict in said]


def test_each_device_is_served_by_its_version(trials: Trials) -> None:
    other = Model.load(DEFAULT_FOLDER)
    one = experiment("canary")
    assert set(ask(trials)) == {trials.champion}
    trials.assign([Trial(one, other)])
    assert ask(trials) == [
        other if one.picks(device) else trials.champion for device in DEVICES[:20]
    ]
    assert set(ask(trials)) == {other, trials.champion}
    trials.assign([])
    assert set(ask(trials)) == {trials.champion}


def test_the_champion_takes_over_from_a_version_that_fails_at_work(trials: Trials) -> None:
    trial = Trial(experiment("ab"), Failing.load(DEFAULT_FOLDER))
    trials.assign([trial])
    assert set(ask(trials)) == {trials.champion}
    assert "cannot stage" in trials.failed[1]
    trials.assign([trial])
    assert all(trials.picked(device) is None for device in DEVICES)


def test_a_shadow_that_fails_stops_nobody_else(trials: Trials) -> None:
    other = Model.load(DEFAULT_FOLDER)
    failing = Trial(experiment("shadow", number=1), Failing.load(DEFAULT_FOLDER))
    trials.assign([failing, Trial(experiment("shadow", number=2, tenant="home"), other)])
    whose = [*DEVICES[:2], DeviceId("hotel", "bed")]
    [(model, seen)] = trials.watch(whose, [SESSION] * 3)
    assert model is other
    assert sorted(seen) == [0, 1]
    assert set(ask(trials)) == {trials.champion}
    assert trials.failed.keys() == {1}


def test_a_shadow_serves_nobody(trials: Trials) -> None:
    trials.assign([Trial(experiment("shadow", share=0.0), Model.load(DEFAULT_FOLDER))])
    assert set(ask(trials)) == {trials.champion}


def test_history_is_staged_like_what_is_live_but_little_is_kept_of_it(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[int, int] = {}
    read = Trails.read

    def seen(
        trails: Trails, session: Rows, scaling: Scaling | None, window: NDArray[np.float32]
    ) -> None:
        read(trails, session, scaling, window)
        kept[id(trails)] = len(trails)

    monkeypatch.setattr(Trails, "read", seen)
    sessions = [np.full((20, COUNT), code, np.int16) for code in range(PASSING + 30)]
    shown = trials.judge(DEVICES[: len(sessions)], sessions)
    assert set(kept.values()) == {len(sessions)}
    kept.clear()
    settled = trials.judge(DEVICES[: len(sessions)], sessions, history=True)
    assert set(kept.values()) == {PASSING}
    assert [it.judged for it in settled] == [it.judged for it in shown]
