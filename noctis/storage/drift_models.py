"""The tables of drift: what nights looked like, reports of that, what people made of them."""

from typing import Final

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["drift_acknowledgements", "drift_reports", "night_histograms"]


def _time(name: str) -> Column[object]:
    return Column(name, TIMESTAMP(timezone=True), nullable=False, server_default=func.now())


night_histograms: Final = Table(
    "night_histograms",
    metadata,
    Column(
        "recording_id", Uuid, ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("device_id", Integer, nullable=False),
    Column("revision", Integer, nullable=False, comment="of the recording that was read"),
    Column("counts", LargeBinary, nullable=False),
    Column("confidence", REAL, nullable=True),
    _time("made_at"),
    Column("model_id", Integer, nullable=True, comment="that told the last live stage"),
    Column("stages", LargeBinary, nullable=True, comment="how many it told of each"),
    Index("ix_night_histograms_device_id", "device_id"),
)

drift_reports: Final = Table(
    "drift_reports",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column(
        "device_id",
        ForeignKey("devices.id", ondelete="CASCADE"),
        nullable=True,
        comment="null: of all of the tenant's",
    ),
    Column("model", Text, nullable=False),
    Column("day", Date, nullable=False, comment="where the window ends"),
    Column("verdict", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    _time("made_at"),
    UniqueConstraint(
        "tenant_id",
        "device_id",
        "day",
        name="uq_drift_reports_subject",
        postgresql_nulls_not_distinct=True,
    ),
    CheckConstraint("verdict IN ('stable', 'drift', 'unknown')", name="verdict"),
)

drift_acknowledgements: Final = Table(
    "drift_acknowledgements",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column(
        "device_id",
        ForeignKey("devices.id", ondelete="CASCADE"),
        nullable=True,
        comment="null: of all of the tenant's",
    ),
    Column("model", Text, nullable=False),
    Column("findings", JSONB, nullable=False),
    Column("acknowledged_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _time("acknowledged_at"),
    Index("ix_drift_acknowledgements_tenant_id", "tenant_id", "device_id"),
    CheckConstraint("acknowledged_by <> '' AND reason <> ''", name="said"),
)
