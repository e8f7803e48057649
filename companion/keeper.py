"""Keeps recordings as the nights in the stored epochs are, from mark to mark."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import anyio.to_thread
import numpy as np
import structlog
from prometheus_client import Counter, Histogram

from companion import declared
from companion.nights import ABSENCE, find
from companion.revision import NightStager, revised
from companion.turns import endlessly
from inference.night import NightModel
from noctis.epoch import EPOCH_SECONDS
from noctis.storage import marks, night_news, recordings, timeline
from noctis.storage.database import Connection, Database
from noctis.storage.marks import Mark, StaleDevice
from noctis.storage.recordings import Night, Recording
from noctis.storage.timeline import Timeline, moment

__all__ = ["Kept", "NightKeeper", "keep", "matched"]

TURN_S: Final = 2.0
DEADLINE_S: Final = 60.0
TOGETHER: Final = timedelta(hours=12)
"""Marks no further apart than this are worked off in one step."""

RECENT: Final = timedelta(days=7)
"""Nights that closed without a night-stager are staged so long after, once there is one."""

_MARGINS: Final = (timedelta(hours=3), timedelta(hours=14))
_LONGEST: Final = timedelta(hours=72)
_REACH: Final = timedelta(hours=10)
"""A change moves the ends of no night that is further away: see ``companion.nights.NOON``."""

_PAUSE: Final = (ABSENCE + timedelta(seconds=EPOCH_SECONDS)) // timedelta(microseconds=1)

_log = structlog.get_logger(__name__)
_changes = Counter(
    "noctis_nights_changes_total", "Recordings made, revised or withdrawn.", ["change"]
)
_seconds = Histogram(
    "noctis_nights_seconds",
    "Time to find a device's nights again.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)


class NightKeeper:
    """Finds the nights of some shards' devices again wherever something changed.

    ``stager``: what stages closed nights anew; None: they keep their live stages.
    """

    def __init__(
        self, database: Database, shards: frozenset[int], stager: NightStager | None = None
    ) -> None:
        self._database = database
        self._shards = shards
        self._stager = stager
        self._model: NightModel | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("nights", self._turn, pause_s=TURN_S)

    async def _turn(self) -> bool:
        """Work off one step of each marked device; tell whether one has more."""
        now = datetime.now(UTC)
        await self._look(now)
        await self._database.call(lambda it: marks.note_closing(it, now))
        while await self._database.call(
            lambda it: marks.note_moved(it, now), within_s=DEADLINE_S
        ):
            pass
        stale = await self._database.call(lambda it: marks.stale_devices(it, self._shards))
        return any([await self._keep(device) for device in stale])

    async def _look(self, now: datetime) -> None:
        """Look which night-stager is to be used; another one sees to what was left undone."""
        if self._stager is None:
            return
        model = await anyio.to_thread.run_sync(self._stager.look)
        if model is not None and model is not self._model:
            await self._database.call(lambda it: marks.note_unrevised(it, now - RECENT))
        self._model = model

    async def _keep(self, device: StaleDevice) -> bool:
        with _seconds.time():
            kept = await self._database.call(
                lambda it: keep(it, device, datetime.now(UTC), self._model),
                within_s=DEADLINE_S,
            )
        for change in kept.changes:
            _changes.labels(change).inc()
        if kept.changes:
            _log.info("nights_changed", device=str(device.device), changes=kept.changes)
        return kept.is_more


@dataclass(frozen=True, slots=True)
class Kept:
    """What a step changed: ``made``, ``revised`` or ``withdrawn`` for each recording.

    ``is_more``: the device has other marks.
    """

    changes: tuple[str, ...] = ()
    is_more: bool = False


def keep(
    connection: Connection, device: StaleDevice, now: datetime, model: NightModel | None = None
) -> Kept:
    """Work off a device's oldest marks in the caller's transaction.

    ``model``: what stages nights that are closed.
    """
    waiting = marks.of_device(connection, device.id)
    if not waiting:
        return Kept()
    noted = _together(waiting)
    since, until = noted[0].since, max(mark.until for mark in noted)
    # A night that is under way is read at once from its beginning.
    known = recordings.overlapping(connection, device.id, since - ABSENCE, until + ABSENCE)
    since = min([since, *(it.night.started_at for it in known)])
    until = max([until, *(it.night.ended_at for it in known)])
    epochs, since, until = _surroundings(connection, device.id, since, until)
    found = [
        revised(connection, device.id, night, model)
        for night in find(epochs, ZoneInfo(device.time_zone), now)
        if night.started_at <= until and night.ended_at >= since
    ]
    known = recordings.overlapping(connection, device.id, since, until)
    changes = _write(connection, device.id, found, known)
    reach = [(since, until), *((it.started_at, it.ended_at) for it in found)]
    reach += [(it.night.started_at, it.night.ended_at) for it in known]
    first, last = min(it[0] for it in reach), max(it[1] for it in reach)
    is_news = bool(changes)
    changes += declared.keep(connection, device.id, first, last, now)
    if is_news:
        night_news.note(connection, device.id)
    marks.clear(connection, device.id, noted)
    is_more = len(noted) < len(waiting) or len(waiting) == marks.DAYS_AT_ONCE
    return Kept(tuple(changes), is_more)


def _together(noted: Sequence[Mark]) -> Sequence[Mark]:
    """Return the first marks that lie close together."""
    for index in range(1, len(noted)):
        if noted[index].since > noted[index - 1].until + TOGETHER:
            return noted[:index]
    return noted


def _surroundings(
    connection: Connection, device_id: int, since: datetime, until: datetime
) -> tuple[Timeline, datetime, datetime]:
    """Return a device's epochs around a span, and the span within which nights may change.

    Nights are apart where nobody is in bed for ABSENCE: what lies beyond such a pause does not
    matter. Where there is none for days, nights are cut every day, and a margin is enough.
    """
    for margin in _MARGINS:
        epochs, first, last = _look(connection, device_id, since, until, margin)
        if first is not None and last is not None:
            return epochs, first, last
    epochs, first, last = _look(connection, device_id, since, until, _LONGEST)
    return epochs, first or since - _REACH, last or until + _REACH


def _look(
    connection: Connection, device_id: int, since: datetime, until: datetime, margin: timedelta
) -> tuple[Timeline, datetime | None, datetime | None]:
    """Return the epochs up to a margin around a span, and the pauses before and behind it."""
    epochs = timeline.read(connection, device_id, since - margin, until + margin)
    occupied = epochs.start[epochs.in_bed]
    low, high = _microseconds(since), _microseconds(until)
    edge = margin // timedelta(microseconds=1)
    return (
        epochs,
        _after_pause([low - edge, *occupied[occupied < low], low]),
        _before_pause([high, *occupied[occupied > high], high + edge]),
    )


def _microseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _after_pause(moments: Sequence[int]) -> datetime | None:
    """Return the moment behind the last pause, None without any."""
    pauses = np.flatnonzero(np.diff(moments) > _PAUSE)
    return moment(int(moments[pauses[-1] + 1])) if len(pauses) else None


def _before_pause(moments: Sequence[int]) -> datetime | None:
    """Return the moment before the first pause, None without any."""
    pauses = np.flatnonzero(np.diff(moments) > _PAUSE)
    return moment(int(moments[pauses[0]])) if len(pauses) else None


def _write(
    connection: Connection, device_id: int, found: Sequence[Night], known: Sequence[Recording]
) -> list[str]:
    """Let the recordings be the nights that were found; return what changed."""
    pairs = matched(found, known)
    kept = {id(recording) for _, recording in pairs}
    changed = []
    for recording in known:
        if id(recording) not in kept:
            heirs = (it for night, it in pairs if it and _overlap(night, recording.night))
            heir = next(heirs, None)
            recordings.withdraw(connection, recording, None if heir is None else heir.id)
            changed.append("withdrawn")
    for night, mine in pairs:
        if mine is None:
            recordings.add(connection, device_id, night)
            changed.append("made")
        elif recordings.revise(connection, mine, night):
            changed.append("revised")
    return changed


def matched(
    found: Sequence[Night], known: Sequence[Recording]
) -> list[tuple[Night, Recording | None]]:
    """Give each night the first recording that it overlaps and no night before it has.

    Both are in order of their start. A recording that is left over lies, if anywhere, in a
    night that has another recording already: the two were found to be one.
    """
    left = list(known)
    pairs: list[tuple[Night, Recording | None]] = []
    for night in found:
        mine = next((it for it in left if _overlap(night, it.night)), None)
        if mine is not None:
            left.remove(mine)
        pairs.append((night, mine))
    return pairs


def _overlap(one: Night, other: Night) -> bool:
    return one.started_at < other.ended_at and other.started_at < one.ended_at
