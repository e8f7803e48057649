"""Stored predictions of a version against stored reference stages, device by device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import Progress
from evaluation.document import document
from evaluation.figures import NO_STAGE, Tally, tally, total
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import ConfigurationError
from noctis.stages import COUNT
from noctis.storage import devices, labels, predictions
from noctis.storage.engine import Engine, transaction
from noctis.storage.labels import Label
from noctis.storage.predictions import Staged

__all__ = ["NEAR", "Held", "evaluate", "hold", "match", "stretches_of"]

NEAR: Final = timedelta(seconds=EPOCH_SECONDS / 2)
PAUSE: Final = timedelta(hours=1)
SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A device's counts, and how many of its labels no stored prediction stands beside."""

    tally: Tally
    unmatched: int


def hold(
    tenant: str,
    engine: Engine,
    device: str,
    *,
    model: str | None,
    source: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Held | None:
    """Hold what ``model``, a ``name@version`` (None: what is served), said against labels.

    Each night is a transaction of its own. None where the source has no label with
    since <= start < until. Raise NotFoundError when the tenant has no such device.
    """
    with transaction(engine, SECONDS) as connection:
        found = labels.read(tenant, connection, device, source, since=since, until=until)
    held = []
    for stretch in stretches_of(found):
        span = stretch[0].start - NEAR, stretch[-1].start + 2 * NEAR
        with transaction(engine, SECONDS) as connection:
            staged = predictions.read(tenant, connection, device, *span, model=model)
        held.append(match(stretch, staged))
    if not held:
        return None
    return Held(total([it.tally for it in held]).pooled(), sum(it.unmatched for it in held))


def evaluate(
    tenant: str,
    engine: Engine,
    device: str | None,
    *,
    model: str,
    source: str,
    span: tuple[datetime | None, datetime | None] = (None, None),
    progress: Progress = lambda _what, _done, _total: None,
) -> dict[str, Any]:
    """Hold a tenant's devices, or one of them, against their labels; a device is a subject.

    Return the figures as JSON has them. Raise ConfigurationError where there is nothing to
    compare, NotFoundError for an unknown device.
    """
    with transaction(engine, SECONDS) as connection:
        known = [it.name for it in devices.list_of(tenant, connection)]
    names = known if device is None else [device]
    held: dict[str, Held] = {}
    for at, one in enumerate(names):
        progress("devices with labels", at, len(names))
        since, until = span
        found = hold(tenant, engine, one, model=model, source=source, since=since, until=until)
        if found is not None:
            held[one] = found
    if not held:
        message = f"{tenant} has no label of the source {source} there"
        raise ConfigurationError(message, hint=f"noctis labels list {tenant} shows what it has")
    told = document({name: it.tally for name, it in held.items()})
    if not told["epochs"] + told["unstaged"]:
        message = f"nothing of {model} is stored where {tenant} has labels"
        raise ConfigurationError(message, hint="name a --version that served or was replayed")
    unmatched = sum(it.unmatched for it in held.values())
    return {"model": model, "tenant": tenant, "source": source, "unmatched": unmatched, **told}


def match(stretch: Sequence[Label], staged: Sequence[Staged]) -> Held:
    """Compare each label with the prediction nearest to it, half an epoch away at most.

    Both: by their start.
    """
    reference = np.array([label.stage for label in stretch], np.int8)
    if not staged:
        return Held(tally(reference[:0], reference[:0], np.empty((0, COUNT))), len(stretch))
    places = _seconds([label.start for label in stretch])
    starts = _seconds([row.epoch_start for row in staged])
    after = np.minimum(starts.searchsorted(places), len(starts) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(
        np.abs(starts[before] - places) <= np.abs(starts[after] - places), before, after
    )
    gap = starts[nearest] - places
    half = NEAR.total_seconds()
    found = (-half <= gap) & (gap < half)
    stages = np.array([NO_STAGE if row.stage is None else row.stage for row in staged], np.int8)
    chances = np.array([row.probabilities or (np.nan,) * COUNT for row in staged])
    chosen = nearest[found]
    counts = tally(reference[found], stages[chosen], chances[chosen])
    return Held(counts, int((~found).sum()))


def _seconds(moments: Sequence[datetime]) -> NDArray[np.float64]:
    return np.array([moment.timestamp() for moment in moments])


def stretches_of(found: Sequence[Label]) -> Iterator[Sequence[Label]]:
    """Yield the labels of one night after the other."""
    begin = 0
    for at in range(1, len(found) + 1):
        if at == len(found) or found[at].start - found[at - 1].start > PAUSE:
            yield found[begin:at]
            begin = at
