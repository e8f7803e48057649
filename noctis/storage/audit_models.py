"""The tables of the audit: a chain that only grows, and what its entries tell of people.

``audit`` is the chain: numbers, times, actions and hashes, no names. ``audit_details`` holds
who did it to what and from where; an entry of the chain commits to its details with a salted
hash, so an erasure can take the details and leave a chain that can still be verified. Triggers
of the migration make the hashes and refuse whatever is no appending.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["audit", "audit_details"]

audit: Final = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", TIMESTAMP(timezone=True), nullable=False),
    Column("details", BigInteger, nullable=False, comment="of audit_details; may be erased"),
    Column("tenant_key", Integer, comment="of tenants; null: the platform's"),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("ix_audit_at", "at"),
)

audit_details: Final = Table(
    "audit_details",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_key", Integer, ForeignKey("tenants.id")),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False, server_default="done"),
    Column("actor", Text, nullable=False),
    Column("target", Text, nullable=False, server_default=""),
    Column("address", Text, nullable=False, server_default=""),
    Column("facts", Text, nullable=False, server_default="{}"),
    Column(
        "salt",
        LargeBinary,
        nullable=False,
        server_default=text("uuid_send(gen_random_uuid())"),
    ),
    Index("ix_audit_details_tenant_key", "tenant_key"),
)
