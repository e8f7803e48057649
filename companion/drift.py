"""Looks for drift as nights close, a few at a time, and keeps what it finds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio.to_thread
import structlog
from prometheus_client import Gauge

from companion.turns import endlessly
from drift import reference
from drift.reference import Reference
from drift.report import LOOKBACK_DAYS, WINDOW_DAYS, Report, compare
from noctis.errors import ModelError
from noctis.storage import drift_acknowledgements, drift_reports, night_histograms
from noctis.storage.database import Connection, Database
from noctis.storage.drift_reports import Subject

__all__ = ["Drift"]

PAUSE_S: Final = 120.0
STEP_S: Final = 60.0
NIGHTS_AT_ONCE: Final = 32
SUBJECTS_AT_ONCE: Final = 8
KEPT_NIGHTS: Final = timedelta(days=LOOKBACK_DAYS + 7)
KEPT_REPORTS: Final = timedelta(days=400)
_DAY: Final = timedelta(days=1)

_log = structlog.get_logger(__name__)
_reports = Gauge(
    "noctis_drift_reports",
    "Newest reports on drift of tenants and devices, by verdict.",
    ["kind", "verdict"],
)


class Drift:
    """Reports on the drift of some shards' devices, and of tenants whose shard is one of them.

    ``models``: the folder of the registry. All that is known lies in the database: cut off
    anywhere, it goes on from there.
    """

    def __init__(self, database: Database, models: Path, shards: frozenset[int]) -> None:
        self._database = database
        self._models = models
        self._shards = shards
        self._version = ""
        self._reference: Reference | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("drift", self.turn, pause_s=PAUSE_S)

    async def turn(self) -> bool:
        """Do a portion of what is new; tell whether more waits."""
        against = await anyio.to_thread.run_sync(self._load)
        if await self._database.call(self._count_nights, within_s=STEP_S) == NIGHTS_AT_ONCE:
            return True
        due = await self._database.call(
            lambda it: drift_reports.due(
                it, against.model, self._shards, limit=SUBJECTS_AT_ONCE
            ),
            within_s=STEP_S,
        )
        for subject in due:
            await self._report(against, subject)
        await self._database.call(_forget)
        await self._tell()
        return len(due) == SUBJECTS_AT_ONCE

    def _load(self) -> Reference:
        """Return what to measure against; read anew when another version serves."""
        version = reference.serving(self._models)
        if self._reference is None or version != self._version:
            try:
                self._reference = reference.load(self._models, version)
                self._version = version
            except (ModelError, OSError) as error:
                self._reference = self._reference or reference.standing_in(self._models)
                stands_in = self._reference.model
                _log.error("champion_refused", error=str(error), stands_in=stands_in)
        return self._reference

    def _count_nights(self, connection: Connection) -> int:
        since = datetime.now(UTC) - KEPT_NIGHTS
        nights = night_histograms.waiting(connection, since, self._shards, limit=NIGHTS_AT_ONCE)
        for night in nights:
            night_histograms.make(connection, night)
        return len(nights)

    async def _report(self, against: Reference, subject: Subject) -> None:
        until = subject.last_evening + _DAY
        nights = await self._database.call(
            lambda it: night_histograms.read(
                subject.tenant,
                it,
                subject.device,
                until - timedelta(days=LOOKBACK_DAYS),
                until,
                model=against.model,
            ),
            within_s=STEP_S,
        )
        acknowledged = await self._database.call(
            lambda it: drift_acknowledgements.of(subject.tenant, it, subject.device)
        )
        made = await anyio.to_thread.run_sync(
            lambda: compare(
                against.fingerprint,
                nights,
                model=against.model,
                since=until - timedelta(days=WINDOW_DAYS),
                until=until,
                acknowledged=acknowledged,
            )
        )
        before = await self._database.call(
            lambda it: drift_reports.keep(
                it,
                subject,
                model=made.model,
                day=until,
                verdict=made.verdict,
                body=json.dumps(made.as_json()),
            )
        )
        if made.verdict != before and (made.verdict == "drift" or before == "drift"):
            _warn(subject, made, before)

    async def _tell(self) -> None:
        counts = await self._database.call(drift_reports.counts)
        for kind in ("tenant", "device"):
            for verdict in ("stable", "drift", "unknown"):
                _reports.labels(kind, verdict).set(counts.get((kind, verdict), 0))


def _warn(subject: Subject, made: Report, before: str | None) -> None:
    _log.warning(
        "drift_verdict",
        subject=subject.name,
        verdict=made.verdict,
        before=before,
        model=made.model,
        channels=[it.name for it in made.channels if it.verdict == "drift"],
        changes=[it.stream for it in made.changes or ()],
    )


def _forget(connection: Connection) -> None:
    now = datetime.now(UTC)
    night_histograms.forget(connection, now - KEPT_NIGHTS)
    drift_reports.forget(connection, now - KEPT_REPORTS)
