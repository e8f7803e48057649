"""A facade that many tasks ask at once."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID

import anyio
import httpx
from numpy.typing import NDArray

from noctis.client import live, questions
from noctis.client.alerts import Alert
from noctis.client.devices import Device
from noctis.client.epochs import joined
from noctis.client.live import Feed, LiveStage
from noctis.client.nights import Night, StagedNight
from noctis.client.opening import CONNECT_S, options
from noctis.client.questions import Ask, Document, Listing, Plan
from noctis.client.trends import Trends
from noctis.client.tries import Tries

__all__ = ["AsyncNoctis"]

T = TypeVar("T")
ANSWER_S: Final = 30.0


class AsyncNoctis:
    """A facade, asked as a user or an app (``name@tenant``); leave it to close connections.

    ``ca``: a file with the certificate to trust, else those of the system. ``seconds``: how
    long an answer may take, and how long a try may be put off. Every method raises
    SignInError, ForbiddenError, NotFoundError, InvalidError, RateLimitedError or
    UnavailableError, all of them ClientError. Tasks may share it, and it is
    used from one event loop.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        app: str = "",
        password: str,
        ca: str = "",
        seconds: float = ANSWER_S,
    ) -> None:
        self._url = url
        self._seconds = seconds
        self._http = httpx.AsyncClient(
            **options(url, user=user, app=app, password=password, ca=ca, seconds=seconds)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def devices(self) -> AsyncIterator[Device]:
        """Yield all devices of the tenant, by name."""
        return self._each(questions.devices())

    def nights(
        self,
        device: str | None = None,
        *,
        since: date | None = None,
        until: date | None = None,
    ) -> AsyncIterator[Night]:
        """Yield nights with since <= evening < until, the newest first, page by page."""
        return self._each(questions.nights(device, since, until))

    async def night(self, key: UUID | str) -> StagedNight:
        """Return a night with its stages."""
        return await self._done(questions.night(key))

    async def epochs(
        self, device: str, since: datetime | None = None, until: datetime | None = None
    ) -> NDArray[Any]:
        """Return epochs with since <= start < until, without both the last 24 hours'.

        Shape (n,) of ``noctis.client.epochs.EPOCH``. Raises ValueError for a moment without a
        time zone.
        """
        pages = self._each(questions.epochs(device, since, until))
        return joined([page async for page in pages])

    async def trends(self, device: str, *, weeks: int = 8, until: date | None = None) -> Trends:
        """Return the middle and the spread of each figure, week by week."""
        return await self._done(questions.trends(device, weeks, until))

    def alerts(
        self, device: str | None = None, *, state: Literal["open", "cleared"] | None = None
    ) -> AsyncIterator[Alert]:
        """Yield alerts, the newest first."""
        return self._each(questions.alerts(device, state))

    async def acknowledge(self, alert: int) -> Alert:
        """Say that an alert was seen; who says it first counts."""
        return await self._done(questions.acknowledge(alert))

    async def stages(
        self, device: str | None = None, *, since: datetime | None = None
    ) -> AsyncIterator[LiveStage]:
        """Yield each live stage as it is told, for ever; what is missed meanwhile comes later.

        It begins with the newest of each device, or behind ``since``, 12 hours ago at most.
        While the facade is away it is tried again; only what another try would not change is
        raised.
        """
        feed = Feed(device, since)
        while True:
            outcome: httpx.Response | httpx.TransportError | None = None
            try:
                async with self._http.stream(
                    "GET",
                    live.PATH,
                    params=feed.params,
                    headers=feed.headers(),
                    timeout=httpx.Timeout(live.QUIET_S, connect=CONNECT_S),
                ) as response:
                    if response.is_success:
                        async for line in response.aiter_lines():
                            stage = feed.take(line)
                            if stage is not None:
                                yield stage
                    else:
                        await response.aread()
                        outcome = response
            except httpx.TransportError as error:
                outcome = error
            await anyio.sleep(feed.pause(outcome))

    async def _each(self, listing: Listing[T]) -> AsyncIterator[T]:
        token = ""
        while True:
            page = await self._asked(listing.page(token))
            for entry in listing.entries(page):
                yield entry
            token = page["next_page_token"] or ""
            if not token:
                return

    async def _done(self, plan: Plan[T]) -> T:
        ask = next(plan)
        while True:
            try:
                ask = plan.send(await self._asked(ask))
            except StopIteration as end:
                found: T = end.value
                return found

    async def _asked(self, ask: Ask) -> Document:
        tries = Tries(self._url, within_s=self._seconds)
        while True:
            try:
                response = await self._http.request(ask.method, ask.path, params=ask.params)
            except httpx.TransportError as error:
                pause = tries.pause(error)
            else:
                pause = tries.pause(response)
                if pause is None:
                    return tries.document(response)
            await anyio.sleep(pause or 0.0)
