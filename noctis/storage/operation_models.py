"""The table of operations: what callers ordered and what takes long."""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["operations"]


def _time(name: str, *, nullable: bool = True) -> Column[object]:
    default = None if nullable else func.now()
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _owner(name: str, table: str, *, nullable: bool = True) -> Column[int]:
    return Column(name, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=nullable)


operations: Final = Table(
    "operations",
    metadata,
    Column("number", Integer, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False, server_default=func.gen_random_uuid(), unique=True),
    _owner("tenant_id", "tenants"),
    _owner("device_id", "devices"),
    _owner("replay_id", "replays"),
    Column("kind", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("total", Integer, nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("result", JSONB, nullable=True),
    Column("error", Text, nullable=True),
    _time("created_at", nullable=False),
    _time("started_at"),
    _time("cancelled_at"),
    _time("finished_at"),
    CheckConstraint("kind IN ('replay', 'evaluation', 'experiment', 'stress')", name="kind"),
    CheckConstraint("(tenant_id IS NULL) = (kind = 'stress')", name="owner"),
    Index("ix_operations_tenant", "tenant_id", "number"),
    Index(
        "ix_operations_open",
        "number",
        postgresql_where=text("finished_at IS NULL AND cancelled_at IS NULL"),
    ),
)
