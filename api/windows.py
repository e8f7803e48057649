"""The span of a device's time that a request asks for, and its pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from pydantic import AwareDatetime, Field, TypeAdapter

from api.moments import FIRST, LAST
from api.moments import Moment as Instant
from api.names import DeviceName
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import invalid
from noctis.storage import epochs

__all__ = ["Moment", "Window", "window"]

DAY: Final = timedelta(days=1)
AHEAD: Final = timedelta(days=2)  # no stored epoch starts later than that after now

Moment = Annotated[Instant | None, Query(ge=FIRST, le=LAST, examples=["2026-03-01T22:14:30Z"])]
_IN_TIME: Final = TypeAdapter(
    tuple[
        AwareDatetime,
        AwareDatetime,
        AwareDatetime,
        Annotated[str, Field(pattern="^[0-9a-f]{16}$")],
        Annotated[int, Field(ge=0, lt=1 << 32)],
    ]
)


@dataclass(frozen=True, slots=True)
class Window:
    """The span of time that a request asks for, and where in it the page begins."""

    since: datetime
    until: datetime
    after: epochs.Cursor | None
    query: tuple[object, ...]
    size: int

    def next_token(self, page: Sequence[epochs.Epoch]) -> str | None:
        """Return the token of the page behind ``page``, None when that was the last one."""
        if len(page) < self.size:
            return None
        start, stream, seq = page[-1].cursor
        moments = [moment.isoformat() for moment in (self.since, self.until, start)]
        return next_token([*moments, f"{stream:016x}", seq], *self.query)


async def window(
    device: DeviceName,
    since: Moment = None,
    until: Moment = None,
    *,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> Window:
    """Return what a request's parameters say; without ``since``, the 24 hours before the end.

    The first page settles the span, so that it does not move while somebody turns pages.
    """
    query = (device, since, until)
    size = min(page_size, MAX_PAGE_SIZE)
    if page_token:
        first, last, start, stream, seq = position_of(page_token, _IN_TIME, *query)
        return Window(first, last, (start, int(stream, 16), seq), query, size)
    last = until or datetime.now(UTC) + AHEAD
    first = since or (until or datetime.now(UTC)) - DAY
    if first >= last:
        raise invalid(("query", "since"), "since is not before until")
    return Window(first, last, None, query, size)
