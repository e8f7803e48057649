"""The table of experiments: a version that runs beside the champion for a while."""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Integer,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["experiments"]

experiments: Final = Table(
    "experiments",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("share", Double, nullable=False),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=True),
    Column("started_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    Column("stopped_at", TIMESTAMP(timezone=True), nullable=True),
    Column("refusal", Text, nullable=True, comment="why a worker does not run the version"),
    CheckConstraint("kind IN ('shadow', 'canary', 'ab')", name="kind"),
)
