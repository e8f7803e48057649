"""The model in use, for callers: a few at once, out of the event loop's way, not for long."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread

from api.problems import ProblemError
from inference.context import Rows
from inference.explanation import Explanation, explain
from inference.model import Model
from inference.serving import Serving
from inference.stage import Judged, judge
from inference.trails import Trails
from noctis.errors import ModelError

__all__ = ["Desk"]

T = TypeVar("T")

AT_ONCE: Final = 2
MAX_WAITING: Final = 16
SECONDS: Final = 20.0
_PORTION: Final = 32  # sessions, well under a second: so long goes on what nobody waits for


class Desk:
    """Asks the model. Raises ProblemError 503 without one, 429 when too many wait already."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._threads = anyio.CapacityLimiter(AT_ONCE)
        self._asking = 0

    async def judge(self, sessions: Sequence[Rows | None]) -> tuple[Model, list[Judged]]:
        """Return what one model says of sessions, as the worker asks it, and which one.

        Raises TimeoutError when it takes too long.
        """
        return await self._ask(lambda model: _judge(model, sessions))

    async def explain(self, session: Rows) -> tuple[Model, Explanation]:
        """Return why the model says what it says of a session; TimeoutError as above."""
        return await self._ask(lambda model: explain(model, session))

    async def _ask(self, question: Callable[[Model], T]) -> tuple[Model, T]:
        if self._asking >= AT_ONCE + MAX_WAITING:
            detail = "too many ask for predictions at this moment"
            raise ProblemError(429, detail, kind="busy", headers={"Retry-After": "2"})
        self._asking += 1
        try:
            with anyio.fail_after(SECONDS):
                return await anyio.to_thread.run_sync(
                    self._answer, question, abandon_on_cancel=True, limiter=self._threads
                )
        finally:
            self._asking -= 1

    def _answer(self, question: Callable[[Model], T]) -> tuple[Model, T]:
        try:
            model = self._serving.model
        except ModelError as error:
            detail = "there is no model to ask; the log says more"
            headers = {"Retry-After": "5"}
            raise ProblemError(503, detail, kind="no-model", headers=headers) from error
        return model, question(model)


def _judge(model: Model, sessions: Sequence[Rows | None]) -> list[Judged]:
    judged: list[Judged] = []
    trails = Trails(most=1)
    for begin in range(0, len(sessions), _PORTION):
        anyio.from_thread.check_cancelled()
        judged += judge(model, sessions[begin : begin + _PORTION], trails)
    return judged
