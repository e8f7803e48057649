"""What an experiment has shown so far: agreement of a shadow, or the two arms of the others."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from evaluation import agreement
from noctis.identity import DeviceId
from noctis.stages import COUNT
from noctis.storage import devices, predictions, tenants
from noctis.storage.agreement import SHAPE, of_span, served
from noctis.storage.engine import Connection
from noctis.storage.experiments import Experiment

__all__ = ["report"]


def report(connection: Connection, experiment: Experiment) -> dict[str, Any]:
    """Return the figures of the epochs that began while the experiment ran, as JSON has them.

    Of a shadow: how its stages pair up with the served ones of the same epochs. Else of each
    arm, ``version`` and ``champion``: its devices, the minutes of each stage, the share of
    null, and ``others``: epochs of its devices that the other one served.
    """
    key = predictions.known_model(connection, experiment.model)
    span = experiment.started_at, experiment.stopped_at or datetime.now(UTC)
    covered = _covered(connection, experiment)
    if experiment.kind == "shadow":
        pairs = np.zeros(SHAPE, np.int64)
        for number in covered:
            pairs += of_span(connection, number, key, *span)
        return {"devices": len(covered), "comparison": agreement.document(pairs)}
    arms = {"champion": np.zeros((2, COUNT + 1), np.int64)}
    arms["version"] = arms["champion"].copy()
    names = {True: "version", False: "champion"}
    counts = dict.fromkeys(arms, 0)
    for number, device in covered.items():
        arm = names[experiment.picks(device)]
        arms[arm] += served(connection, number, key, *span)
        counts[arm] += 1
    return {
        arm: {
            "devices": counts[arm],
            "epochs": int(found[int(arm == "version")].sum()),
            "others": int(found[int(arm != "version")].sum()),
            **agreement.side(found[int(arm == "version")]),
        }
        for arm, found in arms.items()
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
