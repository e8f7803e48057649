"""Requests to the facade while devices sleep: at a rate that waits for no answer."""

import asyncio
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import httpx

from bench.facade_requests import Asking
from bench.http_load import Figures, Make, opened
from bench.latency import TENANT

__all__ = ["ADMIN", "Requests", "token_of"]

ADMIN: Final = f"load@{TENANT}"
READS: Final = ("devices", "device", "epochs", "predictions")
QUESTION: Final = "the last epoch of 8 h sent"
CONNECTIONS: Final = 8
_random: Final = random.Random(1)  # noqa: S311 - which route is asked


def token_of(url: str, login: str, secret: str) -> str:
    """Return an access token of an app."""
    form = {"grant_type": "client_credentials", "client_id": login, "client_secret": secret}
    with httpx.Client(base_url=url, timeout=20) as client:
        answer = client.post("/v1/auth/token", data=form).raise_for_status()
        return str(answer.json()["access_token"])


class Requests:
    """Reads and predictions for so many seconds, in a thread of their own."""

    def __init__(
        self,
        port: int,
        token: str,
        beds: int,
        *,
        reads: float,
        questions: float,
        seconds: float,
    ) -> None:
        names = [f"bed-{number:04d}" for number in range(1, beds + 1)]
        begin = datetime.now(UTC) - timedelta(hours=1)
        asking = Asking(token, names, begin, 1, [])
        routes = [asking.routes()[name] for name in READS]
        self.reads: Figures | None = None
        self.questions: Figures | None = None
        self._port, self._seconds = port, seconds
        self._read = partial(_any, routes)
        self._ask = asking.questions()[QUESTION]
        self._rates = reads, questions
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until all is answered, or given up."""
        self._thread.join()

    @property
    def failures(self) -> int | None:
        """How many requests were not answered with 200; None: nobody knows."""
        if self.reads is None or self.questions is None:
            return None
        counts = (self.reads.statuses, self.questions.statuses)
        return sum(n for told in counts for status, n in told.items() if status != "200")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            reads = group.create_task(self._opened(self._read, self._rates[0]))
            questions = group.create_task(self._opened(self._ask, self._rates[1]))
        self.reads, self.questions = reads.result(), questions.result()

    async def _opened(self, make: Callable[[], bytes], rate: float) -> Figures | None:
        try:
            return await opened(
                self._port, make, rate=rate, connections=CONNECTIONS, seconds=self._seconds
            )
        except (OSError, TimeoutError, EOFError):
            return None


def _any(routes: list[Make]) -> bytes:
    return _random.choice(routes)()
