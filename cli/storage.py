"""``noctis storage``: what the database holds, and what TimescaleDB does to it by itself."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis.errors import ConfigurationError
from noctis.storage import inventory, policies
from noctis.storage.database import Connection
from noctis.storage.inventory import Inventory
from noctis.storage.timescale import Edition

__all__ = ["app"]

app: Final = typer.Typer(
    help="The database: sizes, chunks, policies, jobs.", no_args_is_help=True
)

Row = tuple[object, ...]

UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}
DAY: Final = 86_400
KIBI: Final = 1024


def _span(text: str) -> timedelta:
    """Return the time that ``14d``, ``2h`` or ``30m`` stands for."""
    found = re.fullmatch(r"(\d{1,5})([dhm])", text.strip())
    if found is None:
        message = f"{text!r} is no span of time"
        raise ConfigurationError(message, hint="write it as 14d, 36h or 30m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


@app.command("show")
def show(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Show the edition, the tables' sizes, chunks, policies and how jobs last ended."""
    with opened(var) as connection:
        found = inventory.take(connection)
    if json:
        print_json(_plain(asdict(found)))
    else:
        _print(found)


@app.command("set")
def set_policies(
    *,
    compress_after: Annotated[str, typer.Option(help="Age of chunks to compress: 14d.")] = "",
    chunk_interval: Annotated[str, typer.Option(help="Time in a chunk to come: 7d.")] = "",
    refresh_from: Annotated[str, typer.Option(help="Oldest hours to refresh: 2d.")] = "",
    refresh_until: Annotated[str, typer.Option(help="Youngest hours to refresh: 2h.")] = "",
    refresh_every: Annotated[str, typer.Option(help="How often: 1h.")] = "",
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Change what TimescaleDB does by itself; what is not named stays."""
    changes: list[Callable[[Connection], bool]] = []
    if chunk_interval:
        interval = _span(chunk_interval)
        changes.append(lambda it: policies.set_chunk_interval(it, interval))
    if compress_after:
        after = _span(compress_after)
        changes.append(lambda it: policies.set_compression(it, after))
    named = [_span(it) if it else None for it in (refresh_from, refresh_until, refresh_every)]
    if any(named):
        changes.append(lambda it: policies.set_refresh(it, _window(it, named)))
    if not changes:
        message = "nothing is named that should change"
        raise ConfigurationError(message, hint="noctis storage set --help")
    with opened(var) as connection:
        changed = [change(connection) for change in changes]
        now = policies.read(connection)
    if json:
        print_json({"changed": any(changed), "policies": _plain(asdict(now))})
    else:
        out.print("changed" if any(changed) else "it was so already")
        _print_policies(now)


def _window(connection: Connection, named: list[timedelta | None]) -> policies.Window:
    """Return the window as it is set, with what is named in its place."""
    old = policies.read(connection).refresh
    before = [None] * 3 if old is None else [old.since, old.until, old.every]
    usual = [timedelta(days=2), timedelta(hours=2), timedelta(hours=1)]
    since, until, every = (
        new or is_set or else_ for new, is_set, else_ in zip(named, before, usual, strict=True)
    )
    return policies.Window(since, until, every)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON has it: times in ISO 8601, spans in seconds."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.value if isinstance(value, Edition) else value


def _print(found: Inventory) -> None:
    name = "TimescaleDB's Apache edition" if found.edition is Edition.APACHE else "TimescaleDB"
    extension = f" with {name} {found.timescaledb}" if found.timescaledb else ""
    out.print(f"PostgreSQL {found.postgresql}{extension}", markup=False)
    _table(("table", "rows", "size", "chunks", "compressed"), _table_rows(found))
    before, after = found.compressed
    if after:
        out.print(f"compression made {_size(after)} of {_size(before)}")
    _print_policies(found.policies)
    _table(
        ("policy", "on", "every", "last run", "ended", "failures", "next run"),
        [
            (
                it.name.removeprefix("policy_"),
                it.table,
                _short(it.every),
                _when(it.last_run_at),
                it.last_status or "",
                it.failures or 0,
                _when(it.next_run_at),
            )
            for it in found.runs
        ],
    )
    _table(
        ("job", "done until", "began", "ended", "error"),
        [
            (
                it.name,
                _when(it.until),
                _when(it.started_at),
                _when(it.finished_at),
                it.error or "",
            )
            for it in found.jobs
        ],
    )
    out.print(f"notes of late hours that wait: {found.notes}")


def _table_rows(found: Inventory) -> list[Row]:
    chunks: dict[str, list[inventory.Chunk]] = defaultdict(list)
    for chunk in found.chunks:
        chunks[chunk.table].append(chunk)
    names = {it.name for it in found.tables} | chunks.keys()
    by_name = {it.name: it for it in found.tables}
    rows: list[Row] = []
    for name in sorted(names):
        own, parts = by_name.get(name), chunks[name]
        size = sum(it.bytes for it in parts) or (own.bytes if own else 0)
        packed = sum(it.is_compressed for it in parts)
        count = own.rows if own and not parts else ""
        rows.append((name, count, _size(size), len(parts) or "", packed if parts else ""))
    return rows


def _table(titles: Sequence[str], rows: Sequence[Row]) -> None:
    if rows:
        table = Table(*titles)
        for row in rows:
            table.add_row(*(str(value) for value in row))
        out.print(table)


def _print_policies(found: policies.Policies) -> None:
    if found.chunk_interval is not None:
        out.print(f"chunks hold {_short(found.chunk_interval)}")
    if found.compress_after is not None:
        out.print(f"chunks are compressed after {_short(found.compress_after)}")
    if found.refresh is not None:
        window = found.refresh
        since, until, every = (_short(it) for it in (window.since, window.until, window.every))
        out.print(f"hours from {since} to {until} ago are refreshed every {every}")


def _size(count: int) -> str:
    """Return bytes as people read them."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < KIBI:
            break
        value, unit = value / KIBI, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _short(span: timedelta) -> str:
    """Return a span as ``set`` takes it."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", DAY), ("h", 3600)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds // 60}m"


def _when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
