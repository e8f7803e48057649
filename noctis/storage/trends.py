"""A device's nights over weeks, read in three statements however many they are."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from noctis import regularity, trends
from noctis.regularity import Days
from noctis.storage import devices, recordings
from noctis.storage.recording_facts import figures_of
from noctis.storage.recordings import FOUND, Recording
from noctis.storage.rollup_schema import NAME
from noctis.trends import Evening, Trends, Week

__all__ = ["MOST_WEEKS", "of"]

MOST_WEEKS: Final = 53
_MOST_A_DAY: Final = 12
_HALF: Final = 60
"""Epochs of an hour in which the bed counts as watched."""

_WATCHED: Final = text(f"""
SELECT hour FROM {NAME}
 WHERE tenant_id = (SELECT id FROM tenants WHERE name = :tenant) AND device_id = :device
   AND hour >= :since AND hour < :until AND epochs >= :least
""")  # noqa: S608 - a constant of the schema


def of(
    tenant: str,
    connection: Connection,
    device: str,
    *,
    weeks: int,
    until: date | None,
    now: datetime,
) -> Trends:
    """Return so many weeks of a device's closed nights with evening < ``until``.

    ``until`` None: up to last night. Nights that a person excluded do not count. Raise
    NotFoundError when the tenant has no such device.
    """
    owner = devices.get(tenant, connection, device)
    zone = ZoneInfo(owner.time_zone)
    until = until or now.astimezone(zone).date()
    since = trends.begin_of(until, weeks)
    found = [
        it
        for it in recordings.list_of(
            tenant,
            connection,
            device,
            since=since,
            until=until,
            excluded=False,
            kind=FOUND,
            limit=_MOST_A_DAY * (until - since).days,
        )
        if it.night.state == "closed"
    ]
    days = Days(since, (until - since).days, zone)
    values = {
        "tenant": tenant,
        "device": owner.id,
        "since": _noon(since, zone),
        "until": _noon(until, zone),
        "least": _HALF,
    }
    days.watched(connection.scalars(_WATCHED, values).all())
    for it in found:
        days.night(it.night.started_at, it.night.codes)
    told = trends.weeks([_evening(it) for it in found], since, until)
    return Trends(
        time_zone=owner.time_zone,
        since=since,
        until=until,
        nights=sum(it.nights for it in told),
        missing=sum(it.missing for it in told),
        regularity=regularity.index(days.states),
        weeks=[_regular(it, since, days) for it in told],
    )


def _regular(week: Week, since: date, days: Days) -> Week:
    first = (week.monday - since).days
    states = days.states[first : first + week.evenings]
    return replace(week, regularity=regularity.index(states))


def _evening(found: Recording) -> Evening:
    night = found.night
    noon = datetime.combine(night.evening, time(12))
    zone = ZoneInfo(night.time_zone)
    begin, end = (
        (at.astimezone(zone).replace(tzinfo=None) - noon) / timedelta(minutes=1)
        for at in (night.started_at, night.ended_at)
    )
    return Evening(night.evening, {**figures_of(found), "bedtime_min": begin, "rise_min": end})


def _noon(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(12), zone).astimezone(UTC)
