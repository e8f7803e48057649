"""Tell monitors how tenants and the platform stand, of what only the database knows."""

import time
from collections.abc import Sequence
from dataclasses import astuple
from typing import Final

from prometheus_client import Gauge

from companion.turns import endlessly
from noctis.storage import standing
from noctis.storage.database import Database
from noctis.storage.standing import TenantStanding

__all__ = ["MOST_TENANTS", "OTHERS", "Standing", "shown"]

PAUSE_S: Final = 30.0
SHARE: Final = 20
"""Each turn is followed by a pause of so many times its length at least."""

DEADLINE_S: Final = 60.0
MOST_TENANTS: Final = 50
"""Tenants with time series of their own: those in the most trouble, the largest ones first."""

OTHERS: Final = "(others)"
"""All other tenants; a name that none can have."""

_STATES: Final = ("online", "sleeping", "silent", "lost", "new")
_devices = Gauge(
    "noctis_devices",
    "Devices that are not revoked, by what was last heard of them.",
    ["tenant", "state"],
)
_backlog = Gauge(
    "noctis_devices_backlog_epochs",
    "Epochs that devices hold and nobody has acknowledged, by their last status.",
    ["tenant"],
)
_overwritten = Gauge(
    "noctis_devices_overwritten_epochs",
    "Epochs that full spools gave up for good, since the devices' boot.",
    ["tenant"],
)
_damaged = Gauge(
    "noctis_devices_damaged_epochs",
    "Epochs that rotted in flash, since the devices' boot.",
    ["tenant"],
)
_missing = Gauge(
    "noctis_devices_missing_epochs",
    "Epochs of 5 to 20 minutes ago that are missing between stored ones.",
    ["tenant"],
)
_database = Gauge("noctis_database_bytes", "Size of the database.")
_stale = Gauge("noctis_nights_stale", "Days of devices whose nights are to be found again.")
_erasures = Gauge("noctis_erasures_open", "Erasures that are not done.")
_operations = Gauge("noctis_operations_open", "Operations that are not finished.")
_oldest = Gauge("noctis_operations_oldest_seconds", "Age of the oldest one of them.")


class Standing:
    """Asks the database now and then; one companion of the platform does so, for all shards."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._due = 0.0
        self._tenants: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("standing", self._turn, pause_s=PAUSE_S)

    async def _turn(self) -> bool:
        if time.monotonic() < self._due:
            return False
        began = time.monotonic()
        tenants = await self._database.call(standing.of_tenants, within_s=DEADLINE_S)
        whole = await self._database.call(standing.of_platform, within_s=DEADLINE_S)
        now = time.monotonic()
        self._due = now + SHARE * (now - began)
        self._show(shown(tenants))
        _database.set(whole.database_bytes)
        _stale.set(whole.stale_days)
        _erasures.set(whole.erasures)
        _operations.set(whole.operations)
        _oldest.set(whole.oldest_operation_s)
        return False

    def _show(self, tenants: Sequence[TenantStanding]) -> None:
        for it in tenants:
            for state in _STATES:
                _devices.labels(it.name, state).set(getattr(it, state))
            _backlog.labels(it.name).set(it.backlog)
            _overwritten.labels(it.name).set(it.overwritten)
            _damaged.labels(it.name).set(it.damaged)
            _missing.labels(it.name).set(it.missing)
        names = frozenset(it.name for it in tenants)
        for gone in self._tenants - names:
            for state in _STATES:
                _devices.remove(gone, state)
            for gauge in (_backlog, _overwritten, _damaged, _missing):
                gauge.remove(gone)
        self._tenants = names


def shown(tenants: Sequence[TenantStanding]) -> list[TenantStanding]:
    """Return those of the tenants that are shown by name, and the sum of the others.

    However many tenants there are, MOST_TENANTS and one more are shown, and the sums are right.
    """
    ranked = sorted(tenants, key=_trouble, reverse=True)
    others = [astuple(it)[1:] for it in ranked[MOST_TENANTS:]]
    if not others:
        return ranked
    sums = [sum(column) for column in zip(*others, strict=True)]
    return [*ranked[:MOST_TENANTS], TenantStanding(OTHERS, *sums)]


def _trouble(tenant: TenantStanding) -> tuple[int, int]:
    lost = tenant.overwritten + tenant.damaged + tenant.missing
    return tenant.silent + tenant.lost + lost, sum(getattr(tenant, it) for it in _STATES)
