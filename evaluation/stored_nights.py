"""Stored epochs with stored reference stages, as nights that any model can be held against."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import UNSCORED, Progress, Recording
from evaluation.stored import NEAR, stretches_of
from inference.context import ABSENT, DEPTH, Rows
from inference.contexts import Past
from inference.history import past_of
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import ConfigurationError
from noctis.storage import devices, epochs, labels, stretches
from noctis.storage.engine import Connection, Engine, transaction
from noctis.storage.labels import Label
from registry.manifest import Night

__all__ = ["load"]

SECONDS: Final = 60.0
LONGEST: Final = 5760
"""Epochs of a night that are looked at: two days."""


def load(
    tenant: str,
    engine: Engine,
    *,
    source: str,
    progress: Progress = lambda _what, _done, _total: None,
) -> list[Recording]:
    """Return the nights of a tenant that a source has labels of; a device is a subject.

    A night has the epochs before its first label that a model sees too. Raise
    ConfigurationError where no label has an epoch beside it.
    """
    with transaction(engine, SECONDS) as connection:
        names = [it.name for it in devices.list_of(tenant, connection)]
    found = []
    for at, name in enumerate(names):
        progress("devices with labels", at, len(names))
        with transaction(engine, SECONDS) as connection:
            told = labels.read(tenant, connection, name, source)
        for stretch in stretches_of(told):
            with transaction(engine, SECONDS) as connection:
                night = _night(tenant, connection, name, stretch)
            found += [] if night is None else [night]
    if not found:
        message = f"{tenant} has no stored epoch with a label of the source {source}"
        raise ConfigurationError(message, hint=f"noctis labels list {tenant} shows what it has")
    return found


def _night(
    tenant: str, connection: Connection, device: str, told: Sequence[Label]
) -> Recording | None:
    span = told[0].start - NEAR, told[-1].start + 2 * NEAR
    stored = epochs.read(tenant, connection, device, *span, limit=LONGEST)
    if not stored:
        return None
    last = stored[-1]
    key = devices.get(tenant, connection, device).id
    count = len(stored) + DEPTH
    past = past_of(stretches.context(connection, key, last.stream, last.seq + 1, count))
    times, rows = _on_grid(past)
    stages = _stages(times, told)
    subject = f"{tenant}/{device}"
    digest = hashlib.sha256(rows.tobytes() + stages.tobytes()).hexdigest()
    night = Night(
        name=f"{subject} {told[0].start:%Y-%m-%d %H:%M}",
        subject=subject,
        files={"stored": digest},
    )
    return Recording(night, rows, stages)


def _on_grid(past: Sequence[Past]) -> tuple[NDArray[np.float64], Rows]:
    """Lay epochs out as a live context does; return each place's start (NaN: none) and row."""
    times = np.array([it.moment.time_s for it in past])
    boots = np.array([-1 if it.moment.boot is None else it.moment.boot for it in past])
    steps = np.diff(times)
    breaks = np.flatnonzero((steps <= 0) | (np.diff(boots) != 0))
    begin = int(breaks[-1]) + 1 if len(breaks) else 0
    wide = np.maximum(np.floor(steps[begin:] / EPOCH_SECONDS + 0.5), 1).astype(np.intp)
    places = np.concatenate(([0], wide.cumsum()))
    rows = np.tile(ABSENT, (int(places[-1]) + 1, 1))
    rows[places] = [it.row for it in past[begin:]]
    starts = np.full(len(rows), np.nan)
    starts[places] = times[begin:]
    return starts, rows


def _stages(times: NDArray[np.float64], told: Sequence[Label]) -> NDArray[np.int8]:
    """Return the label nearest to each place, half an epoch away at most."""
    starts = np.array([it.start.timestamp() for it in told])
    after = np.minimum(starts.searchsorted(times), len(starts) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(starts[before] - times) < np.abs(starts[after] - times)
    nearest = np.where(closer, before, after)
    gap = times - starts[nearest]
    half = NEAR.total_seconds()
    scored = np.array([it.stage for it in told], np.int8)[nearest]
    stages: NDArray[np.int8] = np.where(
        (-half <= gap) & (gap < half), scored, np.int8(UNSCORED)
    ).astype(np.int8)
    return stages
