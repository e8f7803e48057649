"""``noctis experiment``: a version beside the champion, watched or for a share of devices."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.auditing import record
from cli.local import DEFAULT_VAR, Var, connected, opened
from cli.model_evaluate import folder_of
from cli.nouns.documents import Document, plain
from cli.nouns.tenancy import own_tenant
from cli.ordered import asked_facade, order
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from cli.replay_view import compared
from evaluation import experiment as evaluated
from inference.model import Model
from noctis.errors import ConfigurationError
from noctis.settings import Settings
from noctis.stages import LABELS
from noctis.storage import experiments, predictions
from noctis.storage.experiments import Experiment, Kind
from registry.store import DEFAULT_NAME, Registry

__all__ = ["app"]

app: Final = typer.Typer(
    help="A version beside the champion: shadow, canary, A/B.", no_args_is_help=True
)

SERVED: Final = "served"
SHARES: Final[dict[Kind, float]] = {"shadow": 0.0, "canary": 0.1, "ab": 0.5}

Name = Annotated[str, typer.Argument(help="of the experiment, as experiment list shows it")]


@app.command()
def start(
    *,
    kind: Annotated[Kind, typer.Option(help="shadow: unseen; canary, ab: serves a share.")],
    version: Annotated[str, typer.Option(help="A version, an alias, or 'shipped'.")],
    name: Annotated[str, typer.Option(help="A new name for the experiment.")],
    share: Annotated[
        float | None, typer.Option(help="Of the devices (canary: 0.1, ab: 0.5).")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Devices of this tenant alone.")] = None,
    model: Annotated[str, typer.Option(help="Which model.")] = DEFAULT_NAME,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Start an experiment; workers follow within seconds, without a restart."""
    with asked_facade(profile) as facade:
        if facade:
            devices = "all" if tenant is None else "own"
            own_tenant(facade, tenant)
            wanted = {"name": name, "kind": kind, "model": model, "version": version}
            body = {**wanted, "share": share, "devices": devices}
            _tell(_told(facade.ask("POST", "/v1/experiments", body=body)), json=json)
            return
    folder = folder_of(Registry(Settings(var=var).models, model), version)
    manifest = Model.load(folder).manifest
    with opened(var) as connection:
        started = experiments.start(
            tenant,
            connection,
            name,
            kind,
            model_id=predictions.model_id(connection, manifest.name, manifest.version),
            share=SHARES[kind] if share is None else share,
        )
        record("", connection, "experiment_started", name, model=started.model, kind=kind)
    _tell(_as_json(started), json=json)


@app.command()
def stop(
    name: Name, *, profile: ProfileOption = None, var: Var = DEFAULT_VAR, json: Json = False
) -> None:
    """Stop an experiment: the champion serves all its devices again."""
    with asked_facade(profile) as facade:
        if facade:
            _tell(_told(facade.ask("POST", f"/v1/experiments/{name}:stop")), json=json)
            return
    with opened(var) as connection:
        stopped = experiments.stop(connection, name)
        record("", connection, "experiment_stopped", name)
    _tell(_as_json(stopped), json=json)


@app.command("list")
def list_experiments(
    *,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=1000)] = 30,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List the experiments, the newest first."""
    with asked_facade(profile) as facade:
        if facade:
            pages = facade.pages("/v1/experiments", "experiments")
            found = [_told(it) for it in islice(pages, limit)]
        else:
            with opened(var) as connection:
                known = experiments.list_all(connection, limit=limit)
            found = [_as_json(it) for it in known]
    if json:
        print_json(found)
    else:
        out.print(_table(*found))


@app.command()
def show(
    name: Name,
    *,
    source: Annotated[
        str | None, typer.Option(help="Hold it against these reference labels too.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="With --source: beside 'served', or name@version.")
    ] = SERVED,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show what an experiment has shown so far."""
    other = None if against == SERVED else against
    with asked_facade(profile) as facade:
        if facade:
            path = f"/v1/experiments/{name}"
            found = _told(facade.ask("GET", path))
            body = {"source": source, "against": other}
            _show(found, order(facade, f"{path}:report", body)["result"], json=json)
            return
    with opened(var) as connection:
        known = experiments.get(connection, name)
    _show(_as_json(known), _report(known, source, other, var), json=json)


def _report(found: Experiment, source: str | None, other: str | None, var: Path) -> Document:
    if source is not None and other is None and found.kind != "shadow":
        message = f"what {found.model} served stands beside itself"
        hint = "name the other version: --against stager@VERSION, replayed where needed"
        raise ConfigurationError(message, hint=hint)
    with connected(var) as engine:
        report = evaluated.report(engine, found)
        if source is not None:
            report["labels"] = evaluated.against_labels(engine, found, source, other)
    return report


def _show(found: Document, report: Document, *, json: bool) -> None:
    if json:
        print_json({**found, "report": report})
        return
    out.print(_table(found))
    _show_labels(report.pop("labels", None))
    if found["refusal"] is not None:
        progress(f"a worker does not run it: {found['refusal']}")
    if found["kind"] == "shadow":
        out.print(*compared(report["comparison"], found["model"], "served"), sep="\n")
    else:
        out.print(_arms(report))


def _show_labels(labels: dict[str, Any] | None) -> None:
    if labels is None:
        return
    low, high = labels["kappa_interval"] or (None, None)
    out.print(
        f"by {labels['source']}, of {labels['subjects']} devices, beside {labels['against']}: "
        f"{labels['verdict']}; kappa {labels['kappa_difference']} [{low}, {high}]",
        markup=False,
    )


def _tell(it: Document, *, json: bool) -> None:
    if json:
        print_json(it)
    else:
        out.print(_table(it))


def _table(*found: Document) -> Table:
    made = Table("experiment", "kind", "model", "share", "of", "started", "stopped", box=None)
    for it in found:
        share = "" if it["kind"] == "shadow" else f"{it['share']:.0%}"
        what = (it["experiment"], it["kind"], it["model"], share, it["tenant"] or "all")
        made.add_row(*what, *(_minute(it[name]) for name in ("started_at", "stopped_at")))
    return made


def _minute(at: str | None) -> str:
    return "" if at is None else at[:16].replace("T", " ")


def _told(it: Document) -> Document:
    """Return an experiment as a facade tells it, in the names that commands show."""
    return {"experiment": it["name"]} | {name: plain(it[name]) for name in it if name != "name"}


def _arms(report: dict[str, Any]) -> Table:
    made = Table("minutes of", "devices", *LABELS, "null", box=None)
    for arm, it in report.items():
        share = it["null_share"]
        minutes = (f"{it['minutes'][label]:g}" for label in LABELS)
        null = "-" if share is None else f"{share:.1%}"
        made.add_row(arm, str(it["devices"]), *minutes, null)
    return made


def _as_json(it: Experiment) -> dict[str, Any]:
    return {
        "experiment": it.name,
        "kind": it.kind,
        "model": it.model,
        "share": it.share,
        "tenant": it.tenant,
        "started_at": it.started_at.isoformat(),
        "stopped_at": None if it.stopped_at is None else it.stopped_at.isoformat(),
        "refusal": it.refusal,
    }
