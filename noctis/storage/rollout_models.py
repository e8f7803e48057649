"""The tables of firmware: images, rollouts, and how far each device is."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
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
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["firmware", "rollout_devices", "rollouts"]


def _time(name: str, *, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=not now, server_default=default)


firmware: Final = Table(
    "firmware",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("target", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("build", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    _time("added_at", now=True),
    Column("manifest", Text, nullable=True, comment="null: not signed yet"),
    Column("signature", Text, nullable=True),
    Column("key_id", Text, nullable=True),
    _time("signed_at"),
    _time("expires_at"),
)

rollouts: Final = Table(
    "rollouts",
    metadata,
    Column("number", Integer, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False, server_default=func.gen_random_uuid(), unique=True),
    Column("firmware_id", ForeignKey("firmware.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="running"),
    Column("reason", Text, nullable=True),
    Column("wave", Integer, nullable=False),
    Column("most_failures", Float, nullable=False, comment="share of the devices"),
    Column("patience_s", Integer, nullable=False),
    _time("created_at", now=True),
    _time("finished_at"),
    CheckConstraint(
        "state IN ('running', 'paused', 'stopped', 'aborted', 'done')", name="state"
    ),
)

rollout_devices: Final = Table(
    "rollout_devices",
    metadata,
    Column(
        "rollout_number", ForeignKey("rollouts.number", ondelete="CASCADE"), primary_key=True
    ),
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, nullable=False, comment="its turn in the rollout"),
    Column("version", Text, nullable=False, comment="that it is offered"),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("percent", Integer, nullable=True),
    Column("reason", Text, nullable=True),
    Column("running", Text, nullable=True, comment="the version that it last said it runs"),
    Column("owed", Boolean, nullable=False, server_default="false"),
    _time("offered_at"),
    _time("reported_at"),
    _time("told_at"),
    CheckConstraint(
        "state IN ('waiting', 'offered', 'downloading', 'verifying', 'installed', 'pending',"
        " 'valid', 'rolled_back', 'refused', 'silent', 'withdrawn')",
        name="state",
    ),
    Index("ix_rollout_devices_device_id", "device_id"),
    Index("ix_rollout_devices_owed", "device_id", postgresql_where=text("owed")),
)
