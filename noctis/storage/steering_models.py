"""The tables of running processes, and of faults that operators order of them."""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["fault_orders", "processes"]


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


processes: Final = Table(
    "processes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("service", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("allows_faults", Boolean, nullable=False),
    Column("clock_skew_s", Float, nullable=False),
    Column("refusal", Text, comment="why it does not do what was ordered"),
    Column("breakers", JSONB, nullable=False),
    Column("faults", JSONB, nullable=False),
    _time("started_at", now=True),
    _time("seen_at", now=True),
)

fault_orders: Final = Table(
    "fault_orders",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("rules", Text, nullable=False),
    Column("services", ARRAY(Text), nullable=False),
    Column("processes", ARRAY(Uuid), nullable=False, comment="that ran when it was given"),
    Column("ordered_by", Text, nullable=False),
    _time("ordered_at", now=True),
    _time("until"),
    _time("withdrawn_at", nullable=True),
    CheckConstraint("until <= ordered_at + interval '1 hour'", name="end"),
    Index("ix_fault_orders_until", "until"),
)
