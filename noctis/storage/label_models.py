"""The table of reference stages: what people or their instruments say of an epoch."""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["reference_stages"]

reference_stages: Final = Table(
    "reference_stages",
    metadata,
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
    Column("source", Text, nullable=False),
    Column("start", TIMESTAMP(timezone=True), nullable=False),
    Column("stage", SmallInteger, nullable=False),
    Column("imported_by", Text, nullable=False),
    Column("imported_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("device_id", "source", "start"),
    CheckConstraint("source ~ '^[a-z0-9-]{1,32}$'", name="source"),
    CheckConstraint("stage BETWEEN 0 AND 3", name="stage"),
)
