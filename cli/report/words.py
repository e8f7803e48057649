"""Numbers, times and names as the page tells them (api/page/js/format.js, night.js)."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cli.nouns.documents import Document

__all__ = [
    "DISCLAIMER",
    "LONG",
    "NAMES",
    "NOTHING",
    "STAGES",
    "about",
    "clock",
    "duration",
    "evening_name",
    "full_hours",
    "night_name",
    "number",
    "span",
    "wall",
    "week_name",
]

NOTHING: Final = "–"  # noqa: RUF001 - as the page shows what is not known
STAGES: Final = ("wake", "rem", "light", "deep")
"""From the top of a hypnogram."""
NAMES: Final = {"wake": "Awake", "rem": "REM", "light": "Light", "deep": "Deep"}
LONG: Final = {
    "wake": "Awake",
    "rem": "REM sleep",
    "light": "Light sleep",
    "deep": "Deep sleep",
    "out_of_bed": "Out of bed",
    "unstaged": "No stage",
    "missing": "No data",
}
DISCLAIMER: Final = "Stages are a model's estimate, no diagnosis."
_QUARTER_S: Final = 900


def duration(minutes: float | None) -> str:
    """Return minutes such as ``7 h 16 min``."""
    if minutes is None:
        return NOTHING
    hours, rest = divmod(int(minutes + 0.5), 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """Return a value with its unit."""
    if value is None:
        return NOTHING
    return f"{value:.{digits}f} {unit}".rstrip()


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Return a moment such as ``23:04``, where the bed stands."""
    return f"{at.astimezone(zone):%H:%M}"


def wall(minutes: float | None) -> str:
    """Return minutes since noon by the clock on the wall, such as ``23:04``."""
    if minutes is None:
        return NOTHING
    hours, rest = divmod((int(minutes + 0.5) + 720) % 1440, 60)
    return f"{hours:02d}:{rest:02d}"


def span(night: Document) -> str:
    """Return from when to when a night was."""
    zone = ZoneInfo(night["time_zone"])
    begin, end = (datetime.fromisoformat(night[it]) for it in ("started_at", "ended_at"))
    return f"{clock(begin, zone)} – {clock(end, zone)}"  # noqa: RUF001 - from, to


def evening_name(evening: date) -> str:
    """Return a date such as ``Sunday 1 March 2026``."""
    return f"{evening:%A} {evening.day} {evening:%B} {evening.year}"


def week_name(monday: date) -> str:
    """Return a week such as ``Week 9, 23 February to 1 March 2026``."""
    last = monday + timedelta(days=6)
    begin = f"{monday.day}" if monday.month == last.month else f"{monday.day} {monday:%B}"
    if monday.year != last.year:
        begin += f" {monday.year}"
    return f"Week {monday.isocalendar().week}, {begin} to {last.day} {last:%B} {last.year}"


def night_name(night: Document) -> str:
    """Return what a night is called; a person's own recording says its kind."""
    name = evening_name(date.fromisoformat(night["evening"]))
    kind: str = night["kind"]
    return name if kind in ("found", "night") else f"{kind.capitalize()}, {name}"


def about(night: Document) -> list[str]:
    """Return what the figures rest on, in words."""
    missing, unstaged, model = night["missing"], night["unstaged"], night["model"]
    by = "with the whole night in sight" if night["staged_by"] == "night" else "live"
    return [
        f"{duration(missing / 2)} are missing" if missing else "Nothing is missing",
        f"{duration(unstaged / 2)} have no stage" if unstaged else "every epoch has a stage",
        *([f"staged by {model}, {by}"] if model else []),
        *(["still open"] if night["state"] == "open" else []),
        f"revision {night['revision']}",
    ]


def full_hours(begin: datetime, end: datetime, zone: ZoneInfo, every: int) -> list[datetime]:
    """Return the full hours by the clock where the bed stands that ``every`` divides.

    The hour that a change of clocks repeats comes twice, the one that it skips not at all.
    """
    found = []
    at = datetime.fromtimestamp(-(-begin.timestamp() // _QUARTER_S) * _QUARTER_S, UTC)
    while at <= end:
        local = at.astimezone(zone)
        if local.minute == 0 and local.hour % every == 0:
            found.append(at)
        at += timedelta(seconds=_QUARTER_S)
    return found
