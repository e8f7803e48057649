"""A facade that is asked one thing after another."""

import time
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID

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

__all__ = ["Noctis"]

T = TypeVar("T")
ANSWER_S: Final = 30.0


class Noctis:
    """A facade, asked as a user or an app (``name@tenant``); leave it to close connections.

    ``ca``: a file with the certificate to trust, else those of the system. ``seconds``: how
    long an answer may take, and how long a try may be put off. Every method raises
    SignInError, ForbiddenError, NotFoundError, InvalidError, RateLimitedError or
    UnavailableError, all of them ClientError. Threads may share it.
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
        self._http = httpx.Client(
            **options(url, user=user, app=app, password=password, ca=ca, seconds=seconds)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def devices(self) -> Iterator[Device]:
        """Yield all devices of the tenant, by name."""
        return self._each(questions.devices())

    def nights(
        self,
        device: str | None = None,
        *,
        since: date | None = None,
        until: date | None = None,
    ) -> Iterator[Night]:
        """Yield nights with since <= evening < until, the newest first, page by page."""
        return self._each(questions.nights(device, since, until))

    def night(self, key: UUID | str) -> StagedNight:
        """Return a night with its stages."""
        return self._done(questions.night(key))

    def epochs(
        self, device: str, since: datetime | None = None, until: datetime | None = None
    ) -> NDArray[Any]:
        """Return epochs with since <= start < until, without both the last 24 hours'.

        Shape (n,) of ``noctis.client.epochs.EPOCH``. Raises ValueError for a moment without a
        time zone.
        """
        return joined(self._each(questions.epochs(device, since, until)))

    def trends(self, device: str, *, weeks: int = 8, until: date | None = None) -> Trends:
        """Return the middle and the spread of each figure, week by week."""
        return self._done(questions.trends(device, weeks, until))

    def alerts(
        self, device: str | None = None, *, state: Literal["open", "cleared"] | None = None
    ) -> Iterator[Alert]:
        """Yield alerts, the newest first."""
        return self._each(questions.alerts(device, state))

    def acknowledge(self, alert: int) -> Alert:
        """Say that an alert was seen; who says it first counts."""
        return self._done(questions.acknowledge(alert))

    def stages(
        self, device: str | None = None, *, since: datetime | None = None
    ) -> Iterator[LiveStage]:
        """Yield each live stage as it is told, for ever; what is missed meanwhile comes later.

        It begins with the newest of each device, or behind ``since``, 12 hours ago at most.
        While the facade is away it is tried again; only what another try would not change is
        raised.
        """
        feed = Feed(device, since)
        while True:
            outcome: httpx.Response | httpx.TransportError | None = None
            try:
                with self._http.stream(
                    "GET",
                    live.PATH,
                    params=feed.params,
                    headers=feed.headers(),
                    timeout=httpx.Timeout(live.QUIET_S, connect=CONNECT_S),
                ) as response:
                    if response.is_success:
                        for line in response.iter_lines():
                            stage = feed.take(line)
                            if stage is not None:
                                yield stage
                    else:
                        response.read()
                        outcome = response
            except httpx.TransportError as error:
                outcome = error
            time.sleep(feed.pause(outcome))

    def _each(self, listing: Listing[T]) -> Iterator[T]:
        token = ""
        while True:
            page = self._asked(listing.page(token))
            yield from listing.entries(page)
            token = page["next_page_token"] or ""
            if not token:
                return

    def _done(self, plan: Plan[T]) -> T:
        ask = next(plan)
        while True:
            try:
                ask = plan.send(self._asked(ask))
            except StopIteration as end:
                found: T = end.value
                return found

    def _asked(self, ask: Ask) -> Document:
        tries = Tries(self._url, within_s=self._seconds)
        while True:
            try:
                response = self._http.request(ask.method, ask.path, params=ask.params)
            except httpx.TransportError as error:
                pause = tries.pause(error)
            else:
                pause = tries.pause(response)
                if pause is None:
                    return tries.document(response)
            time.sleep(pause or 0.0)
