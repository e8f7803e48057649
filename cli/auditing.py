"""What the command line did, for the audit: in its transaction, or right after it."""

from pathlib import Path

from cli.local import opened, operator
from cli.output import progress
from noctis.audit import Author, audit
from noctis.errors import NoctisError
from noctis.storage import audit as entries
from noctis.storage.audit import Fact
from noctis.storage.engine import Connection

__all__ = ["noted", "record"]

SECONDS = 5.0


def record(
    tenant: str, connection: Connection, action: str, target: str = "", **facts: Fact
) -> None:
    """Write down what is done in this transaction; an empty ``tenant``: for the platform."""
    entries.record_as(connection, Author(operator(), tenant), action, target, **facts)


def noted(var: Path, action: str, target: str = "", **facts: Fact) -> None:
    """Write down what was done to files; where the database is away, in the log alone."""
    try:
        with opened(var, seconds=SECONDS) as connection:
            record("", connection, action, target, **facts)
    except NoctisError as error:
        audit(action, by=operator(), tenant="", target=target, **facts)
        audit("audit_missed", by=operator(), action=action, error=error.message)
        progress(f"the audit lacks this, its database is away: {error.message}")
