"""Recordings: a device's nights as they were last found, each with its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from noctis.figures import figures
from noctis.hypnogram import MISSING, UNSTAGED
from noctis.storage import devices
from noctis.storage.errors import NotFoundError
from noctis.storage.models import devices as owners
from noctis.storage.models import tenants
from noctis.storage.night_models import recordings
from noctis.storage.recording_rows import (
    FOUND,
    NIGHT,
    Night,
    Recording,
    recording_of,
    selected,
)
from noctis.storage.tenants import id_of

__all__ = [
    "FOUND",
    "Night",
    "Place",
    "Recording",
    "add",
    "get",
    "list_of",
    "overlapping",
    "revise",
    "withdraw",
]


Place = tuple[datetime, UUID]
"""Where a page ends: (started_at, id) of its last recording."""

_WITHDRAWN: Final = "withdrawn"
_LISTED: Final = text("recordings.state <> 'withdrawn' AND recordings.deleted_at IS NULL")
_NEAR: Final = timedelta(days=2)
_GET: Final = (
    selected()
    .join(tenants, tenants.c.id == recordings.c.tenant_id)
    .where(
        tenants.c.name == bindparam("tenant"),
        recordings.c.id == bindparam("key"),
        recordings.c.deleted_at.is_(None),
    )
)
_TO_CHANGE: Final = _GET.with_for_update(of=recordings)


def list_of(
    tenant: str,
    connection: Connection,
    device: str | None,
    *,
    since: date | None = None,
    until: date | None = None,
    excluded: bool = True,
    kind: str | None = None,
    after: Place | None = None,
    limit: int = 100,
    hypnograms: bool = True,
) -> list[Recording]:
    """Return nights of a device, None: of all, with since <= evening < until, newest first.

    ``excluded``: those too that a person excluded. ``kind``: those of this kind alone.
    ``after``: continue behind that place. Without ``hypnograms`` they come with empty ones.
    Raise NotFoundError when the tenant has no such device.
    """
    named = {"device": device, "since": since, "until": until, "kind": kind, "after": after}
    given = frozenset(name for name, value in named.items() if value is not None)
    query = _list(given, excluded=excluded, hypnograms=hypnograms)
    values: dict[str, object] = {"tenant": tenant, "limit": limit, **named}
    if since is not None:  # a night's evening is hardly a day away from its start
        values["first"] = _midnight(since) - _NEAR
    if until is not None:
        values["last"] = _midnight(until) + _NEAR
    if after is not None:
        values["started_at"], values["id"] = after
    rows = connection.execute(query, values).all()
    if not rows:  # of nobody, or of nobody's device?
        _ = (
            id_of(tenant, connection)
            if device is None
            else devices.get(tenant, connection, device)
        )
    return [recording_of(row) for row in rows]


@cache
def _list(given: frozenset[str], *, excluded: bool, hypnograms: bool) -> Select[Any]:
    """Return the query of ``list_of`` with so many conditions; it is made once."""
    of_tenant = tenants.c.name == bindparam("tenant")
    owner = select(tenants.c.id).where(of_tenant).scalar_subquery()
    query = selected(hypnograms=hypnograms).where(_LISTED, recordings.c.tenant_id == owner)
    if "device" in given:
        mine = (owners.c.tenant_id == tenants.c.id) & (owners.c.name == bindparam("device"))
        key = select(owners.c.id).join(tenants, mine).where(of_tenant).scalar_subquery()
        query = query.where(recordings.c.device_id == key)
    if not excluded:
        query = query.where(recordings.c.excluded.is_(False))
    if "kind" in given:
        query = query.where(recordings.c.kind == bindparam("kind"))
    if "since" in given:
        query = query.where(recordings.c.evening >= bindparam("since"))
        query = query.where(recordings.c.started_at >= bindparam("first"))
    if "until" in given:
        query = query.where(recordings.c.evening < bindparam("until"))
        query = query.where(recordings.c.started_at < bindparam("last"))
    if "after" in given:
        place = tuple_(recordings.c.started_at, recordings.c.id)
        query = query.where(place < tuple_(bindparam("started_at"), bindparam("id")))
    newest_first = query.order_by(recordings.c.started_at.desc(), recordings.c.id.desc())
    return newest_first.limit(bindparam("limit"))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def get(
    tenant: str, connection: Connection, key: UUID, *, to_change: bool = False
) -> Recording:
    """Return a recording of a tenant, a withdrawn one too; a deleted one is not found.

    ``to_change``: nobody else changes it before the transaction ends. Raise NotFoundError when
    the tenant has none of that key.
    """
    query = _TO_CHANGE if to_change else _GET
    row = connection.execute(query, {"tenant": tenant, "key": key}).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no recording {key}"
        raise NotFoundError(message, hint=f"noctis night list {tenant}/DEVICE shows them")
    return recording_of(row)


def overlapping(
    connection: Connection,
    device_id: int,
    since: datetime,
    until: datetime,
    *,
    declared: bool = False,
) -> list[Recording]:
    """Return a device's nights that touch a span of time, by their start.

    Those that were found, deleted ones too, or those that a person declared.
    """
    query = (
        selected()
        .where(
            recordings.c.device_id == device_id,
            recordings.c.state != _WITHDRAWN,
            (recordings.c.kind != FOUND) == declared,
            recordings.c.started_at <= until,
            recordings.c.ended_at >= since,
        )
        .order_by(recordings.c.started_at)
    )
    return [recording_of(row) for row in connection.execute(query)]


def add(
    connection: Connection, device_id: int, night: Night, **said: str | Sequence[str] | None
) -> UUID:
    """Store a night, with what is said of it, under a new identity, which is returned."""
    tenant = select(owners.c.tenant_id).where(owners.c.id == device_id)
    made: UUID = connection.execute(
        insert(recordings)
        .values(
            device_id=device_id, tenant_id=tenant.scalar_subquery(), **_columns(night), **said
        )
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
        **{name: getattr(night, name) for name in NIGHT},
        **asdict(figures(codes)),
        "epochs": len(codes) - missing,
        "missing": missing,
        "unstaged": int((codes == UNSTAGED).sum()),
    }
