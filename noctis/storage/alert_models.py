"""The tables of alerts: rules, what is watched, alerts, and what is to be told of them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["alert_events", "alert_rules", "alert_watches", "alerts"]

_RULE: Final = "rule IN ('no_breathing', 'silent', 'missing_epochs', 'drift')"


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _tenant() -> Column[int]:
    return Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def _device() -> Column[int]:
    return Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), nullable=False)


alert_rules: Final = Table(
    "alert_rules",
    metadata,
    _tenant(),
    Column("rule", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("threshold", Integer, nullable=False),
    Column("raise_after", Integer, nullable=False),
    Column("clear_after", Integer, nullable=False),
    Column("cooldown_s", Integer, nullable=False),
    _time("changed_at", now=True),
    PrimaryKeyConstraint("tenant_id", "rule"),
    CheckConstraint(_RULE, name="rule"),
    CheckConstraint(
        "threshold > 0 AND raise_after > 0 AND clear_after > 0 AND cooldown_s >= 0",
        name="numbers",
    ),
)

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _tenant(),
    _device(),
    Column("rule", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    _time("raised_at"),
    _time("cleared_at", nullable=True),
    _time("acknowledged_at", nullable=True),
    Column("acknowledged_by", Text, nullable=True),
    Index("ix_alerts_tenant_id", "tenant_id", "id"),
    Index("ix_alerts_device_id", "device_id"),
    Index(
        "uq_alerts_open",
        "device_id",
        "rule",
        unique=True,
        postgresql_where=text("cleared_at IS NULL"),
    ),
    CheckConstraint(_RULE, name="rule"),
    CheckConstraint(
        "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"
    ),
)

alert_watches: Final = Table(
    "alert_watches",
    metadata,
    _device(),
    Column("rule", Text, nullable=False),
    Column("streak", Integer, nullable=False),
    _time("cleared_at", nullable=True),
    PrimaryKeyConstraint("device_id", "rule"),
    CheckConstraint(_RULE, name="rule"),
)

alert_events: Final = Table(
    "alert_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _tenant(),
    _device(),
    Column("alert_id", ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    _time("at"),
    _time("told_at", nullable=True),
    Index("ix_alert_events_device_id", "device_id"),
    Index("ix_alert_events_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("uq_alert_events_alert_id", "alert_id", "state", unique=True),
    CheckConstraint(_RULE, name="rule"),
    CheckConstraint("state IN ('raised', 'cleared', 'acknowledged')", name="state"),
)
