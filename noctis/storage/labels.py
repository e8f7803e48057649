"""Reference stages of a device: each stands for the 30 s from its start on, by one source.

A label belongs to a place on the time line, not to an epoch: a polysomnograph has a grid and a
clock of its own, and an epoch's place may still be corrected. Who compares takes the label
whose start is nearest.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, select, text, tuple_

from noctis.epoch import EPOCH_SECONDS
from noctis.errors import StorageError
from noctis.stages import Stage
from noctis.storage import devices
from noctis.storage.label_models import reference_stages
from noctis.storage.models import devices as owners
from noctis.storage.models import tenants

__all__ = ["Import", "Label", "list_of", "page", "put", "read", "remove"]

_TABLE: Final = reference_stages.c
_SOURCE: Final = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class Label:
    """A stage, and the start of the 30 s that it is of."""

    start: datetime
    stage: Stage


@dataclass(frozen=True, slots=True)
class Import:
    """What one import brought and what of it is still there: ``labels`` of them."""

    device: str
    source: str
    imported_by: str
    imported_at: datetime
    labels: int
    first: datetime
    last: datetime


_SENT: Final = """
unnest(CAST(:starts AS timestamptz[]), CAST(:stages AS smallint[])) AS n(start, stage)
"""
# Two who send the same at once: the second replaces what the first has stored.
_ALONE: Final = text("SELECT pg_advisory_xact_lock(1818321516, :device)")
_OVERLAPPED: Final = text(f"""
DELETE FROM reference_stages old USING {_SENT}
 WHERE old.device_id = :device AND old.source = :source
   AND old.start > n.start - make_interval(secs => {EPOCH_SECONDS})
   AND old.start < n.start + make_interval(secs => {EPOCH_SECONDS})
""")  # noqa: S608 - every part is a constant
_PUT: Final = text(f"""
INSERT INTO reference_stages (device_id, source, start, stage, imported_by)
SELECT :device, :source, n.start, n.stage, :by FROM {_SENT}
""")  # noqa: S608 - every part is a constant


def put(
    tenant: str,
    connection: Connection,
    device: str,
    labels: Sequence[Label],
    *,
    source: str,
    by: str,
) -> int:
    """Store a source's labels of a device; return how many older ones gave way to them.

    What the source had said of the same time before is replaced. Raise NotFoundError when the
    tenant has no such device, StorageError for a bad source or labels that overlap.
    """
    if not _SOURCE.fullmatch(source):
        message = f"{source!r} is no name of a source"
        raise StorageError(message, hint="1 to 32 of a-z, 0-9 and '-', such as psg or diary")
    _check_apart(labels)
    sent = {
        "device": devices.get(tenant, connection, device).id,
        "source": source,
        "starts": [label.start for label in labels],
        "stages": [int(label.stage) for label in labels],
    }
    connection.execute(_ALONE, sent)
    replaced = connection.execute(_OVERLAPPED, sent).rowcount
    connection.execute(_PUT, {**sent, "by": by})
    return replaced


def read(
    tenant: str,
    connection: Connection,
    device: str,
    source: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Label]:
    """Return a source's labels of a device with since <= start < until, by their start."""
    chosen = _chosen(devices.get(tenant, connection, device).id, source, since, until)
    query = select(_TABLE.start, _TABLE.stage).where(*chosen).order_by(_TABLE.start)
    return [Label(row.start, Stage(row.stage)) for row in connection.execute(query)]


def page(
    tenant: str,
    connection: Connection,
    device: str,
    source: str | None,
    span: tuple[datetime | None, datetime | None],
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[tuple[Label, str]]:
    """Return a device's labels with their sources, by start and source, behind ``after``.

    Raise NotFoundError when the tenant has no such device.
    """
    chosen = _chosen(devices.get(tenant, connection, device).id, source, *span)
    if after is not None:
        chosen.append(tuple_(_TABLE.start, _TABLE.source) > after)
    query = (
        select(_TABLE.start, _TABLE.stage, _TABLE.source)
        .where(*chosen)
        .order_by(_TABLE.start, _TABLE.source)
        .limit(limit)
    )
    rows = connection.execute(query)
    return [(Label(row.start, Stage(row.stage)), row.source) for row in rows]


def list_of(tenant: str, connection: Connection, device: str | None = None) -> list[Import]:
    """Return what was imported for a tenant's device, or for all of them, by device and time.

    Raise NotFoundError when the tenant has no such device.
    """
    keys = (owners.c.name, _TABLE.source, _TABLE.imported_by, _TABLE.imported_at)
    query = (
        select(*keys, func.count(), func.min(_TABLE.start), func.max(_TABLE.start))
        .join(owners, owners.c.id == _TABLE.device_id)
        .join(tenants, tenants.c.id == owners.c.tenant_id)
        .where(tenants.c.name == tenant)
        .group_by(*keys)
        .order_by(owners.c.name, func.min(_TABLE.start), _TABLE.source)
    )
    if device is not None:
        query = query.where(_TABLE.device_id == devices.get(tenant, connection, device).id)
    return [Import(*row) for row in connection.execute(query)]


def remove(
    tenant: str,
    connection: Connection,
    device: str,
    source: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Delete a device's labels, of a source or of all, of a span or of all; return how many."""
    chosen = _chosen(devices.get(tenant, connection, device).id, source, since, until)
    return connection.execute(delete(reference_stages).where(*chosen)).rowcount


def _chosen(
    device_id: int, source: str | None, since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    chosen = [_TABLE.device_id == device_id]
    if source is not None:
        chosen.append(_TABLE.source == source)
    if since is not None:
        chosen.append(_TABLE.start >= since)
    if until is not None:
        chosen.append(_TABLE.start < until)
    return chosen


def _check_apart(labels: Sequence[Label]) -> None:
    starts = sorted(label.start for label in labels)
    length = timedelta(seconds=EPOCH_SECONDS)
    for at, start in enumerate(starts[1:]):
        if start - starts[at] < length:
            message = f"the labels at {starts[at]} and {start} overlap"
            raise StorageError(message, hint=f"one label is of {EPOCH_SECONDS} s")
