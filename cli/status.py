"""``noctis status``: the whole platform on one screen."""

from rich.table import Table

from cli.local import DEFAULT_VAR, Var
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress, rows_table, show
from cli.profiles import ProfileOption

__all__ = ["status"]

_COUNTS = (
    *("online", "sleeping", "new", "silent", "lost"),
    *("backlog", "overwritten", "damaged", "missing"),
)
_STYLES = {"running": "green", "not ready": "yellow", "ended": "red"}


def status(
    *, profile: ProfileOption = None, var: Var = DEFAULT_VAR, json: Json = False
) -> None:
    """Show the whole platform on one screen: services, devices, the line, model and disk.

    Over a facade what a tenant's caller may know of it. `noctis doctor` says what is wrong.
    """
    with platform(profile, var) as it:
        now = it.standing.now()
    if json:
        print_json(now)
        return
    out.print(f"[bold]{now['platform']}[/]")
    _services(now["services"])
    _line(now)
    show(_tenants(now["tenants"]))


def _services(services: list[Document] | None) -> None:
    if services is None:
        progress("services  none started here by 'noctis up'")
        return
    told = (f"[{_STYLES[it['state']]}]{it['name']} {it['state']}[/]" for it in services)
    out.print(f"services  {'  '.join(told)}")
    for it in services:
        if it.get("reason"):
            out.print(f"          {it['name']}: {it['reason']}", markup=False)


def _line(now: Document) -> None:
    """Tell of the line, of what waits, of the model and of the disk, where it is known."""
    line, waiting, disk = now["line"], now["waiting"], now["disk"]
    if line:
        staged = "all staged" if not line["unstaged"] else f"{line['unstaged']} not staged"
        out.print(
            f"line      {line['per_minute']:.1f} epochs a minute began of "
            f"{line['expected_per_minute']:g} expected, {staged}; {_last(line)}"
        )
    if waiting:
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in waiting.items())
        out.print(f"waiting   {told}")
    out.print(f"model     {now['model'] or '-'}", markup=False)
    if disk:
        out.print(
            f"disk      database {_size(disk['database_bytes'])}, "
            f"{_size(disk['free_bytes'])} free of {_size(disk['total_bytes'])}"
        )


def _last(line: Document) -> str:
    began, stored = line["last_s"], line["stored_s"]
    said = (
        "none stored of the last two days" if stored is None else f"stored {stored:.0f} s ago"
    )
    return said if began is None else f"the last began {began:.0f} s ago, {said}"


def _tenants(tenants: list[Document]) -> Table:
    table = rows_table("tenant", *_COUNTS, right=_COUNTS)
    for it in tenants:
        table.add_row(
            it["name"], *("-" if it[name] is None else str(it[name]) for name in _COUNTS)
        )
    return table


def _size(count: int) -> str:
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:  # noqa: PLR2004 - of a unit in the next
        size, units = size / 1024, units[1:]
    return f"{size:.1f} {units[0]}"
