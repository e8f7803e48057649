"""Running processes, as they tell of themselves, and the faults that operators order of them.

An order names the processes that run when it is given, ends within the hour, and is given only
where each of these processes allows it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, any_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis import fault_rules
from noctis.audit import Author
from noctis.errors import StorageError
from noctis.storage import audit
from noctis.storage.errors import NotFoundError
from noctis.storage.steering_models import fault_orders, processes

__all__ = [
    "FRESH_S",
    "LONGEST_S",
    "Answer",
    "BreakerState",
    "FaultState",
    "FaultsForbiddenError",
    "Given",
    "Order",
    "Process",
    "Seen",
    "beat",
    "leave",
    "list_orders",
    "list_processes",
    "order",
    "withdraw",
]

FRESH_S: Final = 15.0
"""A process that was not heard of for longer is taken for gone, or cannot reach us."""
LONGEST_S: Final = 3600.0
_KEPT: Final = timedelta(days=1)


class FaultsForbiddenError(StorageError):
    """A process that an order addresses does not allow faults."""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker: ``closed``, ``half_open`` or ``open``; ``since``: it is or is not closed."""

    name: str
    state: str
    since: float


@dataclass(frozen=True, slots=True)
class FaultState:
    """A rule in use: of which order, None: the process was started with it; how it went."""

    order: str | None
    rule: str
    point: str
    seconds_left: float | None
    passages: int
    happened: int


@dataclass(frozen=True, slots=True)
class Process:
    """What a process tells of itself; ``clock_s``: seconds since 1970 by its clock."""

    id: UUID
    service: str
    host: str
    pid: int
    version: str
    allows_faults: bool
    clock_s: float
    refusal: str | None
    breakers: Sequence[BreakerState]
    faults: Sequence[FaultState]


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do, and for how long still."""

    id: UUID
    rules: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process learns when it tells of itself."""

    orders: list[Order]
    clock_skew_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as it was last heard of, ``silent_s`` ago."""

    id: UUID
    service: str
    host: str
    pid: int
    version: str
    allows_faults: bool
    clock_skew_s: float
    refusal: str | None
    breakers: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    started_at: datetime
    seen_at: datetime
    silent_s: float

    @property
    def is_here(self) -> bool:
        """Whether it was heard of lately."""
        return self.silent_s <= FRESH_S


@dataclass(frozen=True, slots=True)
class Given:
    """An order as it was given."""

    id: UUID
    rules: str
    services: list[str]
    processes: list[UUID]
    ordered_by: str
    ordered_at: datetime
    until: datetime
    withdrawn_at: datetime | None


def beat(connection: Connection, told: Process) -> Answer:
    """Keep what a process tells, and return what it is to do."""
    now = func.clock_timestamp()
    values = {
        **{name: getattr(told, name) for name in ("service", "host", "pid", "version")},
        "allows_faults": told.allows_faults,
        "clock_skew_s": told.clock_s - func.extract("epoch", now),
        "refusal": told.refusal,
        "breakers": [asdict(it) for it in told.breakers],
        "faults": [asdict(it) for it in told.faults],
        "seen_at": now,
    }
    skew: float = connection.execute(
        insert(processes)
        .values(id=told.id, **values)
        .on_conflict_do_update(index_elements=[processes.c.id], set_=values)
        .returning(processes.c.clock_skew_s)
    ).scalar_one()
    left = func.extract("epoch", fault_orders.c.until - now)
    rows = connection.execute(
        select(fault_orders.c.id, fault_orders.c.rules, left).where(
            _is_open(), any_(fault_orders.c.processes) == told.id
        )
    )
    return Answer([Order(key, rules, float(seconds)) for key, rules, seconds in rows], skew)


def leave(connection: Connection, process: UUID) -> None:
    """Forget a process that ends, and what nobody asks about any more."""
    long_ago = func.now() - _KEPT
    gone = or_(processes.c.id == process, processes.c.seen_at < long_ago)
    connection.execute(delete(processes).where(gone))
    connection.execute(delete(fault_orders).where(fault_orders.c.until < long_ago))


def list_processes(connection: Connection) -> list[Seen]:
    """Return the processes that were heard of within a day, by service."""
    silent = func.extract("epoch", func.clock_timestamp() - processes.c.seen_at)
    rows = connection.execute(
        select(*processes.c, silent.label("silent_s"))
        .where(processes.c.seen_at > func.now() - _KEPT)
        .order_by(processes.c.service, processes.c.host, processes.c.pid)
    )
    return [Seen(**{**row._mapping, "silent_s": float(row.silent_s)}) for row in rows]  # noqa: SLF001


def order(
    connection: Connection,
    rules: str,
    services: Sequence[str],
    seconds: float,
    *,
    author: Author,
) -> Given:
    """Order faults of all processes of some services, for so many seconds; it is audited.

    Raise ConfigurationError for rules that make no sense, NotFoundError where a service has no
    process that is heard of, and FaultsForbiddenError unless all of them allow it.
    """
    fault_rules.parse(rules)
    if not 0 < seconds <= LONGEST_S:
        message = f"faults cannot be ordered for {seconds:.0f} s"
        raise StorageError(message, hint=f"an hour, {LONGEST_S:.0f} s, is the longest")
    meant = [it for it in list_processes(connection) if it.is_here and it.service in services]
    missing = sorted(set(services) - {it.service for it in meant})
    if missing or not meant:
        message = f"no process of {', '.join(missing) or 'any service'} is heard of"
        raise NotFoundError(message, hint="the list of processes shows those that are there")
    forbidding = [f"{it.service} {it.host}/{it.pid}" for it in meant if not it.allows_faults]
    if forbidding:
        message = f"faults are not allowed in {', '.join(forbidding)}"
        raise FaultsForbiddenError(
            message, hint="only where it runs with NOCTIS_FAULTS=allowed"
        )
    row = connection.execute(
        insert(fault_orders)
        .values(
            rules=rules,
            services=sorted(set(services)),
            processes=[it.id for it in meant],
            ordered_by=author.subject,
            until=func.now() + timedelta(seconds=seconds),
        )
        .returning(fault_orders)
    ).one()
    audit.record_as(
        connection,
        author,
        "faults_ordered",
        target=",".join(sorted(set(services))),
        order=str(row.id),
        rules=rules,
        seconds=round(seconds),
    )
    return _given(row)


def withdraw(
    connection: Connection, number: UUID | None = None, *, author: Author
) -> list[Given]:
    """Withdraw an order, or all that are open, and return them; it is audited.

    Raise NotFoundError where the one that is named is not open.
    """
    mine: ColumnElement[bool] = _is_open()
    if number is not None:
        mine &= fault_orders.c.id == number
    rows = connection.execute(
        update(fault_orders).where(mine).values(withdrawn_at=func.now()).returning(fault_orders)
    ).all()
    if number is not None and not rows:
        message = f"there is no open order {number}"
        raise NotFoundError(message, hint="it has ended, or was withdrawn")
    for row in rows:
        audit.record_as(connection, author, "faults_withdrawn", order=str(row.id))
    return [_given(row) for row in rows]


def list_orders(connection: Connection) -> list[Given]:
    """Return the orders that are open, the newest first."""
    query = select(fault_orders).where(_is_open()).order_by(fault_orders.c.ordered_at.desc())
    return [_given(row) for row in connection.execute(query)]


def _is_open() -> ColumnElement[bool]:
    return fault_orders.c.withdrawn_at.is_(None) & (
        fault_orders.c.until > func.clock_timestamp()
    )


def _given(row: Row[Any]) -> Given:
    return Given(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it
