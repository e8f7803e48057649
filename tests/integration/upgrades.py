"""Rows of every table of any revision, and what an upgrade or a downgrade must leave of them.

Tables and columns are read from the database, so that a revision to come is tested without a
word here; ``KNOWN`` says what a column must hold where its type alone does not tell.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Date,
    Engine,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    NullPool,
    Numeric,
    Table,
    Text,
    create_engine,
    make_url,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, TIMESTAMP, UUID, insert
from sqlalchemy.exc import IntegrityError

from noctis.features import FEATURES
from noctis.storage import migrate
from noctis.storage.rollup_schema import COLUMNS, NAME

__all__ = ["REVISIONS", "check_downgrades", "check_upgrade", "fill"]

ROWS: Final = 3
START: Final = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
STREAMS: Final = (-5, 7, 1 << 62)

REVISIONS: Final = [
    script.revision
    for script in reversed(
        list(ScriptDirectory.from_config(migrate._config("")).walk_revisions())
    )
]
"""All revisions, the first one first."""

# Of row 0, 1 and 2: a column's value by its table and name, or by its name alone.
KNOWN: Final[dict[str, Sequence[object]]] = {
    "tenants.name": ("home", "inn", "lab"),
    "certificates.serial": ("a1", "b2", "c3"),
    "devices.name": ("bed", "cot", "bed-2"),
    "devices.time_zone": ("UTC", "Europe/Berlin", "Asia/Kolkata"),
    "dead_letters.tenant": ("home", "inn", "lab"),
    "accounts.username": ("home/bed", "phone@inn", "svc-live-0"),
    "accounts.kind": ("device", "app", "service"),
    "accounts.tenant_id": (1, 2, None),
    "stream": STREAMS,
    "runs.shift": (timedelta(), timedelta(hours=-2), timedelta()),
    "runs.utc": (START, START - timedelta(days=3), None),
    "run_seq": (0, 0, 0),
    "stage": (None, 0, 3),
    "model_id": (1, 1, 1),
    "predictions.origin": (0, 0, 0),
    "jobs.name": ("upkeep", "sweep", "tidy"),
    "operations.kind": ("replay", "evaluation", "experiment"),
    "source": ("psg", "diary", "psg-second"),
    "reference_stages.stage": (0, 1, 3),
    # What is declared goes with the revision that knows of it.
    "recordings.kind": ("found", "found", "found"),
    "recordings.declared_by": (None, None, None),
    "recordings.state": ("open", "closed", "withdrawn"),
    "recordings.replaced_by": (None, None, None),
    "retention_days": (None, 200, 400),
    "night_histograms.recording_id": tuple(
        f"00000000-0000-4000-8000-{row:012}" for row in range(ROWS)
    ),
    "streams.closed_at": (None, None, START),
    "erasures.kind": ("device", "tenant", "device"),
    "erasures.device_id": (1, None, 2),
    "erasures.done_at": (None, None, START),
    "erasures.subject": ("home/bed", "inn", None),
    **{feature.name: (0, feature.missing, 5) for feature in FEATURES},
}

OTHERS: Final = ("alembic_version", NAME)

Rows = dict[str, list[dict[str, Any]]]


def _value(column: Column[Any], row: int) -> object:
    for name in (f"{column.table.name}.{column.name}", column.name):
        if name in KNOWN:
            return KNOWN[name][row]
    choices = _choices(column)
    if choices:
        return choices[row % len(choices)]
    return row + 1 if column.foreign_keys else _by_type(column, row)


def _choices(column: Column[Any]) -> list[str]:
    """Return what a text column may hold where a check lists it."""
    checks = [
        str(it.sqltext) for it in column.table.constraints if isinstance(it, CheckConstraint)
    ]
    listed = [it for it in checks if re.match(rf"\(*{column.name} = ANY", it)]
    return re.findall(r"'([^']*)'", listed[0]) if listed else []


def _by_type(column: Column[Any], row: int) -> object:
    made: dict[type, Callable[[], object]] = {
        Boolean: lambda: row % 2 == 0,
        Integer: lambda: row + 1,
        Float: lambda: row / 4,
        Numeric: lambda: row / 4,
        Text: lambda: f"{column.name}-{row}",
        LargeBinary: lambda: bytes([row]) * 32,
        TIMESTAMP: lambda: START + timedelta(seconds=30 * row),
        Date: lambda: START.date() + timedelta(days=row),
        Interval: lambda: timedelta(minutes=row),
        JSON: lambda: {"row": row},
        JSONB: lambda: {"row": row},
        ARRAY: list,
        UUID: lambda: f"00000000-0000-4000-8000-{row:012}",
    }
    for kind, make in made.items():
        if isinstance(column.type, kind):
            return make()
    message = f"what does {column.table.name}.{column.name} hold? say so in KNOWN"
    raise AssertionError(message)


def _engine(url: str) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


def _tables(connection: Connection) -> list[Table]:
    """Return the tables of a database, referred ones first."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: name not in OTHERS)
    return metadata.sorted_tables


def fill(url: str) -> None:
    """Write rows into every table of a database that has none."""
    with _engine(url).begin() as connection:
        for table in _tables(connection):
            for row in range(ROWS):
                _insert(connection, table, row)


def _insert(connection: Connection, table: Table, row: int) -> None:
    """Insert a full row; one as empty as may be where a check of the table refuses that."""
    columns = [it for it in table.columns if it.identity is None]
    full = {column.name: _value(column, row) for column in columns}
    bare = {it.name: full[it.name] for it in columns if not it.nullable or _is_known(it)}
    for values in (full, bare):
        with suppress(IntegrityError), connection.begin_nested():
            # A trigger may have written it already.
            connection.execute(insert(table).values(values).on_conflict_do_nothing())
            return
    message = f"what may a row of {table.name} hold? say so in KNOWN"
    raise AssertionError(message)


def _is_known(column: Column[Any]) -> bool:
    return f"{column.table.name}.{column.name}" in KNOWN or column.name in KNOWN


def rows_of(url: str) -> Rows:
    """Return all rows of all tables, as JSON has them."""
    with _engine(url).connect() as connection:
        names = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        return {
            name: list(connection.scalars(text(f"SELECT to_jsonb(t) FROM {name} t")))  # noqa: S608
            for name in names.all()
            if name not in OTHERS
        }


def check_kept(before: Rows, after: Rows) -> None:
    """Check that tables and columns that are in both hold the same rows, none twice."""
    assert before
    for table in before.keys() & after.keys():
        old, new = before[table], after[table]
        assert len(old) == len(new) >= ROWS, table
        columns = sorted(old[0].keys() & new[0].keys())
        assert columns, f"{table} has no column of before"
        assert _sorted(old, columns) == _sorted(new, columns), table


def _sorted(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> list[str]:
    return sorted(repr([(name, row[name]) for name in columns]) for row in rows)


def check_upgrade(url: str, revision: str) -> None:
    """Bring an empty database to a revision, fill it, bring it to the head; nothing is lost."""
    migrate.upgrade(url, revision)
    fill(url)
    before = rows_of(url)
    migrate.upgrade(url)
    after = rows_of(url)
    assert set(before) <= set(after)
    check_kept(before, after)
    check_head(url)


def check_head(url: str) -> None:
    """Check that a database is what the models say, and that its epochs can be read."""
    migrate.check(url)
    with _engine(url).connect() as connection:
        placed = connection.scalar(text("SELECT count(*) FROM epoch_timeline"))
        valued = connection.scalar(text("SELECT count(*) FROM epoch_values"))
        hours = connection.execute(text(f"SELECT * FROM {NAME}"))  # noqa: S608
        assert tuple(hours.keys()) == COLUMNS
    assert placed == valued == 2 * ROWS


def check_downgrades(url: str) -> None:
    """Take a full database of the newest schema down one by one, each time up again."""
    migrate.upgrade(url)
    fill(url)
    full = rows_of(url)
    for revision in reversed(REVISIONS[:-1]):
        migrate.downgrade(url, revision)
        check_kept(full, rows_of(url))
    first = rows_of(url)
    migrate.upgrade(url)
    now = rows_of(url)
    check_kept(first, {table: now[table] for table in first})
    check_head(url)
    migrate.downgrade(url, "base")
    assert not rows_of(url)
    migrate.upgrade(url)
    migrate.check(url)
