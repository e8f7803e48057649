"""Recordings: a device's nights as they were last found, each with its figures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, update

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
    ``closes_at``: when an open one closes if nothing more is heard of it.
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

    @property
    def codes(self) -> Hypnogram:
        """The hypnogram, shape (n,)."""
        return np.frombuffer(self.hypnogram, np.uint8)


@dataclass(frozen=True, slots=True)
class Recording:
    """A night under its identity; ``revision`` rises by one whenever what it shows changes.

    ``state`` ``withdrawn``: it is no night any more; ``replaced_by`` is the one that took it
    in, if there is one. ``epochs`` are stored, ``missing`` are not, ``unstaged`` are those in
    bed without a stage. ``model``: ``name@version``.
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


_NIGHT: Final = tuple(Night.__dataclass_fields__)
_WITHDRAWN: Final = "withdrawn"


def list_of(
    tenant: str,
    connection: Connection,
    device: str,
    *,
    since: date | None = None,
    until: date | None = None,
    limit: int = 100,
) -> list[Recording]:
    """Return a device's nights with since <= evening < until, the newest first.

    Raise NotFoundError when the tenant has no such device.
    """
    key = devices.get(tenant, connection, device).id
    query = _select().where(recordings.c.device_id == key, recordings.c.state != _WITHDRAWN)
    if since is not None:
        query = query.where(recordings.c.evening >= since)
    if until is not None:
        query = query.where(recordings.c.evening < until)
    newest_first = query.order_by(recordings.c.started_at.desc()).limit(limit)
    return [_recording(row) for row in connection.execute(newest_first)]


def last_evening(tenant: str, connection: Connection, device: str | None = None) -> date | None:
    """Return the evening of the last night of a tenant, or of one device; None without any.

    Raise NotFoundError when there is no such tenant or device.
    """
    key = id_of(tenant, connection)
    query = select(func.max(recordings.c.evening)).where(
        recordings.c.tenant_id == key, recordings.c.state != _WITHDRAWN
    )
    if device is not None:
        known = devices.get(tenant, connection, device)
        query = query.where(recordings.c.device_id == known.id)
    found: date | None = connection.scalar(query)
    return found


def get(tenant: str, connection: Connection, key: UUID) -> Recording:
    """Return a recording of a tenant, a withdrawn one too.

    Raise NotFoundError when the tenant has none of that key.
    """
    query = _select().where(tenants.c.name == tenant, recordings.c.id == key)
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
    """Say that a recording is no night any more; its last figures stay."""
    gone = {"state": _WITHDRAWN, "replaced_by": replaced_by, "closes_at": None}
    _update(connection, known.id, {**gone, **_revised()})


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
    )
