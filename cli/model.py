"""``noctis model``: train, list, show, promote and roll back models."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich.markdown import Markdown
from rich.table import Table

from cli import model_drift, model_evaluate, model_explain, model_promote
from cli.auditing import noted
from cli.local import DEFAULT_VAR, Var
from cli.model_evaluate import SHIPPED, folder_of
from cli.nouns.models import asked_models
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from inference import versions
from inference.night import NIGHT_NAME
from noctis.errors import ConfigurationError
from noctis.settings import Settings
from registry.manifest import CARD, Manifest, read_manifest
from registry.store import ALIASES, DEFAULT_NAME, Alias, Registry

__all__ = ["app"]

app: Final = typer.Typer(help="Models: train, promote, roll back.", no_args_is_help=True)
app.command("evaluate")(model_evaluate.evaluate)
app.command("explain")(model_explain.explain_one)
app.command("compare")(model_promote.compare)
app.command("promote")(model_promote.promote)
app.command("drift")(model_drift.drift)

Name = Annotated[str, typer.Option("--name", help="Which model.")]
AliasOption = Annotated[Alias, typer.Option("--alias", help="Which alias.")]
Approver = Annotated[str | None, typer.Option(help="Who answers for the switch.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
Architecture = Literal["trees", "net", "blend", "night"]


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder of nights.", exists=True, file_okay=False)],
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="Which model.", show_default="stager")
    ] = None,
    architecture: Annotated[
        Architecture,
        typer.Option(
            help="Trees, nets, both, or nets for whole nights; nets need the extra train-net."
        ),
    ] = "trees",
    seed: Annotated[int, typer.Option(help="Seed of folds, trees and nets.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes to use.", min=1)] = 1,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Write here instead of publishing.")
    ] = None,
    attribution: Annotated[
        Path | None,
        typer.Option(help="Markdown on the data's origin, for the card.", exists=True),
    ] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Train a model on nights, cross-validate it by subject, and publish it."""
    try:
        from training import train as training  # noqa: PLC0415 - scikit-learn is an extra
        from training.trees import Parameters  # noqa: PLC0415 - scikit-learn is an extra

        if architecture != "trees":
            import_module("training.nets")
    except ModuleNotFoundError as error:
        message = f"training needs {error.name}, which is not installed"
        extra = "train-net" if error.name == "torch" else "train"
        raise ConfigurationError(message, hint=f"pip install 'noctis[{extra}]'") from error

    order = training.Order(
        data=data,
        name=name or (NIGHT_NAME if architecture == "night" else DEFAULT_NAME),
        parameters=Parameters(seed=seed),
        architecture=architecture,
        attribution=attribution.read_text("utf-8") if attribution else "",
        jobs=jobs,
    )
    manifest = training.train(order, Settings(var=var), out=folder, progress=_report)
    _tell(json, _as_json(manifest, []), f"{manifest.full_name}: {_figures(manifest)}")
    if folder is None:
        which = "" if manifest.name == DEFAULT_NAME else f" --name {manifest.name}"
        command = (
            f"noctis model promote {manifest.version}{which} --approver NAME --data NIGHTS"
        )
        progress(f"it serves after: {command}")


@app.command("list")
def list_versions(
    *,
    name: Name = DEFAULT_NAME,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List the versions, their figures, and who points at them."""
    with asked_models(profile) as asked:
        rows = asked.list_of(name) if asked else _own(Registry(Settings(var=var).models, name))
    if json:
        print_json(rows)
        return
    table = Table("version", "aliases", "kappa", "95 %", "macro-F1", "subjects", box=None)
    for row in rows:
        low, high = row["kappa_interval"] or (None, None)
        figures = (
            _text(row["kappa"]),
            f"{_text(low)} to {_text(high)}",
            _text(row["macro_f1"]),
        )
        table.add_row(row["version"], " ".join(row["aliases"]), *figures, str(row["subjects"]))
    out.print(table)


def _own(registry: Registry) -> list[dict[str, Any]]:
    rows = []
    if registry.name in versions.SHIPPED_FOLDERS:
        serves = [] if registry.resolve() else [ALIASES[0]]
        shipped = read_manifest(versions.SHIPPED_FOLDERS[registry.name])
        rows.append(_as_json(shipped, [SHIPPED, *serves]))
    aliases = {alias: registry.resolve(alias) for alias in ALIASES}
    for version in registry.versions():
        pointing = [alias for alias, target in aliases.items() if target == version]
        rows.append(_as_json(registry.manifest(version), pointing))
    return rows


@app.command()
def show(
    version: Annotated[str, typer.Argument(help="A version, an alias, or 'shipped'.")],
    *,
    name: Name = DEFAULT_NAME,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show a version's card, after its files and golden vectors were checked."""
    with asked_models(profile) as asked:
        if asked:
            told = asked.get(name, version)
            manifest, card = told["manifest"], told["card"]
        else:
            folder = folder_of(Registry(Settings(var=var).models, name), version)
            manifest = versions.load(folder).manifest.model_dump(mode="json")
            card = (folder / CARD).read_text("utf-8")
    if json:
        print_json(manifest)
    else:
        out.print(Markdown(card))


@app.command()
def upload(
    folder: Annotated[
        Path,
        typer.Argument(help="What train --out made.", exists=True, file_okay=False),
    ],
    *,
    name: Name = DEFAULT_NAME,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Publish a version that was trained elsewhere; it serves nobody until it is promoted."""
    with asked_models(profile) as asked:
        if asked:
            told = asked.upload(name, folder)
        else:
            versions.load(folder)
            manifest = Registry(Settings(var=var).models, name).publish(folder)
            noted(var, "model_uploaded", manifest.full_name)
            told = _as_json(manifest, [])
    _tell(json, told, f"{told['name']}@{told['version']} is published")


@app.command()
def rollback(
    *,
    alias: AliasOption = "champion",
    approver: Approver = None,
    reason: Reason = "",
    name: Name = DEFAULT_NAME,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Let an alias point where it pointed before its last promotion."""
    with asked_models(profile) as asked:
        if asked:
            switch = asked.rollback(name, alias, approver or "", reason)
        else:
            registry = Registry(Settings(var=var).models, name)
            moved = registry.rollback(alias, approver=approver, reason=reason)
            switch = moved.as_json()
            facts = {"version": moved.version, "approver": approver}
            noted(var, "model_rolled_back", f"{name}@{alias}", **facts)
    target = switch["version"] or SHIPPED
    _tell(json, switch, f"{switch['alias']}: {switch['previous'] or SHIPPED} → {target}")


def _report(what: str, done: int, total: int) -> None:
    progress(f"{what}: {done + 1} of {total}")


def _figures(manifest: Manifest) -> str:
    figures = manifest.figures
    low, high = figures.kappa_interval
    return (
        f"kappa {figures.kappa:.3f} ({low:.3f} to {high:.3f}), "
        f"macro-F1 {figures.macro_f1:.3f}, cross-validated by subject"
    )


def _as_json(manifest: Manifest, aliases: Sequence[str]) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "aliases": list(aliases),
        "created": manifest.created.isoformat(),
        "kappa": manifest.figures.kappa,
        "kappa_interval": list(manifest.figures.kappa_interval),
        "macro_f1": manifest.figures.macro_f1,
        "subjects": len(manifest.figures.subjects),
    }


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _tell(json: bool, value: dict[str, Any], text: str) -> None:  # noqa: FBT001 - handed through
    if json:
        print_json(value)
    else:
        out.print(text)
