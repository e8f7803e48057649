"""The database: whether it is there, is ours, and has room to breathe."""

from collections.abc import Iterator
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Server, Site
from noctis.errors import ConfigurationError, StorageUnavailableError
from noctis.storage import migrate
from noctis.storage.health import Server as State

__all__ = ["look"]

_topic: Final = Topic("database")
SLOW_S: Final = 0.5
FULL: Final = 0.8
"""Of its connections."""

KEPT_BYTES: Final = 1 << 30


def look(site: Site) -> Iterator[Finding]:
    """Ask the server itself, in one transaction."""
    if site.is_at_rest:
        return
    answer = site.server()
    if answer.state is None:
        yield _away(site, answer)
        return
    state = answer.state
    extension = f", TimescaleDB {state.timescaledb}" if state.timescaledb else ""
    told = f"PostgreSQL {state.version}{extension}, {state.size >> 20} MiB, answers"
    if answer.seconds > SLOW_S:
        yield _topic.warning(
            "slow",
            f"{told} after {answer.seconds:.1f} s",
            means="every batch and every request waits so long",
            cure="look at the load and the disk of its machine, and at running backups",
        )
    else:
        yield _topic.ok("answers", f"{told} after {1000 * answer.seconds:.0f} ms")
    yield _schema(state)
    yield from _writable(state)
    yield _connections(state)
    yield from _holding(state)
    yield from _slots(state)


def _away(site: Site, answer: Server) -> Finding:
    error = answer.error
    seen = error.message if error is not None else "no answer"
    if isinstance(error, ConfigurationError):
        return _topic.fault(
            "no-address", seen, means="no service can store anything", cure=error.hint
        )
    if isinstance(error, StorageUnavailableError) and "authentication" not in seen:
        start = "it is started again by noctis up" if site.run else "docker compose up -d"
        return _topic.fault(
            "unreachable",
            seen,
            means="nothing is stored; devices keep their epochs, live stages go on",
            cure=f"is it running? {start}; else see the end of its log: disk full, memory",
        )
    return _topic.fault(
        "refuses",
        seen,
        means="it is there and lets nobody in as NOCTIS_DATABASE_URL says",
        cure="set the user and the password of NOCTIS_DATABASE_URL right",
    )


def _schema(state: State) -> Finding:
    newest = migrate.head()
    if state.revision == newest:
        return _topic.ok("schema", f"its schema is the newest, {newest}")
    if state.revision is None:
        return _topic.fault(
            "no-schema",
            "it has no tables of Noctis",
            means="it is a new database, or another one than was meant",
            cure="noctis migrate",
        )
    return _topic.fault(
        "other-schema",
        f"its schema is {state.revision}, this Noctis is made for {newest}",
        means="services and database are of different versions; statements fail",
        cure="noctis migrate, or start the newer version everywhere",
    )


def _writable(state: State) -> Iterator[Finding]:
    if state.is_read_only:
        yield _topic.fault(
            "read-only",
            "it takes no writes: a replica, or default_transaction_read_only is on",
            means="nothing is stored; reading goes on",
            cure="promote it (pg_ctl promote), or name the primary in NOCTIS_DATABASE_URL",
        )


def _connections(state: State) -> Finding:
    told = f"{state.connections} of {state.most_connections} connections are in use"
    if state.connections < FULL * state.most_connections:
        return _topic.ok("connections", told)
    return _topic.warning(
        "connections",
        told,
        means="services that come next are refused: too many clients",
        cure="end what does not belong there, or raise max_connections and restart it",
    )


def _holding(state: State) -> Iterator[Finding]:
    for it in state.holding:
        told = f"{it.application or 'somebody'} (pid {it.pid}) holds one open ({it.state})"
        seen = f"{told} for {it.seconds:.0f} s"
        cure = f"let it finish, or end it: SELECT pg_terminate_backend({it.pid})"
        if it.waiting:
            yield _topic.fault(
                "blocked",
                f"{seen}; {it.waiting} others wait for its locks",
                means="what they would store is late, and calls end at their deadline",
                cure=cure,
                of=it.application,
            )
        elif "noctis" not in it.application:
            yield _topic.warning(
                "long-transaction",
                seen,
                means="dead rows cannot be removed while it is open; tables grow",
                cure=cure,
                of=it.application,
            )


def _slots(state: State) -> Iterator[Finding]:
    for slot in state.slots:
        if not slot.is_active and slot.kept > KEPT_BYTES:
            yield _topic.warning(
                "slot",
                f"nobody reads the slot {slot.name}; it keeps {slot.kept >> 20} MiB of log",
                means="the log grows until the disk is full, and the database ends",
                cure=f"start its replica, or SELECT pg_drop_replication_slot('{slot.name}')",
                of=slot.name,
            )
