"""What an experiment has shown so far: agreement of a shadow, or the two arms of the others."""

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from evaluation import agreement
from evaluation.figures import Tally
from evaluation.gate import Limits, decide
from evaluation.stored import hold
from noctis.identity import DeviceId
from noctis.stages import COUNT
from noctis.storage import devices, predictions, tenants
from noctis.storage.agreement import SHAPE, of_span, served
from noctis.storage.engine import Connection, Engine, transaction
from noctis.storage.experiments import Experiment

__all__ = ["against_labels", "report"]

ARMS: Final = ("champion", "version")
SECONDS: Final = 60.0


def report(engine: Engine, experiment: Experiment) -> dict[str, Any]:
    """Return the figures of the epochs that began while the experiment ran, as JSON has them.

    Of a shadow: how its stages pair up with the served ones of the same epochs. Else of each
    arm, ``version`` and ``champion``: its devices, the minutes of each stage, the share of
    null, and ``others``: epochs of its devices that the other one served. Each device is a
    transaction of its own.
    """
    span = experiment.started_at, experiment.stopped_at or datetime.now(UTC)
    with transaction(engine, SECONDS) as connection:
        key = predictions.known_model(connection, experiment.model)
        covered = _covered(connection, experiment)
    if experiment.kind == "shadow":
        pairs = np.zeros(SHAPE, np.int64)
        for number in covered:
            with transaction(engine, SECONDS) as connection:
                pairs += of_span(connection, number, key, *span)
        return {"devices": len(covered), "comparison": agreement.document(pairs)}
    arms = {name: np.zeros((2, COUNT + 1), np.int64) for name in ARMS}
    sizes = dict.fromkeys(ARMS, 0)
    for number, device in covered.items():
        arm = ARMS[experiment.picks(device)]
        with transaction(engine, SECONDS) as connection:
            arms[arm] += served(connection, number, key, *span)
        sizes[arm] += 1
    return {
        arm: {
            "devices": sizes[arm],
            "epochs": int(arms[arm][own].sum()),
            "others": int(arms[arm][1 - own].sum()),
            **agreement.side(arms[arm][own]),
        }
        for own, arm in enumerate(ARMS)
    }


def against_labels(
    engine: Engine, experiment: Experiment, source: str, other: str | None
) -> dict[str, Any]:
    """Return what the gate says of the version beside another, by a source's labels, as JSON.

    ``other``: a ``name@version``, None for what was served. Paired: of the devices whose labels
    both versions' stages of the experiment's time stand beside; a device is a subject.
    """
    span = {"since": experiment.started_at, "until": experiment.stopped_at}
    sides = dict[str, Tally](), dict[str, Tally]()
    with transaction(engine, SECONDS) as connection:
        covered = _covered(connection, experiment)
    for device in covered.values():
        held = [
            hold(device.tenant, engine, device.device, model=model, source=source, **span)
            for model in (experiment.model, other)
        ]
        known = [it.tally for it in held if it is not None and it.tally.matrix.any()]
        if len(known) == len(sides):
            for side, tally in zip(sides, known, strict=True):
                side[str(device)] = tally
    decision = decide(*sides, latency_ratio=0.0, limits=Limits())
    return {
        "source": source,
        "against": other or "served",
        **decision.model_dump(mode="json", exclude={"latency_ratio"}),
    }


def _covered(connection: Connection, experiment: Experiment) -> dict[int, DeviceId]:
    """Return the devices that an experiment is about, by their surrogate keys."""
    names = [experiment.tenant] if experiment.tenant else _all(connection)
    return {
        device.id: DeviceId(name, device.name)
        for name in names
        for device in devices.list_of(name, connection)
    }


def _all(connection: Connection) -> list[str]:
    return [tenant.name for tenant in tenants.list_all(connection)]
