"""``noctis model compare`` and ``promote``: what may serve in place of what serves now."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from cli.auditing import noted
from cli.local import DEFAULT_VAR, Var, connected
from cli.model_evaluate import SHIPPED, Jobs, Name, folder_of, nights_of, report
from cli.nouns.documents import Document
from cli.nouns.models import AskedModels, asked_models, read_report
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from evaluation import comparison, promotion, stored_nights
from evaluation.comparison import Report, Side
from evaluation.datasets import Recording
from evaluation.gate import Limits
from inference import versions
from noctis.errors import ConfigurationError
from noctis.settings import Settings
from registry.store import CHAMPION, DEFAULT_NAME, Alias, Registry

__all__ = ["compare", "promote"]

Which = "A version, an alias, or 'shipped'."
Latency = Annotated[
    float,
    typer.Option("--latency-ratio", help="How many times as long an epoch may take.", min=1),
]
Data = Annotated[
    Path | None, typer.Option(help="Folder of nights.", exists=True, file_okay=False)
]
Tenant = Annotated[
    str | None, typer.Option(help="Rather nights stored of it, with reference labels.")
]
Source = Annotated[str, typer.Option(help="With --tenant: whose labels.")]
_LATENCY: Final = Limits().latency_ratio


def compare(
    candidate: Annotated[str, typer.Argument(help=Which)],
    baseline: Annotated[str, typer.Argument(help=Which)] = CHAMPION,
    *,
    data: Data = None,
    tenant: Tenant = None,
    source: Source = "psg",
    latency: Latency = _LATENCY,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write the report here too, for promote.")
    ] = None,
    name: Name = DEFAULT_NAME,
    jobs: Jobs = 1,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Compare two models on nights that neither has learnt from, as promote does.

    The nights are those below --data, or what is stored of --tenant with labels of --source.
    """
    settings = Settings(var=var)
    registry = Registry(settings.models, name)
    folders = (folder_of(registry, candidate), folder_of(registry, baseline))
    nights = _nights(data, tenant, source, settings)
    if nights is None:
        message = "there is nothing to compare on"
        raise ConfigurationError(message, hint="--data DIR, or --tenant NAME with labels")
    made = _compared(folders, nights, latency=latency, jobs=jobs)
    if file is not None:
        promotion.keep(made, file)
    if json:
        print_json(made.model_dump(mode="json"))
    else:
        _show(made)
    if not made.decision.is_promotable:
        raise typer.Exit(1)


def promote(
    version: Annotated[str, typer.Argument(help="A published version.")],
    *,
    alias: Annotated[Alias, typer.Option("--alias", help="Which alias.")] = CHAMPION,
    approver: Annotated[str | None, typer.Option(help="Who answers for the switch.")] = None,
    data: Data = None,
    tenant: Tenant = None,
    source: Source = "psg",
    file: Annotated[
        Path | None, typer.Option("--report", help="Rather what compare --out wrote.")
    ] = None,
    override: Annotated[
        str, typer.Option(help="Promote whatever the gate says, for this reason.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    latency: Latency = _LATENCY,
    name: Name = DEFAULT_NAME,
    jobs: Jobs = 1,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Let a version serve that holds its own against the one that does, with an approver.

    They are compared on the nights below --data, or on what is stored of --tenant with labels
    of --source. Running workers load a new champion at once. Other aliases take any version.
    Over a facade it takes the --report that compare wrote where the nights are.
    """
    with asked_models(profile) as asked:
        if asked:
            if data is not None or tenant is not None:
                message = "a facade compares nothing: the nights and the models are not here"
                hint = "noctis model compare --out FILE where they are, then --report FILE"
                raise ConfigurationError(message, hint=hint)
            order = _Order(version, alias, approver or "", file, override, reason)
            _tell(_asked(asked, name, order), json=json)
            return
    settings = Settings(var=var)
    registry = Registry(settings.models, name)
    folder = registry.version_folder(version)
    versions.load(folder)
    if alias != CHAMPION:
        switch = registry.promote(alias, version, approver=approver, reason=reason)
    else:
        _check_approver(approver)
        serving = registry.resolve(CHAMPION)
        folders = (folder, folder_of(registry, serving or SHIPPED))
        made = _given(file, folders) if file else None
        nights = None if file else _nights(data, tenant, source, settings)
        if nights is not None:
            made = _compared(folders, nights, latency=latency, jobs=jobs)
        words = promotion.words(made, override, reason)
        if made is not None:
            promotion.keep(made, registry.folder / "reports" / f"{made.sha256}.json")
        switch = registry.promote(
            CHAMPION, version, approver=approver, reason=words, expected=serving
        )
    noted(var, "model_promoted", f"{name}@{alias}", version=version, approver=approver)
    _tell(switch.as_json(), json=json)


def _given(file: Path, folders: tuple[Path, Path]) -> Report:
    made = comparison.read_report(file)
    promotion.check(made, folders, str(file))
    return made


@dataclass(frozen=True, slots=True)
class _Order:
    """What a facade is asked to promote."""

    version: str
    alias: Alias
    approver: str
    file: Path | None
    override: str
    reason: str


def _asked(asked: AskedModels, name: str, order: _Order) -> Document:
    if order.alias != CHAMPION:
        return asked.move(name, order.alias, order.version, order.reason)
    _check_approver(order.approver)
    body: Document = {
        "approver": order.approver,
        "reason": order.reason,
        "override": order.override,
        "report": None if order.file is None else read_report(order.file),
    }
    return asked.promote(name, order.version, body)


def _tell(switch: Document, *, json: bool) -> None:
    if json:
        print_json(switch)
    else:
        out.print(f"{switch['alias']}: {switch['previous'] or SHIPPED} → {switch['version']}")
        progress(switch["reason"])


def _check_approver(approver: str | None) -> None:
    if not (approver or "").strip():
        message = "a champion needs somebody who answers for it"
        raise ConfigurationError(message, hint="--approver NAME")


def _nights(
    data: Path | None, tenant: str | None, source: str, settings: Settings
) -> list[Recording] | None:
    """Return the nights to compare on; None where none are named."""
    if data is not None and tenant is not None:
        message = "both --data and --tenant are given"
        raise ConfigurationError(message, hint="compare on one of them at a time")
    if data is not None:
        return nights_of(data, settings)
    if tenant is None:
        return None
    with connected(settings.var) as engine:
        return stored_nights.load(tenant, engine, source=source, progress=report)


def _compared(
    folders: tuple[Path, Path], nights: Sequence[Recording], *, latency: float, jobs: int
) -> Report:
    limits = Limits(latency_ratio=latency)
    made = comparison.compare(*folders, nights, limits=limits, jobs=jobs, progress=report)
    for one in made.left_out:
        progress(f"left out: night {one.night}, {one.reason}")
    return made


def _show(made: Report) -> None:
    told = made.decision
    table = Table("", "kappa", "95 %", "macro-F1", "calibration error", box=None)
    for side in (made.candidate, made.baseline):
        table.add_row(side.model, *_figures(side))
    out.print(table)
    if told.kappa_difference is not None and told.kappa_interval is not None:
        low, high = told.kappa_interval
        out.print(
            f"difference of kappa {told.kappa_difference:+.3f} (95 %: {low:+.3f} to "
            f"{high:+.3f}) on {told.subjects} subjects; "
            f"an epoch takes {told.latency_ratio:.2f} times as long"
        )
    out.print(f"the candidate is {told.verdict}" if told.kappa_interval else told.verdict)
    for reason in told.reasons:
        out.print(f"against it: {reason}")


def _figures(side: Side) -> tuple[str, ...]:
    names = ("kappa", "macro_f1", "calibration_error")
    if not side.figures:
        return ("-",) * 4
    kappa, f1, calibration = (f"{side.figures[name]:.3f}" for name in names)
    low, high = side.figures["kappa_interval"]
    return kappa, f"{low:.3f} to {high:.3f}", f1, calibration
