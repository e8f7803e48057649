"""The tables of users: who they are, how long they stay signed in, whose tokens are void.

And how much a tenant may ask for.
"""

from typing import Final

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["quotas", "refresh_families", "users", "void_tokens"]


def _time(name: str) -> Column[object]:
    return Column(name, TIMESTAMP(timezone=True), nullable=False, server_default=func.now())


def _tenant() -> Column[int]:
    return Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


users: Final = Table(
    "users",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    _tenant(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    _time("created_at"),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("name ~ '^[a-z0-9-]{1,32}$'", name="name"),
    CheckConstraint("role IN ('viewer', 'member', 'admin', 'platform')", name="role"),
)

refresh_families: Final = Table(
    "refresh_families",
    metadata,
    Column("id", Uuid, primary_key=True),
    _tenant(),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="of the secret that is good now"),
    Column("previous", LargeBinary, nullable=True, comment="of the one before"),
    _time("began_at"),
    _time("turned_at"),
)

void_tokens: Final = Table(
    "void_tokens",
    metadata,
    # No foreign key: a token may outlive its tenant for a quarter of an hour.
    Column("tenant_id", Integer, nullable=False),
    Column("subject", LargeBinary, nullable=False, comment="a digest: names may be erased"),
    _time("since"),
    PrimaryKeyConstraint("subject"),
)

quotas: Final = Table(
    "quotas",
    metadata,
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("requests_per_second", REAL, nullable=True),
    Column("burst", Integer, nullable=True),
    Column("epochs_per_minute", Integer, nullable=True),
    Column("devices", Integer, nullable=True),
    CheckConstraint("requests_per_second > 0", name="requests_per_second"),
    CheckConstraint("burst > 0", name="burst"),
    CheckConstraint("epochs_per_minute > 0", name="epochs_per_minute"),
    CheckConstraint("devices >= 0", name="devices"),
)
