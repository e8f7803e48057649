"""Recordings: a device's nights as they were last found, each with its figures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    case,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from noctis.figures import Figures, figures
from noctis.hypnogram import MISSING, UNSTAGED, Hypnogram
from noctis.storage import devices
from noctis.storage.errors import NotFoundError
from noctis.storage.models import devices as owners
from noctis.storage.models import models, tenants
from noctis.storage.night_models import FIGURES, recordings
from noctis.storage.tenants import id_of

__all__ = [
    "Night",
    "Place",
    "Recording",
    "add",
    "get",
    "last_evening",
    "list_of",
    "overlapping",
    "revise",
    "withdraw",
]


@dataclass(frozen=True, slots=True)
class Night:
    """What a recording shows: two nights are equal when nobody can tell them apart.

    ``state``: ``open``, or ``closed``. ``evening``: the date of the night in the device's
    ``time_zone``, whose days go from noon to noon. ``hypnogram``: one byte for each 30 s from
    ``started_at`` on, as in ``noctis.hypnogram``. ``model_id``: the model that gave
    its last stage. ``moved``: epochs whose time another clock than their own tells.
    ``closes_at``: when an open one closes if nothing more is heard of it. ``staged_by``:
    ``live``, its stages are those that apps were shown; or ``night``, a model that had all of
    it in sight made them anew.
    """

    state: str
    evening: date
    time_zone: str
    started_at: datetime
    ended_at: datetime
    hypnogram: bytes
    model_id: int | None
    moved: int
    closes_at: datetime | None = field(compare=False)
    staged_by: str = "live"

    @property
    def codes(self) -> Hypnogram:
        """The hypnogram, shape (n,)."""
        return np.frombuffer(self.hypnogram, np.uint8)


@dataclass(frozen=True, slots=True)
class Recording:
    """A night under its identity; ``revision`` rises by one whenever what it shows changes.

    ``state`` ``withdrawn``: it is no night any more; ``replaced_by`` is the one that took it
    in, if there is one. ``epochs`` are stored, ``missing`` are not, ``unstaged`` are those in
    bed without a stage. ``model``: ``name@version``. What a person made of it: ``note``,
    ``tags``, whether it is to be ``excluded`` from lists; ``edits`` counts these changes.
    """

    id: UUID
    device: str
    revision: int
    night: Night
    figures: Figures
    epochs: int
    missing: int
    unstaged: int
    model: str | None
    replaced_by: UUID | None
    revised_at: datetime
    note: str | None = None
    tags: tuple[str, ...] = ()
    excluded: bool = False
    edits: int = 0
    deleted_at: datetime | None = None


Place = tuple[datetime, UUID]
"""Where a page ends: (started_at, id) of its last recording."""

_NIGHT: Final = tuple(Night.__dataclass_fields__)
_WITHDRAWN: Final = "withdrawn"
_LISTED: Final = text("recordings.state <> 'withdrawn' AND recordings.deleted_at IS NULL")
_NEAR: Final = timedelta(days=2)


def list_of(
    tenant: str,
    connection: Connection,
    device: str | None,
    *,
    since: date | None = None,
    until: date | None = None,
    excluded: bool = True,
    after: Place | None = None,
    limit: int = 100,
) -> list[Recording]:
    """Return nights of a device, None: of all, with since <= evening < until, newest first.

    ``excluded``: those too that a person excluded. ``after``: continue behind that place.
    Raise NotFoundError when the tenant has no such device.
    """
    query = _select().where(_LISTED, recordings.c.tenant_id == id_of(tenant, connection))
    if device is not None:
        key = devices.get(tenant, connection, device).id
        query = query.where(recordings.c.device_id == key)
    if not excluded:
        query = query.where(recordings.c.excluded.is_(False))
    if since is not None:  # a night's evening is hardly a day away from its start
        query = query.where(recordings.c.evening >= since)
        query = query.where(recordings.c.started_at >= _midnight(since) - _NEAR)
    if until is not None:
        query = query.where(recordings.c.evening < until)
        query = query.where(recordings.c.started_at < _midnight(until) + _NEAR)
    if after is not None:
        query = query.where(tuple_(recordings.c.started_at, recordings.c.id) < after)
    newest_first = query.order_by(recordings.c.started_at.desc(), recordings.c.id.desc())
    return [_recording(row) for row in connection.execute(newest_first.limit(limit))]


def last_evening(tenant: str, connection: Connection, device: str | None = None) -> date | None:
    """Return the evening of the last night of a tenant, or of one device; None without any.

    Raise NotFoundError when there is no such tenant or device.
    """
    key = id_of(tenant, connection)
    query = select(func.max(recordings.c.evening)).where(recordings.c.tenant_id == key, _LISTED)
    if device is not None:
        known = devices.get(tenant, connection, device)
        query = query.where(recordings.c.device_id == known.id)
    found: date | None = connection.scalar(query)
    return found


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def get(
    tenant: str, connection: Connection, key: UUID, *, to_change: bool = False
) -> Recording:
    """Return a recording of a tenant, a withdrawn one too; a deleted one is not found.

    ``to_change``: nobody else changes it before the transaction ends. Raise NotFoundError when
    the tenant has none of that key.
    """
    query = _select().where(
        tenants.c.name == tenant, recordings.c.id == key, recordings.c.deleted_at.is_(None)
    )
    if to_change:
        query = query.with_for_update(of=recordings)
    row = connection.execute(query).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no recording {key}"
        raise NotFoundError(message, hint=f"noctis night list {tenant}/DEVICE shows them")
    return _recording(row)


def overlapping(
    connection: Connection, device_id: int, since: datetime, until: datetime
) -> list[Recording]:
    """Return a device's nights that touch a span of time, by their start."""
    query = (
        _select()
        .where(
            recordings.c.device_id == device_id,
            recordings.c.state != _WITHDRAWN,
            recordings.c.started_at <= until,
            recordings.c.ended_at >= since,
        )
        .order_by(recordings.c.started_at)
    )
    return [_recording(row) for row in connection.execute(query)]


def add(connection: Connection, device_id: int, night: Night) -> UUID:
    """Store a night under a new identity, which is returned."""
    tenant = select(owners.c.tenant_id).where(owners.c.id == device_id)
    made: UUID = connection.execute(
        insert(recordings)
        .values(device_id=device_id, tenant_id=tenant.scalar_subquery(), **_columns(night))
        .returning(recordings.c.id)
    ).scalar_one()
    return made


def revise(connection: Connection, known: Recording, night: Night) -> bool:
    """Let a recording show what its night has become; return whether that can be seen."""
    if known.night == night:
        if known.night.closes_at != night.closes_at:
            _update(connection, known.id, {"closes_at": night.closes_at})
        return False
    _update(connection, known.id, {**_columns(night), **_revised()})
    return True


def withdraw(connection: Connection, known: Recording, replaced_by: UUID | None) -> None:
    """Say that a recording is no night any more; its last figures stay.

    The one that took it in inherits what a person made of it, and is no longer hidden where
    this one was not.
    """
    gone = {"state": _WITHDRAWN, "replaced_by": replaced_by, "closes_at": None}
    _update(connection, known.id, {**gone, **_revised()})
    if replaced_by is not None and known.deleted_at is None:
        _update(connection, replaced_by, _inherited(known))


def _inherited(known: Recording) -> dict[str, ColumnElement[Any] | None]:
    tags = list(known.tags)
    return {
        "note": func.coalesce(recordings.c.note, known.note),
        "tags": case((recordings.c.tags == [], tags), else_=recordings.c.tags),
        "excluded": recordings.c.excluded & known.excluded,
        "edits": recordings.c.edits + 1,
        "deleted_at": None,
    }


def _revised() -> dict[str, ColumnElement[Any]]:
    return {"revision": recordings.c.revision + 1, "revised_at": func.now()}


def _update(connection: Connection, key: UUID, values: Mapping[str, object]) -> None:
    connection.execute(update(recordings).where(recordings.c.id == key).values(values))


def _columns(night: Night) -> dict[str, object]:
    codes = night.codes
    missing = int((codes == MISSING).sum())
    return {
        **{name: getattr(night, name) for name in _NIGHT},
        **asdict(figures(codes)),
        "epochs": len(codes) - missing,
        "missing": missing,
        "unstaged": int((codes == UNSTAGED).sum()),
    }


def _select() -> Select[Any]:
    model = (models.c.name + "@" + models.c.version).label("model")
    return (
        select(*recordings.c, model, owners.c.name.label("device"))
        .join(owners, owners.c.id == recordings.c.device_id)
        .join(tenants, tenants.c.id == recordings.c.tenant_id)
        .outerjoin(models, models.c.id == recordings.c.model_id)
    )


def _recording(row: Row[Any]) -> Recording:
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's own name for it
    return Recording(
        id=row.id,
        device=row.device,
        revision=row.revision,
        night=Night(**{name: found[name] for name in _NIGHT}),
        figures=Figures(**{name: found[name] for name in FIGURES}),
        epochs=row.epochs,
        missing=row.missing,
        unstaged=row.unstaged,
        model=row.model,
        replaced_by=row.replaced_by,
        revised_at=row.revised_at,
        note=row.note,
        tags=tuple(row.tags),
        excluded=row.excluded,
        edits=row.edits,
        deleted_at=row.deleted_at,
    )
