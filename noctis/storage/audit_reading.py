"""The audit as people read it: entries, and how often what was done."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from noctis.storage.audit_models import audit, audit_details
from noctis.storage.models import tenants

__all__ = ["Count", "Entry", "Filter", "Period", "counts", "page"]

Period = Literal["day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are asked for; what is None or empty excludes nothing."""

    tenant: str = ""
    actor: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as people read it.

    ``tenant`` is None for the platform's entries and those of an erased tenant, whose
    ``tenant_key`` is left; ``actor``, ``target``, ``address`` and ``facts`` are None where an
    erasure took them.
    """

    number: int
    at: datetime
    tenant: str | None
    tenant_key: int | None
    action: str
    outcome: str
    actor: str | None
    target: str | None
    address: str | None
    facts: dict[str, Any] | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was done in a period that begins ``since``."""

    since: datetime
    action: str
    outcome: str
    entries: int


def page(
    connection: Connection, wanted: Filter, *, before: int | None = None, limit: int = 100
) -> list[Entry]:
    """Return entries, the newest first, of numbers below ``before``."""
    query = _selected(wanted).order_by(audit.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.number < before)
    return [_entry(row) for row in connection.execute(query)]


def counts(connection: Connection, wanted: Filter, period: Period) -> list[Count]:
    """Return how often what was done in each day, week or month (UTC), in their order."""
    chosen = _selected(wanted).subquery()
    since = func.date_trunc(period, chosen.c.at).label("since")
    query = (
        select(since, chosen.c.action, chosen.c.outcome, func.count())
        .group_by(since, chosen.c.action, chosen.c.outcome)
        .order_by(since, chosen.c.action, chosen.c.outcome)
    )
    return [Count(*row) for row in connection.execute(query)]


def _selected(wanted: Filter) -> Select[Any]:
    query = (
        select(
            *(audit.c.number, audit.c.at, tenants.c.name, audit.c.tenant_key),
            *(audit.c.action, audit.c.outcome, audit_details.c.actor, audit_details.c.target),
            *(audit_details.c.address, audit_details.c.facts, audit.c.hash),
        )
        .join(audit_details, audit_details.c.id == audit.c.details, isouter=True)
        .join(tenants, tenants.c.id == audit.c.tenant_key, isouter=True)
    )
    conditions = [
        wanted.tenant and tenants.c.name == wanted.tenant,
        wanted.actor and audit_details.c.actor == wanted.actor,
        wanted.action and audit.c.action == wanted.action,
        wanted.since and audit.c.at >= wanted.since,
        wanted.until and audit.c.at < wanted.until,
    ]
    return query.where(*(it for it in conditions if isinstance(it, ColumnElement)))


def _entry(row: Row[Any]) -> Entry:
    facts = None if row.facts is None else json.loads(row.facts)
    return Entry(
        number=row.number,
        at=row.at,
        tenant=row.name,
        tenant_key=row.tenant_key,
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        target=row.target,
        address=row.address,
        facts=facts,
        hash=bytes(row.hash),
    )
