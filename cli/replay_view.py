"""How replays and comparisons of versions look in the terminal and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from cli.output import out, print_json
from noctis.stages import LABELS
from noctis.storage.replays import Replay

__all__ = ["as_json", "compared", "table", "tell"]


def tell(replay: Replay, *, json: bool) -> None:
    """Print one replay."""
    if json:
        print_json(as_json(replay))
    else:
        out.print(table([replay]))


def table(found: Sequence[Replay]) -> Table:
    """Return replays as a table, a line each."""
    columns = ("replay", "model", "of", "since", "until", "epochs", "new", "state")
    made = Table(*columns, box=None)
    for it in found:
        whose = it.tenant or "all"
        made.add_row(
            str(it.id),
            it.model,
            whose if it.device is None else f"{whose}/{it.device}",
            f"{it.since:%Y-%m-%d %H:%M}",
            f"{it.until:%Y-%m-%d %H:%M}",
            f"{it.epochs_done}/{it.epochs}",
            str(it.stored),
            it.state,
        )
    return made


def as_json(it: Replay) -> dict[str, Any]:
    """Return a replay as JSON has it."""
    return {
        "replay": it.id,
        "model": it.model,
        "tenant": it.tenant,
        "device": it.device,
        "since": it.since.isoformat(),
        "until": it.until.isoformat(),
        "created_at": it.created_at.isoformat(),
        "state": it.state,
        "epochs": it.epochs,
        "epochs_done": it.epochs_done,
        "stored": it.stored,
    }


def compared(report: dict[str, Any], own: str, other: str) -> tuple[str, Table]:
    """Return a comparison, see ``evaluation.agreement``, as a line and a table."""
    told = f"{report['epochs']} epochs that both staged; {report['absent']} without {other}"
    if report["kappa"] is not None:
        told += f"; kappa {report['kappa']:.3f}, agreement {report['agreement']:.1%}"
    made = Table("minutes of", *LABELS, "null", box=None)
    for name, side in ((own, report["own"]), (other, report["other"])):
        share = side["null_share"]
        minutes = (f"{side['minutes'][label]:g}" for label in LABELS)
        made.add_row(name, *minutes, "-" if share is None else f"{share:.1%}")
    return told, made
