"""``noctis model evaluate``: a model's stages against reference stages."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.facade import Facade
from cli.labels import Since, Until, utc
from cli.local import DEFAULT_VAR, Var, connected
from cli.nouns.documents import Document
from cli.nouns.tenancy import check_own
from cli.ordered import asked_facade, order
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from evaluation import stored
from evaluation.datasets import Recording, find_nights, load
from evaluation.document import document
from evaluation.staging import by_subject, stage_nights
from inference.night import NIGHT_NAME
from inference.versions import SHIPPED_FOLDERS
from noctis.errors import ConfigurationError
from noctis.settings import Settings
from noctis.stages import LABELS
from registry.manifest import night_in_training, read_manifest
from registry.store import ALIASES, DEFAULT_NAME, Registry

__all__ = ["SHIPPED", "Jobs", "Name", "evaluate", "folder_of", "nights_of", "report"]

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of nights.", exists=True, file_okay=False, show_default=False),
]
Jobs = Annotated[int, typer.Option(help="Processes to use.", min=1)]
Name = Annotated[str, typer.Option("--name", help="Which model.")]
Version = Annotated[str, typer.Option(help="A version, an alias, or 'shipped'.")]
SHIPPED: Final = "shipped"


def evaluate(
    *,
    data: Data = None,
    tenant: Annotated[str | None, typer.Option(help="Rather what is stored of it.")] = None,
    device: Annotated[str | None, typer.Option(help="With --tenant: of this device.")] = None,
    since: Since = None,
    until: Until = None,
    source: Annotated[str, typer.Option(help="With --tenant: whose labels.")] = "psg",
    version: Version = ALIASES[0],
    name: Name = DEFAULT_NAME,
    jobs: Jobs = 1,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Hold a model's stages against the reference: by default the model that serves.

    With --data each night goes through the firmware and then, epoch by epoch, through what the
    live worker does; neither broker nor database is needed. With --tenant what the version
    said of stored epochs is held against the labels that were imported.
    """
    if (data is None) == (tenant is None):
        message = "neither or both of --data and --tenant are given"
        raise ConfigurationError(
            message, hint="name a folder of nights, or a tenant with labels"
        )
    if tenant is not None and name == NIGHT_NAME:
        message = "revised stages are kept in the nights, not as predictions of epochs"
        raise ConfigurationError(message, hint="evaluate it on a folder of nights with --data")
    span = (utc(since), utc(until))
    if data is not None:
        settings = Settings(var=var)
        folder = folder_of(Registry(settings.models, name), version)
        told = _of_nights(data, folder, settings, jobs)
    else:
        with asked_facade(profile) as facade:
            if facade:
                wanted = {"model": name, "version": version, "source": source}
                told = _asked(facade, str(tenant), device, wanted, span)
            else:
                folder = folder_of(Registry(Settings(var=var).models, name), version)
                model = read_manifest(folder).full_name
                told = _of_stored(
                    str(tenant), device, var, model=model, source=source, span=span
                )
    if json:
        print_json(told)
    else:
        show(told)


def _asked(
    facade: Facade,
    tenant: str,
    device: str | None,
    wanted: Document,
    span: tuple[datetime | None, datetime | None],
) -> Document:
    check_own(facade, tenant)
    since, until = (None if end is None else end.isoformat() for end in span)
    name = None if device is None else device.removeprefix(f"{tenant}/")
    body = {**wanted, "device": name, "since": since, "until": until}
    result: Document = order(facade, "/v1/evaluations", body)["result"]
    return result


def _of_nights(data: Path, folder: Path, settings: Settings, jobs: int) -> dict[str, Any]:
    manifest = read_manifest(folder)
    recordings = nights_of(data, settings)
    learnt = [path.name for path in find_nights(data) if night_in_training(path, manifest)]
    if learnt:
        progress(
            f"warning: {manifest.full_name} has learnt from {len(learnt)} of these "
            f"{len(recordings)} nights; it looks better on them than it is"
        )
    tallies = stage_nights(folder, recordings, jobs=jobs, progress=report)
    return {
        "model": manifest.full_name,
        "nights": len(recordings),
        "in_training": learnt,
        **document(by_subject(recordings, tallies)),
    }


def _of_stored(
    tenant: str,
    device: str | None,
    var: Path,
    *,
    model: str,
    source: str,
    span: tuple[datetime | None, datetime | None],
) -> dict[str, Any]:
    name = None if device is None else device.removeprefix(f"{tenant}/")
    with connected(var) as engine:
        told = stored.evaluate(
            tenant, engine, name, model=model, source=source, span=span, progress=report
        )
    if told["unmatched"]:
        progress(f"{told['unmatched']} labels stand where nothing of {model} is stored")
    return told


def folder_of(registry: Registry, version: str) -> Path:
    """Return the folder of a version, of an alias's, or of the shipped model."""
    if version in ALIASES:
        version = registry.resolve(version) or SHIPPED
    if version == SHIPPED and registry.name in SHIPPED_FOLDERS:
        return SHIPPED_FOLDERS[registry.name]
    return registry.version_folder(version)


def nights_of(data: Path, settings: Settings) -> list[Recording]:
    """Return the nights below a folder as the firmware would have sent them."""
    return load(data, cache=settings.var / "cache" / "nights", progress=report)


def report(what: str, done: int, total: int) -> None:
    """Tell how far the work is."""
    progress(f"{what}: {done + 1} of {total}")


def show(told: dict[str, Any]) -> None:
    """Print an evaluation for people."""
    low, high = told["kappa_interval"]
    out.print(f"{told['model']}: {told['epochs']} epochs of {len(told['subjects'])} subjects")
    out.print(f"kappa {_text(told['kappa'])} (95 %: {_text(low)} to {_text(high)})")
    out.print(
        f"accuracy {_text(told['accuracy'])}, macro-F1 {_text(told['macro_f1'])}, "
        f"calibration error {_text(told['calibration_error'])}"
    )
    out.print(
        f"{told['unstaged']} scored epochs got no stage; "
        f"counted as wrong, kappa is {_text(told['kappa_unstaged_wrong'])}"
    )
    columns = ("epochs", "kappa", "agree", "F1", "calib.")
    table = Table("subject", *columns, *LABELS, box=None)
    for name, one in told["subjects"].items():
        table.add_row(name, str(one["epochs"]), *map(_text, _figures(one)))
    out.print(table)


def _figures(one: dict[str, Any]) -> Sequence[float | None]:
    plain = (one["kappa"], one["accuracy"], one["macro_f1"], one["calibration_error"])
    return (*plain, *one["stage_f1"].values())


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
