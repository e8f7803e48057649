"""``noctis model explain``: what each feature adds to what a model says of one epoch."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from cli.labels import utc
from cli.local import DEFAULT_VAR, Var, opened
from cli.model_evaluate import Version, folder_of, nights_of
from cli.output import Json, out, print_json
from inference.context import DEPTH, Context, Rows, night_sessions
from inference.explanation import DRAWS, Explanation, explain
from inference.history import past_of
from inference.model import Model
from inference.stage import is_stageable
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import ConfigurationError
from noctis.features import COUNT, FEATURES, dequantise
from noctis.identity import DeviceId
from noctis.settings import Settings
from noctis.stages import LABELS, Stage
from noctis.storage import devices, epochs, stretches
from noctis.storage.engine import Connection
from registry.store import ALIASES, DEFAULT_NAME, Registry

__all__ = ["explain_one"]


def explain_one(
    *,
    device: Annotated[str | None, typer.Option(help="Of this one, TENANT/DEVICE.")] = None,
    at: Annotated[datetime | None, typer.Option(help="The epoch's time, UTC.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Rather a night's folder.", exists=True, file_okay=False)
    ] = None,
    epoch: Annotated[int | None, typer.Option(help="With --data: counted from 0.")] = None,
    stage: Annotated[str | None, typer.Option(help="Not the likeliest, this stage.")] = None,
    version: Version = ALIASES[0],
    draws: Annotated[int, typer.Option(help="Orders to draw.", min=2)] = DRAWS,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Say what each feature adds to the log-odds of the stage that a model tells."""
    settings = Settings(var=var)
    if device is not None and at is not None and data is None and epoch is None:
        moment = utc(at)
        with opened(var) as connection:
            row, session = _stored(connection, DeviceId.parse(device), moment or at)
    elif data is not None and epoch is not None and device is None and at is None:
        row, session = _played(data, epoch, settings)
    else:
        message = "one epoch is to be named"
        hint = "give --device and --at, or --data and --epoch"
        raise ConfigurationError(message, hint=hint)
    if not is_stageable(row):
        message = "that epoch has no stage: an empty bed, or too little of it was measured"
        raise ConfigurationError(message, hint="name another epoch")
    model = Model.load(folder_of(Registry(settings.models, DEFAULT_NAME), version))
    found = explain(model, session, draws=draws)
    chosen = _chosen(stage, found)
    told = {"model": model.full_name, **_as_json(found, chosen, row), "orders": draws}
    if json:
        print_json(told)
    else:
        _show(told)


def _stored(connection: Connection, who: DeviceId, at: datetime) -> tuple[Rows, Rows]:
    """Return the stored epoch in which ``at`` lies, its row and its session."""
    since = at - timedelta(seconds=EPOCH_SECONDS) + timedelta(microseconds=1)
    until = at + timedelta(microseconds=1)
    found = epochs.read(who.tenant, connection, who.device, since, until)
    if not found:
        message = f"{who} has no stored epoch at {at:%Y-%m-%d %H:%M:%S} UTC"
        raise ConfigurationError(message, hint="see what there is: noctis night show")
    last = found[-1]
    key = devices.get(who.tenant, connection, who.device).id
    past = stretches.context(connection, key, last.stream, last.seq + 1, DEPTH)
    context = Context()
    for each in past_of(past):
        context.push(each.moment, each.row)
    return context.window()[-1], context.session()


def _played(data: Path, epoch: int, settings: Settings) -> tuple[Rows, Rows]:
    """Return a night's epoch as the firmware would have sent it, its row and its session."""
    nights = nights_of(data, settings)
    if len(nights) != 1 or not 0 <= epoch < len(nights[0].rows):
        lengths = ", ".join(f"{it.night.name}: {len(it.rows)} epochs" for it in nights)
        message = f"there is no such one epoch: {lengths}"
        raise ConfigurationError(message, hint="name the folder of one night, and its epoch")
    rows = nights[0].rows
    return rows[epoch], night_sessions(rows, [epoch])[0]


def _chosen(stage: str | None, found: Explanation) -> Stage:
    if stage is None:
        return Stage(int(found.probabilities.argmax()))
    if stage not in LABELS:
        message = f"{stage!r} is no stage"
        raise ConfigurationError(message, hint=f"one of {', '.join(LABELS)}")
    return Stage.from_label(stage)


def _as_json(found: Explanation, stage: Stage, row: Rows) -> dict[str, Any]:
    values = dequantise(row[None, :COUNT])[0].tolist()
    return {
        "stage": stage.label,
        "probability": _by_stage(found.probabilities),
        "base_log_odds": round(float(found.base[stage]), 6),
        "log_odds": round(float(found.log_odds[stage]), 6),
        "contributions": {
            feature.name: {
                "value": None if np.isnan(value) else round(value, 3),
                "unit": feature.unit,
                "log_odds": round(float(found.contributions[at, stage]), 6),
                "standard_error": round(float(found.errors[at, stage]), 6),
            }
            for at, (feature, value) in enumerate(zip(FEATURES, values, strict=True))
        },
    }


def _by_stage(probabilities: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    rounded = [round(float(value), 4) for value in probabilities]
    return dict(zip(LABELS, rounded, strict=True))


def _show(told: dict[str, Any]) -> None:
    share = told["probability"][told["stage"]]
    out.print(f"{told['model']}: {told['stage']} with {share:.0%}")
    table = Table("feature", "now", "unit", "log-odds", "± s. e.", box=None)
    ordered = sorted(told["contributions"].items(), key=lambda it: -abs(it[1]["log_odds"]))
    for name, one in ordered:
        value = "-" if one["value"] is None else f"{one['value']:g}"
        adds = (f"{one['log_odds']:+.3f}", f"{one['standard_error']:.3f}")
        table.add_row(name, value, one["unit"], *adds)
    out.print(table)
    out.print(
        f"{told['base_log_odds']:+.3f} where nothing is measured, "
        f"{told['log_odds']:+.3f} in all"
    )
