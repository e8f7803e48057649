"""Drift as it is now: computed from what is stored of a tenant, in short transactions."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from drift.reference import Reference
from drift.report import LOOKBACK_DAYS, WINDOW_DAYS, Report, compare
from noctis.errors import ConfigurationError
from noctis.histograms import NightSummary
from noctis.storage import night_histograms
from noctis.storage.drift_acknowledgements import Acknowledgement
from noctis.storage.engine import Connection

__all__ = ["Window", "bring_up", "nights", "report", "window"]

Window = tuple[date, date]
"""Evenings [since, until)."""

_DAY: Final = timedelta(days=1)


def window(
    tenant: str,
    connection: Connection,
    device: str | None,
    since: date | None,
    until: date | None,
) -> Window:
    """Return the evenings as given, else the 14 days up to the last night.

    Raises NotFoundError for an unknown device, ConfigurationError where nothing lies between.
    """
    last = night_histograms.last_evening(tenant, connection, device)
    if until is None:
        until = (last or date.today()) + _DAY  # noqa: DTZ011 - a date
    if since is not None and since >= until:
        message = f"no evening lies between {since} and {until}"
        raise ConfigurationError(message, hint="--since is an evening before --until")
    return since or until - timedelta(days=WINDOW_DAYS), until


def bring_up(
    tenant: str, connection: Connection, device: str | None, span: Window, *, limit: int
) -> int:
    """Make histograms that the companion has not made yet, the newest first; return how many.

    0: all are there that ``nights`` will read.
    """
    waiting = night_histograms.waiting_of(
        tenant, connection, device, _lookback(span), span[1], limit=limit
    )
    for night in waiting:
        night_histograms.make(connection, night)
    return len(waiting)


def nights(
    tenant: str, connection: Connection, device: str | None, span: Window, *, model: str
) -> list[NightSummary]:
    """Return the nights of the window, and those before it in which changes are sought."""
    return night_histograms.read(
        tenant, connection, device, _lookback(span), span[1], model=model
    )


def report(
    against: Reference,
    found: Sequence[NightSummary],
    span: Window,
    acknowledged: Sequence[Acknowledgement],
) -> Report:
    """Return the report on the window; raise ModelError where training had too few subjects."""
    since, until = span
    return compare(
        against.fingerprint,
        found,
        model=against.model,
        since=since,
        until=until,
        acknowledged=acknowledged,
    )


def _lookback(span: Window) -> date:
    return min(span[0], span[1] - timedelta(days=LOOKBACK_DAYS))
