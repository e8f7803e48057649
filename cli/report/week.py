"""A week as its report shows it: seven evenings, each with its night or why there is none."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from cli.night_view import FOUND
from cli.nouns.documents import Document
from cli.nouns.nights import Nights, Query
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId

__all__ = ["DAYS", "Row", "WholeWeek", "week"]

DAYS: Final = 7
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """An evening with its night, hypnogram and all; without one, ``reason`` says why."""

    evening: date
    night: Document | None
    reason: str = ""

    @property
    def begin_min(self) -> float:
        """When its night began: minutes since the evening's noon, by the clock on the wall."""
        return self._minutes("started_at")

    @property
    def length_min(self) -> float:
        """How long its night was, whatever the clocks did."""
        night = self.night or {}
        begin, end = (datetime.fromisoformat(night[it]) for it in ("started_at", "ended_at"))
        return (end - begin) / timedelta(minutes=1)

    @property
    def turned(self) -> bool:
        """Whether the clocks were changed in its night."""
        if self.night is None:
            return False
        ends = self._minutes("ended_at") - self._minutes("started_at")
        return round(ends - self.length_min) != 0

    def _minutes(self, name: str) -> float:
        night = self.night or {}
        at = datetime.fromisoformat(night[name]).astimezone(ZoneInfo(night["time_zone"]))
        noon = datetime(self.evening.year, self.evening.month, self.evening.day, 12)  # noqa: DTZ001 - on the wall
        return (at.replace(tzinfo=None) - noon) / timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class WholeWeek:
    """A device's week: its rows from Monday on, and the spread of its figures."""

    device: str
    monday: date
    told: Document
    """The one week of the trends, as ``Nights.trends`` tells it."""
    time_zone: str
    rows: list[Row]


def week(nights: Nights, who: DeviceId, day: date, now: datetime) -> WholeWeek:
    """Return the week that a day is in, Monday to Sunday, up to last night.

    Raise ConfigurationError where no evening of it is over.
    """
    monday = day - timedelta(days=day.weekday())
    end = monday + timedelta(days=DAYS)
    found = nights.trends(who, 1, end)
    today = now.astimezone(ZoneInfo(found["time_zone"])).date()
    if today <= monday:
        message = f"no night of the week of {monday} is over"
        raise ConfigurationError(message, hint="--week with a date of an earlier week")
    if today < end:
        end = today
        found = nights.trends(who, 1, end)
    query = Query(monday, end, _MOST, FOUND)
    listed = nights.list_of(who.tenant, who.device, query)
    evenings = [monday + timedelta(days=it) for it in range(DAYS)]
    rows = [
        _row(nights, who, it, listed) if it < end else Row(it, None, "not yet")
        for it in evenings
    ]
    return WholeWeek(str(who), monday, found["weeks"][0], found["time_zone"], rows)


def _row(nights: Nights, who: DeviceId, evening: date, listed: list[Document]) -> Row:
    """Return an evening's longest night that counts, as noctis.trends chooses it."""
    here = [it for it in listed if it["evening"] == str(evening)]
    counted = [it for it in here if it["state"] == "closed" and not it["excluded"]]
    if counted:
        longest = max(counted, key=lambda it: float(it["figures"]["tib_min"]))
        return Row(evening, nights.get(who.tenant, UUID(longest["id"])))
    if any(it["state"] == "open" for it in here):
        return Row(evening, None, "still open")
    return Row(evening, None, "excluded" if here else "no night")
