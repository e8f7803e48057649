"""``noctis alert``: what is wrong with devices, who has seen it, and when it is told."""

from typing import Annotated, Final

import typer

from cli.completion import TenantName
from cli.local import DEFAULT_VAR, Var
from cli.nouns.alerts import rule_of
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress, rows_table, show
from cli.profiles import ProfileOption
from noctis.errors import ConfigurationError

__all__ = ["app"]

app: Final = typer.Typer(
    help="Alerts of devices: no medical alarm, nor a baby monitor.", no_args_is_help=True
)

_STATES: Final = {"open": "[red]open[/]", "cleared": "[green]cleared[/]"}
RuleName = Annotated[str, typer.Argument(help="no_breathing, silent, missing_epochs or drift")]


@app.command("list")
def list_alerts(
    tenant: TenantName,
    *,
    device: Annotated[str | None, typer.Option(help="Of this device alone.")] = None,
    rule: Annotated[str | None, typer.Option(help="Of this rule alone.")] = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    unseen: Annotated[bool, typer.Option(help="Only those that nobody acknowledged.")] = False,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=1000)] = 30,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List a tenant's alerts, the newest first."""
    filters = {
        "device": device,
        "rule": None if rule is None else rule_of(rule),
        "state": "open" if is_open else None,
        "acknowledged": False if unseen else None,
    }
    with platform(profile, var) as it:
        rows = it.alerts.list_of(tenant, filters, limit)
    if json:
        print_json(rows)
        return
    if not rows:
        progress("no such alert; that alone does not say that all is well: noctis status")
        return
    table = rows_table("alert", "device", "rule", "state", "raised", "seen by", "what")
    for row in rows:
        state, seen = _STATES[row["state"]], row["acknowledged_by"] or "-"
        raised = row["raised_at"][:16].replace("T", " ")
        cells = (str(row["id"]), row["device"], row["rule"], state, raised, seen)
        table.add_row(*cells, row["message"])
    show(table)


@app.command("ack")
def acknowledge(
    tenant: TenantName,
    alert: Annotated[int, typer.Argument(help="the alert's number, as list shows it", min=1)],
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Say that you have seen an alert; its apps hear of it, and it stays open."""
    with platform(profile, var) as it:
        row = it.alerts.acknowledge(tenant, alert)
    if json:
        print_json(row)
        return
    seen = f"seen by {row['acknowledged_by']} at {row['acknowledged_at'][:16]}"
    out.print(f"alert {row['id']} of {row['device']} ({row['rule']}): {seen}", markup=False)


@app.command("rules")
def rules(
    tenant: TenantName,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show by which rules a tenant's alerts are raised and cleared."""
    with platform(profile, var) as it:
        rows = it.alerts.rules(tenant)
    if json:
        print_json(rows)
    else:
        _show_rules(rows)


@app.command("set")
def set_rule(
    tenant: TenantName,
    rule: RuleName,
    *,
    enabled: Annotated[
        bool | None, typer.Option("--on/--off", help="Whether anybody looks by it.")
    ] = None,
    threshold: Annotated[
        int | None, typer.Option(help="So much, in the rule's unit, is bad.")
    ] = None,
    raise_after: Annotated[int | None, typer.Option(help="Bad looks that raise it.")] = None,
    clear_after: Annotated[int | None, typer.Option(help="Good looks that clear it.")] = None,
    cooldown: Annotated[
        int | None, typer.Option(help="Seconds after that in which none is raised.")
    ] = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Change a rule; what is not named stays. docs/alerts.md says what may be."""
    settings = {
        "enabled": enabled,
        "threshold": threshold,
        "raise_after": raise_after,
        "clear_after": clear_after,
        "cooldown_s": cooldown,
    }
    changes = {name: value for name, value in settings.items() if value is not None}
    if not changes:
        message = "nothing is to be changed"
        raise ConfigurationError(message, hint="such as --threshold 900, or --off")
    with platform(profile, var) as it:
        row = it.alerts.change(tenant, rule_of(rule), changes)
    if json:
        print_json(row)
    else:
        _show_rules([row])


def _show_rules(rows: list[Document]) -> None:
    table = rows_table(
        *("rule", "on", "threshold", "raised after", "cleared after", "cooldown", "version")
    )
    for row in rows:
        table.add_row(
            row["rule"],
            "yes" if row["enabled"] else "no",
            f"{row['threshold']} {row['unit']}",
            f"{row['raise_after']} bad looks",
            f"{row['clear_after']} good looks",
            f"{row['cooldown_s']} s",
            str(row["version"]) if row["version"] else "default",
        )
    show(table)
