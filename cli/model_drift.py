"""``noctis model drift``: whether devices still send what the model was trained on."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter
from rich.table import Table

from cli.local import DEFAULT_VAR, Var, opened
from cli.nouns.documents import Document
from cli.nouns.models import AskedModels, asked_models
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from drift import acknowledged, advice, current, reference
from drift.current import Window
from drift.report import Report
from noctis.errors import ConfigurationError
from noctis.settings import Settings
from noctis.storage import drift_acknowledgements, drift_reports
from noctis.storage.drift_reports import Kept

__all__ = ["drift"]

_DATE: Final = ["%Y-%m-%d"]
_AT_ONCE: Final = 64
_MARKS: Final = {"drift": "[bold red]drift[/]", "stable": "[green]stable[/]"}


def drift(
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Compute it now for a tenant (default: what is kept).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="With --tenant: of this device.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="With --tenant: from that evening.", formats=_DATE),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="With --tenant: before this evening.", formats=_DATE)
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A version, an alias, or 'shipped' (default: serves).")
    ] = None,
    acknowledge: Annotated[
        str | None,
        typer.Option(metavar="TENANT[/DEVICE]", help="Set aside what its report finds."),
    ] = None,
    by: Annotated[str, typer.Option(help="With --acknowledge: who looked at it.")] = "",
    reason: Annotated[str, typer.Option(help="With --acknowledge: what it was.")] = "",
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Hold the last nights against what a version was trained on; exit 0 only without drift.

    With --tenant it is computed from what is stored, over the 14 days up to the last night or
    from the evening --since up to that before --until. Without, the companion's newest reports
    are shown. A verdict is stable, drift, or unknown (too few nights). What is acknowledged is
    told no more; another change of it is.
    """
    with asked_models(profile) as asked:
        if asked:
            if acknowledge is not None:
                message = "a facade acknowledges nothing"
                hint = "run it where the platform runs, with NOCTIS_PROFILE=local"
                raise ConfigurationError(message, hint=hint)
            span = {"since": since and since.date(), "until": until and until.date()}
            query = {"device": device, "version": version, **span}
            raise typer.Exit(_asked(asked, tenant, query, json=json))
    if acknowledge is not None:
        _acknowledge(acknowledge, by, reason, var, json=json)
        return
    if tenant is None:
        _check_whose({"": device or since or until or version})
        with opened(var) as connection:
            kept = [_as_json(it) for it in drift_reports.newest(None, connection)]
        raise typer.Exit(_show_kept(kept, json=json))
    first, last = (None if it is None else it.date() for it in (since, until))
    made = _now(tenant, device, (first, last), version, var)
    whose = tenant if device is None else f"{tenant}/{device}"
    if json:
        print_json({"subject": whose, **made.as_json()})
    else:
        _show(whose, made)
    raise typer.Exit(int(made.verdict != "stable"))


def _asked(asked: AskedModels, tenant: str | None, query: Document, *, json: bool) -> int:
    """Show what a facade tells of drift, as of what is stored here; return the exit code."""
    if tenant is None:
        _check_whose(query)
        return _show_kept(asked.drift(), json=json)
    told = asked.drift_now(tenant, query)
    if json:
        print_json(told)
    else:
        _show(told["subject"], TypeAdapter(Report).validate_python(told))
    return int(told["verdict"] != "stable")


def _check_whose(query: Document) -> None:
    if any(query.values()):
        message = "--device, --since, --until and --version need --tenant"
        raise ConfigurationError(message, hint="say whose drift: --tenant NAME")


def _now(
    tenant: str,
    device: str | None,
    evenings: tuple[date | None, date | None],
    version: str | None,
    var: Path,
) -> Report:
    """Return the report on what is stored now."""
    against = reference.load(Settings(var=var).models, version)
    with opened(var) as connection:
        window = current.window(tenant, connection, device, *evenings)
    _bring_up(tenant, device, window, var)
    with opened(var) as connection:
        nights = current.nights(tenant, connection, device, window, model=against.model)
        known = drift_acknowledgements.of(tenant, connection, device)
    return current.report(against, nights, window, known)


def _acknowledge(whose: str, by: str, reason: str, var: Path, *, json: bool) -> None:
    """Set aside what the newest kept report finds; say what that is."""
    tenant, _, device = whose.partition("/")
    with opened(var) as connection:
        done = acknowledged.acknowledge(
            tenant, connection, device or None, by=by, reason=reason
        )
    if json:
        print_json(acknowledged.as_told(done))
        return
    names = ", ".join([*done.changes, *sorted(done.channels)])
    out.print(f"{whose}: {names}: acknowledged by {done.by}: {done.reason}")
    progress("the companion's next report says so; another change is told again")


def _bring_up(tenant: str, device: str | None, window: Window, var: Path) -> None:
    """Make the histograms that the companion has not made yet, in short transactions."""
    while True:
        with opened(var) as connection:
            made = current.bring_up(tenant, connection, device, window, limit=_AT_ONCE)
        if not made:
            return
        progress(f"{made} nights read")


def _show_kept(kept: Sequence[Document], *, json: bool) -> int:
    """Show reports; return 1 where one of them tells of drift."""
    if json:
        print_json(kept)
    elif not kept:
        progress("no report is kept yet; the companion makes them as nights close")
    else:
        out.print(_kept_table(kept))
    return int(any(it["verdict"] == "drift" for it in kept))


def _kept_table(kept: Sequence[Document]) -> Table:
    table = Table("whose", "verdict", "until", "nights", "what", "model", box=None)
    for it in kept:
        what = [c["name"] for c in it["channels"] if c["verdict"] == "drift"]
        what += [c["stream"] for c in it["changes"] or ()]
        named = ", ".join(dict.fromkeys(what))
        verdict = _MARKS.get(it["verdict"], it["verdict"])
        row = (it["until"], str(it["nights"]), named, it["model"])
        table.add_row(it["subject"], verdict, *row)
    return table


def _as_json(it: Kept) -> dict[str, Any]:
    subject = it.tenant if it.device is None else f"{it.tenant}/{it.device}"
    return {"subject": subject, "made_at": it.made_at.isoformat(), **it.body}


def _show(whose: str, made: Report) -> None:
    out.print(
        f"[bold]{whose}[/] against {made.model}: {_MARKS.get(made.verdict, made.verdict)}\n"
        f"evenings {made.since} to {made.until - timedelta(days=1)}, {made.nights} nights of "
        f"{made.sleepers} devices"
    )
    table = Table(
        *("channel", "verdict", "PSI", "KS", "Wasserstein", "in IQR", "missing", "limits"),
        box=None,
    )
    for it in made.channels:
        limits = " ".join(f"{value:.2f}" for value in it.limits.values())
        numbers = [_text(it.psi), _text(it.ks), f"{_text(it.wasserstein)} {it.unit}"]
        missing = f"{it.missing:.0%} ({it.missing_change:+.0%})"
        verdict = _MARKS.get(it.verdict, it.verdict)
        table.add_row(it.name, verdict, *numbers, _text(it.wasserstein_scaled), missing, limits)
    out.print(table)
    for change in made.changes or ():
        out.print(
            f"{change.stream}: another mean since {change.since} ({change.by:+.1f} SD from "
            f"night to night), told on {change.told}"
        )
    for line in _acknowledged(made):
        out.print(line)
    for line in advice.of(made):
        out.print(f"→ {line}")


def _acknowledged(made: Report) -> Iterator[str]:
    for it in made.acknowledged:
        names = ", ".join([*it["changes"], *it["channels"]])
        yield f"{names}: acknowledged by {it['by']} on {it['at'][:10]}: {it['reason']}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
