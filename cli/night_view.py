"""How nights look in the terminal, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from cli.hypnogram import draw
from noctis.epoch import EPOCH_SECONDS
from noctis.figures import Figures
from noctis.hypnogram import LABELS, to_stages
from noctis.storage.recordings import Recording

__all__ = ["as_json", "picture", "table"]

_PERCENTS: Final = ("efficiency_percent", "light_percent", "deep_percent", "rem_percent")
_ASIDE: Final = 26
_NARROW: Final = 70


def as_json(recording: Recording, *, hypnogram: bool = False) -> dict[str, Any]:
    """Return a night as a JSON value; times are UTC, figures that are undefined are null."""
    night, figures = recording.night, recording.figures
    value = {
        "id": str(recording.id),
        "evening": night.evening.isoformat(),
        "time_zone": night.time_zone,
        "started_at": night.started_at.isoformat(),
        "ended_at": night.ended_at.isoformat(),
        "state": night.state,
        "revision": recording.revision,
        "revised_at": recording.revised_at.isoformat(),
        "replaced_by": None if recording.replaced_by is None else str(recording.replaced_by),
        "model": recording.model,
        "staged_by": night.staged_by,
        "epochs": recording.epochs,
        "missing": recording.missing,
        "unstaged": recording.unstaged,
        "moved": night.moved,
        "figures": {
            **asdict(figures),
            **{name: _rounded(getattr(figures, name)) for name in _PERCENTS},
        },
    }
    if hypnogram:
        value["epoch_seconds"] = EPOCH_SECONDS
        value["hypnogram"] = [LABELS[code] for code in night.codes.tolist()]
    return value


def table(nights: Sequence[Recording]) -> Table:
    """Return the nights as a table, in the devices' local times."""
    made = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("evening", "from", "to", "state"):
        made.add_column(name, no_wrap=True)
    for name in ("in bed", "asleep", "of it", "deep", "REM", "woke", "rev."):
        made.add_column(name, justify="right", no_wrap=True)
    for it in nights:
        zone = ZoneInfo(it.night.time_zone)
        figures = it.figures
        made.add_row(
            it.night.evening.isoformat(),
            f"{it.night.started_at.astimezone(zone):%H:%M}",
            f"{it.night.ended_at.astimezone(zone):%H:%M}",
            it.night.state,
            _duration(figures.tib_min),
            _duration(figures.tst_min),
            _percent(figures.efficiency_percent),
            _duration(figures.deep_min),
            _duration(figures.rem_min),
            "-" if figures.awakenings is None else f"{figures.awakenings} x",
            str(it.revision),
        )
    return made


def picture(recording: Recording, *, width: int) -> Table:
    """Return the hypnogram with the figures beside it, below it where it is narrow."""
    night = recording.night
    zone = ZoneInfo(night.time_zone)
    begin, end = night.started_at.astimezone(zone), night.ended_at.astimezone(zone)
    title = (
        f"{recording.device}  {begin:%Y-%m-%d %H:%M} to {end:%H:%M} {night.time_zone}, "
        f"{night.state}, revision {recording.revision}"
    )
    is_wide = width >= _NARROW
    hypnogram = draw(to_stages(night.codes), width=width - _ASIDE - 3 if is_wide else width)
    made = Table.grid(padding=(0, 3))
    if is_wide:
        made.add_row(hypnogram, _aside(recording.figures))
    else:
        made.add_row(hypnogram)
        made.add_row(_aside(recording.figures))
    whole = Table.grid()
    whole.add_row(Text(title))
    whole.add_row(made)
    return whole


def _aside(figures: Figures) -> Table:
    """Return the figures as lines of name, value and share."""
    made = Table.grid(padding=(0, 1))
    made.add_column(min_width=11)
    made.add_column(justify="right")
    made.add_column(justify="right", style="bright_black")
    awakenings = "-" if figures.awakenings is None else f"{figures.awakenings}"
    for name, text, share in (
        ("in bed", _duration(figures.tib_min), ""),
        ("asleep", _duration(figures.tst_min), _percent(figures.efficiency_percent)),
        ("onset after", _duration(figures.sol_min), ""),
        ("awake after", _duration(figures.waso_min), f"{awakenings} x"),
        ("light", _duration(figures.light_min), _percent(figures.light_percent)),
        ("deep", _duration(figures.deep_min), _percent(figures.deep_percent)),
        ("REM", _duration(figures.rem_min), _percent(figures.rem_percent)),
        ("REM after", _duration(figures.rem_latency_min), ""),
    ):
        made.add_row(name, text, share)
    if figures.unscored_min:
        made.add_row("no stage", _duration(figures.unscored_min), "")
    return made


def _duration(minutes: float | None) -> str:
    if minutes is None:
        return "-"
    hours, rest = divmod(int(minutes + 0.5), 60)
    return f"{hours}:{rest:02d}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} %"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
