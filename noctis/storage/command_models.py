"""The tables of the platform's talk with its devices: what is told them, what they report."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

from noctis.storage.models import metadata

__all__ = ["commands", "config_reports", "device_configs", "device_logs", "device_reports"]


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


commands: Final = Table(
    "commands",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
    Column("body", JSONB, nullable=False),
    _time("created_at", now=True),
    _time("sent_at", nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("answered_at", nullable=True),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("detail", JSONB, nullable=True),
    Index("ix_commands_device_id", "device_id", "number"),
    Index(
        "ix_commands_pending",
        "device_id",
        "number",
        postgresql_where=text("state = 'pending'"),
    ),
    CheckConstraint("state IN ('pending', 'done', 'refused', 'expired')", name="state"),
)

device_reports: Final = Table(
    "device_reports",
    metadata,
    Column(
        "device_id",
        ForeignKey("devices.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("body", JSONB, nullable=False),
    _time("reported_at", now=True),
)

device_configs: Final = Table(
    "device_configs",
    metadata,
    Column(
        "device_id",
        ForeignKey("devices.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("version", BigInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    _time("changed_at", now=True),
    Column("told_version", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("version BETWEEN 1 AND 4294967295", name="version"),
    Index(
        "ix_device_configs_untold",
        "device_id",
        postgresql_where=text("told_version < version"),
    ),
)

config_reports: Final = Table(
    "config_reports",
    metadata,
    Column(
        "device_id",
        ForeignKey("devices.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("version", BigInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    _time("reported_at", now=True),
)

device_logs: Final = Table(
    "device_logs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    _time("logged_at"),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("times", BigInteger, nullable=False),
    UniqueConstraint("device_id", "boot", "number"),
    Index("ix_device_logs_device_id", "device_id", "id"),
    CheckConstraint("level IN ('error', 'warning', 'info', 'debug')", name="level"),
)
