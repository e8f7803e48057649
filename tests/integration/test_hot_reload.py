"""Champions that change under load: no stage is lost, each names the model that made it."""

import json
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.server import MosquittoServer
from evaluation.staging import stage_night
from inference.model import DEFAULT_FOLDER, Model
from inference.tracks import COUNT, WINDOW
from noctis.stages import LABELS
from registry.manifest import ARTEFACT, read_manifest
from registry.store import Registry
from tests.integration.inference_fixtures import (
    LiveDevice,
    Night,
    Phone,
    Worker,
    database,
    publish_model,
    shared_worker,
    worker,
)
from tests.models import graph_of, write_model

__all__ = ["database", "shared_worker", "worker"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

AFTER = 15
PACE_S = 0.02


class Flow:
    """A device that publishes without waiting for an answer, and an app that reads along."""

    def __init__(self, device: LiveDevice, phone: Phone, night: Night) -> None:
        self._device, self._phone = device, phone
        self._frames = iter(night.frames(sector=len(night)))
        self.sent = 0
        self.told: list[dict[str, Any]] = []

    def go_on(self, epochs: int) -> None:
        for _ in range(epochs):
            self._device.tell(next(self._frames))
            self.sent += 1
            time.sleep(PACE_S)
            while not self._phone.received.empty():
                self.told.append(self._phone.stage())

    def until_told_by(self, model: str) -> None:
        while not self.told or self.told[-1]["model"] != model:
            self.go_on(1)

    def finish(self) -> None:
        while len(self.told) < self.sent:
            self.told.append(self._phone.stage())


def a_net(registry: Registry, folder: Path) -> str:
    graphs = {ARTEFACT: graph_of((WINDOW, COUNT), seed=1)}
    write_model(folder / "net", "net", graphs, architecture="net")
    return registry.publish(folder / "net").full_name


def flip(path: Path) -> None:
    """Change a file by one bit; a second time, back again."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def a_tampered_one(worker: Worker) -> None:
    """A version that was changed after it was verified and promoted."""
    registry = publish_model(worker.var, "tampered")
    flip(registry.version_folder("tampered") / ARTEFACT)
    draft = registry.alias_path("champion").with_name(".tampered")
    draft.write_text("tampered\n")
    draft.replace(registry.alias_path("champion"))


def test_no_stage_is_lost_and_each_names_the_model_that_made_it(
    broker: MosquittoServer, worker: Worker, tmp_path: Path
) -> None:
    night = Night(2000, seed=5)
    old = Model.load(DEFAULT_FOLDER).full_name
    registry = Registry(worker.var / "models")
    net = a_net(registry, tmp_path)
    with LiveDevice(broker.port) as device, Phone(broker.port, night.stream) as phone:
        flow = Flow(device, phone, night)
        flow.go_on(AFTER)
        registry.promote("champion", "net")
        flow.until_told_by(net)
        flow.go_on(AFTER)
        a_tampered_one(worker)
        while worker.metric("noctis_inference_model_refused_total") < 1:
            flow.go_on(1)
        flow.go_on(AFTER)
        registry.promote("champion", "net")
        registry.rollback("champion")
        flow.until_told_by(old)
        flow.go_on(AFTER)
        flow.finish()
    assert [stage["seq"] for stage in flow.told] == list(range(1, flow.sent + 1))
    assert [name for name, _ in groupby(it["model"] for it in flow.told)] == [old, net, old]
    rows = np.column_stack((night.codes, night.in_bed)).astype(np.int16)[: flow.sent]
    folders = {old: DEFAULT_FOLDER, net: registry.version_folder("net")}
    by_model = {name: stage_night(Model.load(folder), rows) for name, folder in folders.items()}
    staged = [it for it in flow.told if it["stage"] is not None]
    assert len(staged) > AFTER
    for stage in staged:
        meant = by_model[stage["model"]].probabilities[stage["seq"] - 1]
        said = [stage["probability"][label] for label in LABELS]
        assert np.allclose(said, meant, atol=2e-4), json.dumps(stage)


def test_a_worker_that_starts_on_a_broken_champion_serves_the_one_before_it(
    broker: MosquittoServer, worker: Worker
) -> None:
    for version in ("first", "second"):
        registry = publish_model(worker.var, version)
        registry.promote("champion", version)
    harmed = registry.version_folder("second") / ARTEFACT
    worker.child.stop(within_s=20)
    flip(harmed)
    worker.start()
    assert "degraded: " in worker.get("/readyz")
    assert str(harmed.parent) in worker.get("/readyz")
    assert worker.metric("noctis_inference_champion_refused") == 1
    night = Night(200, seed=6)
    name = read_manifest(DEFAULT_FOLDER).name
    with LiveDevice(broker.port) as device, Phone(broker.port, night.stream) as phone:
        flow = Flow(device, phone, night)
        flow.go_on(AFTER)
        assert {it["model"] for it in flow.told} == {f"{name}@first"}
        flip(harmed)
        registry.promote("champion", "second")
        flow.until_told_by(f"{name}@second")
        flow.finish()
    assert worker.get("/readyz") == "ready\n"
    assert worker.metric("noctis_inference_champion_refused") == 0
