"""psycopg's connections as we use them: each wait ends in time, and a statement has a prelude.

A frozen server (SIGSTOP, a stalled disk) answers neither queries nor cancellations, and
statement_timeout, keepalives and tcp_user_timeout all stay silent. So the deadline is ours:
every wait of psycopg ends at the deadline of whoever works, and the connection is closed then,
since nobody knows what it would still say.
"""

from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from errno import ENOSPC
from select import POLLIN, poll
from time import monotonic
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import IsolationLevel
from psycopg.abc import Params, PQGen, QueryNoTemplate
from typing_extensions import override

from noctis import faults

__all__ = [
    "NO_ANSWER",
    "DeadlineError",
    "DriverConnection",
    "DriverCursor",
    "Prelude",
    "deadline",
    "prelude",
    "seconds_left",
]

T = TypeVar("T")

OUTSIDE_SECONDS: Final = 60.0  # of one wait where nobody has set a deadline
SILENT_S: Final = 10.0
NO_ANSWER: Final = "the server did not answer in time"

deadline: Final = ContextVar[float | None]("noctis_storage_deadline", default=None)
"""When the work of this thread has to end, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Prelude:
    """A statement, in psycopg's style, that goes to the server before each other one."""

    statement: str
    values: dict[str, str]


prelude: Final = ContextVar[Prelude | None]("noctis_storage_prelude", default=None)
"""What precedes each statement of this thread. No connection remembers it."""


def seconds_left() -> float:
    """Return how long this thread may still wait."""
    end = deadline.get()
    return OUTSIDE_SECONDS if end is None else end - monotonic()


class DeadlineError(psycopg.OperationalError):
    """The server did not answer before the deadline."""


class DriverConnection(psycopg.Connection[Any]):
    """A connection that is closed, and raises, when the deadline passes while it waits."""

    _heard_at = 0.0

    @property
    def is_doubtful(self) -> bool:
        """Whether its server may have gone: silent for long, or with something to say unasked.

        A server that ends says so, or its kernel does; both can be read at once.
        """
        if self.pgconn.status or monotonic() - self._heard_at > SILENT_S:
            return True
        waiting = poll()
        waiting.register(self.pgconn.socket, POLLIN)
        return bool(waiting.poll(0))

    def note_answer(self) -> None:
        """Note that the server has just said something."""
        self._heard_at = monotonic()

    def ping(self) -> None:
        """Ask the server for a sign of life; raises psycopg.OperationalError without one."""
        with self.pipeline():
            pass  # at its end server and client agree that nothing is to be done

    @override
    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        self._pass("database.execute")
        left = seconds_left()
        own = left if timeout is None else min(timeout, left)
        try:
            found = super().wait(gen, interval=interval, timeout=max(0.0, own))
        except psycopg.OperationalError as error:
            if seconds_left() > 0.0:
                raise
            self.pgconn.finish()
            with suppress(psycopg.Error, RuntimeError):
                gen.close()  # it may want to say goodbye
            raise DeadlineError(NO_ANSWER) from error
        self.note_answer()
        return found

    @override
    def commit(self) -> None:
        self._pass("database.commit")
        super().commit()
        self._pass("database.committed")

    @override
    def set_autocommit(self, value: bool) -> None:
        """As psycopg's, which tells the server nothing: no wait, no fault.

        The pool does it last when it takes a connection back, and loses one that raises there.
        """
        with self.lock:
            super().wait(self._set_autocommit_gen(value))

    @override
    def set_isolation_level(self, value: IsolationLevel | None) -> None:
        """As ``set_autocommit``."""
        with self.lock:
            super().wait(self._set_isolation_level_gen(value))

    def _pass(self, name: faults.Name) -> None:
        """Pass a fault point; an error there is a connection that breaks, or a full disk."""
        try:
            faults.point(name)
        except faults.InjectedError as error:
            if error.errno == ENOSPC:
                raise psycopg.errors.DiskFull(str(error)) from error
            self.pgconn.finish()
            raise psycopg.OperationalError(str(error)) from error


class DriverCursor(psycopg.Cursor[Any]):
    """A cursor that sends the prelude, where there is one, and a statement in one go.

    Outside of a transaction block the two are one transaction, which ends with the answer: so
    what a prelude sets for its transaction holds for this statement alone.
    """

    @override
    def execute(  # type: ignore[override]  # without psycopg's overload for templates
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        before = prelude.get()
        if before is None:
            return super().execute(query, params, prepare=prepare, binary=binary)
        with self.connection.pipeline():
            first = psycopg.Cursor(self.connection)
            first.execute(before.statement, before.values, prepare=True)
            super().execute(query, params, prepare=prepare, binary=binary)
        return self
