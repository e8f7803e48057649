"""What a caller did, for the audit: in its transaction, or right after it."""

from noctis.audit import Author
from noctis.audit import audit as tell
from noctis.errors import NoctisError
from noctis.identity import Principal
from noctis.storage import audit
from noctis.storage.audit import Fact
from noctis.storage.database import Connection, Database

__all__ = ["noted", "record"]

SECONDS = 5.0


def record(
    who: Principal, connection: Connection, action: str, target: str = "", **facts: Fact
) -> None:
    """Write down what a caller does in this transaction."""
    author = Author(who.subject, who.tenant)
    audit.record_as(connection, author, action, target, **facts)


async def noted(
    who: Principal, store: Database, action: str, target: str = "", **facts: Fact
) -> None:
    """Write down what a caller did to files; where the database is away, in the log alone."""
    try:
        await store.call(lambda it: record(who, it, action, target, **facts), within_s=SECONDS)
    except (NoctisError, TimeoutError) as error:
        tell(action, by=who.subject, tenant=who.tenant, target=target, **facts)
        tell("audit_missed", by=who.subject, tenant=who.tenant, action=action, error=str(error))
