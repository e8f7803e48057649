"""Which version serves a device, and which ones are watched beside it.

The champion serves whoever no experiment picks. A version of an experiment that fails is put
aside, and the champion takes its devices over in the same breath.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge

from inference.model import Model
from inference.serving import Serving
from inference.stage import Judged, judge
from inference.trails import Trails
from noctis.identity import DeviceId
from noctis.storage.experiments import Experiment

__all__ = ["Trial", "Trials", "Verdict"]

Sessions = Sequence[NDArray[np.int16] | None]

PASSING: Final = 64
"""Sessions kept of history that is settled: of it some streams are gone through at a time."""

_log: Final = structlog.get_logger(__name__)
_running = Gauge("noctis_experiments", "Experiments that this worker runs.")
_refused = Counter(
    "noctis_experiments_refused_total", "Versions of experiments that failed; others served."
)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """An experiment with its version, loaded and proved."""

    experiment: Experiment
    model: Model


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the version that serves a device said of an epoch."""

    model: Model
    judged: Judged


class Trials:
    """The champion and the experiments that run; may be asked from any thread."""

    def __init__(self, champion: Serving) -> None:
        self._champion = champion
        self._trails = Trails()
        self._passing = Trails(PASSING)
        self._trials: tuple[Trial, ...] = ()
        self._changing = threading.Lock()
        self.failed: dict[int, str] = {}
        """Why a version was put aside, by the number of its experiment."""

    @property
    def champion(self) -> Model:
        """The version that serves whoever no experiment picks."""
        return self._champion.model

    def assign(self, trials: Sequence[Trial]) -> None:
        """Let these experiments run from now on, less those whose version failed."""
        with self._changing:
            self._trials = tuple(it for it in trials if it.experiment.id not in self.failed)
        _running.set(len(self._trials))

    def picked(self, device: DeviceId) -> Trial | None:
        """Return the experiment whose version serves a device; None: the champion does."""
        return next((it for it in self._trials if it.experiment.picks(device)), None)

    def judge(
        self, devices: Sequence[DeviceId], sessions: Sessions, *, history: bool = False
    ) -> list[Verdict]:
        """Return what is served of each device's session, by one call for each version.

        ``history``: of sessions that were over long ago, whose tracks are not kept for long.
        """
        champion, trails = self.champion, self._passing if history else self._trails
        parts: defaultdict[Trial | None, list[int]] = defaultdict(list)
        for at, device in enumerate(devices):
            parts[self.picked(device)].append(at)
        verdicts: dict[int, Verdict] = {}
        for trial, places in parts.items():
            asked = [sessions[at] for at in places]
            model, made = self._ask(champion, trial, asked, trails)
            verdicts.update(
                (at, Verdict(model, judged)) for at, judged in zip(places, made, strict=True)
            )
        return [verdicts[at] for at in range(len(sessions))]

    def watch(
        self, devices: Sequence[DeviceId], sessions: Sessions, *, history: bool = False
    ) -> list[tuple[Model, dict[int, Judged]]]:
        """Return what each shadow says, by the places of the sessions that it watches."""
        seen, trails = [], self._passing if history else self._trails
        for trial in self._trials:
            if trial.experiment.kind != "shadow":
                continue
            places = [n for n, device in enumerate(devices) if trial.experiment.covers(device)]
            try:
                made = judge(trial.model, [sessions[at] for at in places], trails)
            except Exception as error:  # noqa: BLE001 - nothing of it may reach the champion
                self._put_aside(trial, error)
            else:
                seen.append((trial.model, dict(zip(places, made, strict=True))))
        return seen

    def _ask(
        self, champion: Model, trial: Trial | None, sessions: Sessions, trails: Trails
    ) -> tuple[Model, list[Judged]]:
        if trial is not None:
            try:
                return trial.model, judge(trial.model, sessions, trails)
            except Exception as error:  # noqa: BLE001 - the champion takes over
                self._put_aside(trial, error)
        return champion, judge(champion, sessions, trails)

    def _put_aside(self, trial: Trial, error: Exception) -> None:
        with self._changing:
            self.failed[trial.experiment.id] = f"it failed at work: {error}"
            self._trials = tuple(it for it in self._trials if it is not trial)
        _refused.inc()
        _log.error(
            "experiment_put_aside",
            experiment=trial.experiment.name,
            model=trial.model.full_name,
            error=repr(error),
        )
