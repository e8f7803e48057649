"""Epochs as rows: packed by numpy, written by binary COPY or by INSERT ... ON CONFLICT.

COPY is the fastest way in and knows no duplicates, so many rows that are not known to be
stored are copied, inside a savepoint; the slower statement takes few rows, the repeated ones,
and all of them where a key turns out to be stored. Both take one buffer of big-endian bytes for
all rows, never a Python object for each value.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection, Table

from noctis.errors import StorageUnavailableError
from noctis.features import NAMES
from noctis.frames import EPOCH_SECONDS
from noctis.storage.arrays import POSTGRES_EPOCH_US, Array, Kind, array, driver, fetch
from noctis.storage.packing import (
    ROW,
    arrays,
    copy_payload,
    copy_statement,
    identifiers,
    unnest,
)

__all__ = ["BULK", "conflicting", "insert"]

IDENTITY: Final = ("device_id", "stream", "seq")
PAYLOAD: Final = ("run_seq", "in_bed", *NAMES)
BULK: Final = 256
"""Fewer rows than this are inserted: one trip to the server, where COPY takes three."""

EPOCH_US: Final = 1_000_000 * EPOCH_SECONDS
STRETCH_GAP_US: Final = 3_600_000_000
_NOT_COPIED: Final = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.FeatureNotSupported,  # row-level security
    psycopg.errors.WrongObjectType,  # a view
)
_KEY_KINDS: Final[tuple[Kind, ...]] = ("integer", "bigint", "bigint")


def insert(
    connection: Connection, table: Table, rows: NDArray[np.void], *, may_repeat: bool
) -> NDArray[np.bool_]:
    """Write rows of distinct keys, sorted by them; return which were new.

    ``may_repeat``: look first which of them are stored already, as of rows sent again.
    """
    if len(rows) < BULK:
        return _inserted(connection, table, rows)
    fresh = np.ones(len(rows), np.bool_)
    if may_repeat:
        fresh = ~np.isin(rows["frame"], _repeated(connection, table, rows))
    new = np.empty(len(rows), np.bool_)
    if fresh.any():
        new[fresh] = _copied(connection, table, rows[fresh]) or _inserted(
            connection, table, rows[fresh]
        )
    if not fresh.all():
        new[~fresh] = _inserted(connection, table, rows[~fresh])
    return new


def conflicting(
    connection: Connection, table: Table, rows: NDArray[np.void]
) -> NDArray[np.bool_]:
    """Tell of each row, stored before, whether it was with another payload.

    Rows as ``insert`` has them. Raise StorageUnavailableError for a row that is not stored:
    nobody may acknowledge what the database took neither now nor before.
    """
    names = list(table.columns.keys())
    key = [column.name for column in table.primary_key.columns]
    source, spans = _stored(table, rows)
    statement = sql.SQL(
        "SELECT {identity}, array_agg(({sent}) IS DISTINCT FROM ({stored})) "
        "FROM {source} AS stored JOIN {rows} AS sent({names}) USING ({key})"
    ).format(
        identity=_aggregated(IDENTITY),
        sent=identifiers(PAYLOAD, "sent"),
        stored=identifiers(PAYLOAD, "stored"),
        source=source,
        rows=unnest(table, names),
        names=identifiers(names),
        key=identifiers(key),
    )
    sent = [*spans, *arrays(table, rows, names)]
    *keys, differ = fetch(connection, statement, sent, [*_KEY_KINDS, "boolean"])
    if len(differ) != len(rows):
        message = f"rows of {table.name} are neither new nor stored"
        raise StorageUnavailableError(message, hint="try again")
    return _among(rows, [of[differ.astype(np.bool_)] for of in keys])


def _stored(table: Table, rows: NDArray[np.void]) -> tuple[sql.Composable, list[Array]]:
    """Return where to look for rows, and the parameters of that.

    Timed rows are looked for by stretches of their devices' time: a look by key would unpack a
    whole batch of a compressed chunk for every single row.
    """
    if "epoch_start" not in table.columns:
        return sql.Identifier(table.name), []
    starts, devices = rows["epoch_start"], rows["device_id"]
    breaks = (np.diff(devices) != 0) | (np.abs(np.diff(starts)) > STRETCH_GAP_US)
    begins = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    spans = np.empty(len(begins), ROW)
    spans["tenant_id"], spans["device_id"] = rows["tenant_id"][begins], devices[begins]
    spans["epoch_start"] = np.minimum.reduceat(starts, begins)
    spans["received_at"] = np.maximum.reduceat(starts, begins)
    names = ("tenant_id", "device_id", "epoch_start", "received_at")
    query = sql.SQL(
        "(SELECT e.* FROM {spans} AS span(tenant, device, since, until) CROSS JOIN LATERAL ("
        "SELECT * FROM {table} WHERE tenant_id = span.tenant AND device_id = span.device "
        "AND epoch_start BETWEEN span.since AND span.until OFFSET 0) e)"
    ).format(spans=unnest(table, names), table=sql.Identifier(table.name))
    return query, arrays(table, spans, names)


def _inserted(
    connection: Connection, table: Table, rows: NDArray[np.void]
) -> NDArray[np.bool_]:
    """Insert the rows that are not stored; return which were new."""
    names = list(table.columns.keys())
    statement = sql.SQL(
        "WITH new AS (INSERT INTO {table} ({names}) SELECT * FROM {rows} "
        "ON CONFLICT DO NOTHING RETURNING {identity}) SELECT {all} FROM new"
    ).format(
        table=sql.Identifier(table.name),
        names=identifiers(names),
        rows=unnest(table, names),
        identity=identifiers(IDENTITY),
        all=_aggregated(IDENTITY),
    )
    return _among(rows, fetch(connection, statement, arrays(table, rows, names), _KEY_KINDS))


def _copied(connection: Connection, table: Table, rows: NDArray[np.void]) -> bool:
    """Copy the rows into the table; False, and nothing is changed, when a key exists.

    Nor where COPY is not possible: into what is guarded for the facade (``guards``).
    """
    payload = copy_payload(table, rows)
    savepoint = connection.begin_nested()
    with suppress(*_NOT_COPIED):
        with driver(connection).cursor().copy(copy_statement(table)) as copy:
            copy.write(payload)
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


def _repeated(
    connection: Connection, table: Table, rows: NDArray[np.void]
) -> NDArray[np.int64]:
    """Return the frames of which an epoch is stored already; one look at the key for each."""
    frames, first = np.unique(rows["frame"], return_index=True)
    ends = np.zeros(len(frames), np.int64)
    np.maximum.at(ends, np.searchsorted(frames, rows["frame"]), rows["seq"])
    low = rows[first]
    timed = "epoch_start" in table.columns
    during = "AND stored.epoch_start BETWEEN sent.since AND sent.until" if timed else ""
    statement = sql.SQL(
        "SELECT array_agg(sent.frame) FROM unnest(%b::bigint[], %b::integer[], "
        "%b::integer[], %b::bigint[], %b::bigint[], %b::bigint[], %b::timestamptz[], "
        "%b::timestamptz[]) AS sent(frame, tenant_id, device_id, stream, low, high, since, "
        "until) CROSS JOIN LATERAL (SELECT FROM {table} AS stored "
        "WHERE stored.tenant_id = sent.tenant_id AND stored.device_id = sent.device_id "
        "{during} AND stored.stream = sent.stream "
        "AND stored.seq BETWEEN sent.low AND sent.high LIMIT 1) AS found"
    ).format(table=sql.Identifier(table.name), during=sql.SQL(during))
    since = low["epoch_start"] - POSTGRES_EPOCH_US
    until = since + EPOCH_US * (ends - low["seq"])
    sent = [
        array(frames, "bigint"),
        array(low["tenant_id"], "integer"),
        array(low["device_id"], "integer"),
        array(low["stream"], "bigint"),
        array(low["seq"], "bigint"),
        array(ends, "bigint"),
        array(since, "timestamptz"),
        array(until, "timestamptz"),
    ]
    [found] = fetch(connection, statement, sent, ["bigint"])
    return found.astype(np.int64)


def _among(rows: NDArray[np.void], keys: Sequence[NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Tell which rows' keys are among these; rows: sorted by their key, which is distinct."""
    if len(keys[0]) == len(rows):
        return np.ones(len(rows), np.bool_)
    columns = [
        np.concatenate([rows[name].astype(np.int64), of.astype(np.int64)])
        for name, of in zip(IDENTITY, keys, strict=True)
    ]
    order = np.lexsort(columns[::-1])  # stable: a row comes before the key that equals it
    ordered = np.stack(columns)[:, order]
    paired = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).all(axis=0))
    among = np.zeros(len(rows), np.bool_)
    among[order[paired]] = True
    return among


def _aggregated(names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("array_agg({})").format(sql.Identifier(name)) for name in names
    )
