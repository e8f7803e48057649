"""The tables of replays: what was asked for, and the parts that it is done in."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Integer,
    PrimaryKeyConstraint,
    Table,
    func,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["replay_parts", "replays"]


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


replays: Final = Table(
    "replays",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("tenant_id", ForeignKey("tenants.id", ondelete="CASCADE"), nullable=True),
    Column("device_id", ForeignKey("devices.id", ondelete="CASCADE"), nullable=True),
    _time("since"),
    _time("until"),
    _time("created_at", now=True),
    _time("cancelled_at", nullable=True),
    _time("done_at", nullable=True),
)

replay_parts: Final = Table(
    "replay_parts",
    metadata,
    Column("replay_id", ForeignKey("replays.id", ondelete="CASCADE"), nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    _time("since", nullable=True),
    _time("until", nullable=True),
    Column("epochs", Integer, nullable=False),
    Column("stored", Integer, nullable=True, comment="null: not done yet"),
    PrimaryKeyConstraint("replay_id", "device_id", "stream", "first_seq"),
)
