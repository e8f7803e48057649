"""The tables, as SQLAlchemy Core metadata; ``migrations`` makes them.

A stream's 64 bits are stored as a signed bigint. ``epochs`` is a hypertable where TimescaleDB
is present, so its key must contain the time. ``epochs``, ``epochs_untimed`` and
``predictions`` have no foreign keys: the insert looks the device up in the same transaction,
devices are revoked rather than deleted, and a check per row would halve the insert rate.
``epochs_hourly`` is not here: it is a view on one edition (see ``rollup_schema``).
"""

from typing import Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from noctis.features import NAMES

__all__ = [
    "accounts",
    "dead_letters",
    "devices",
    "epochs",
    "epochs_untimed",
    "erasures",
    "jobs",
    "metadata",
    "models",
    "outbox",
    "predictions",
    "rollup_notes",
    "runs",
    "settled",
    "streams",
    "tenants",
]

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _key() -> Column[int]:
    return Column("id", Integer, Identity(always=True), primary_key=True)


def _codes() -> list[Column[int]]:
    return [Column(name, SmallInteger, nullable=False) for name in NAMES]


tenants: Final = Table(
    "tenants",
    metadata,
    _key(),
    Column("name", Text, nullable=False, unique=True),
    _time("created_at", now=True),
    Column("retention_days", Integer, nullable=True),
    Column("synthetic", Boolean, nullable=False, server_default=false()),
    CheckConstraint("name ~ '^[a-z0-9-]{1,32}$' AND name !~ '^svc-'", name="name"),
    CheckConstraint("retention_days > 0", name="retention_days"),
)

devices: Final = Table(
    "devices",
    metadata,
    _key(),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    _time("created_at", now=True),
    _time("revoked_at", nullable=True),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("name ~ '^[a-z0-9-]{1,32}$'", name="name"),
)

accounts: Final = Table(
    "accounts",
    metadata,
    _key(),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=True, index=True),
    Column("username", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    _time("created_at", now=True),
    _time("revoked_at", nullable=True),
    Column("role", Text, nullable=True),
    CheckConstraint("role IS NULL OR kind = 'app'", name="role"),
    CheckConstraint("kind IN ('device', 'app', 'service')", name="kind"),
    CheckConstraint("(kind = 'service') = (tenant_id IS NULL)", name="tenant"),
)

streams: Final = Table(
    "streams",
    metadata,
    Column("stream", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=True),
    Column("device_id", ForeignKey("devices.id"), nullable=True, index=True),
    _time("first_seen"),
    _time("closed_at", nullable=True),
    CheckConstraint("closed_at IS NOT NULL OR device_id > 0", name="owner"),
)

_RUN: Final = ("device_id", "stream", "run_seq")

runs: Final = Table(
    "runs",
    metadata,
    Column("device_id", ForeignKey("devices.id"), nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("run_seq", BigInteger, nullable=False),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("voids", SmallInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("tick_s", Integer, nullable=False),
    Column("utc_s", BigInteger, nullable=False, comment="as the device sent it; 0: unknown"),
    _time("utc", nullable=True),
    Column("shift", Interval, nullable=False, server_default=text("'0'::interval")),
    _time("received_at"),
    PrimaryKeyConstraint(*_RUN),
    Index(None, "device_id", "stream", "boot", "run_seq"),
    Index("ix_runs_shifted", *_RUN, postgresql_where=text("shift <> '0'::interval")),
    Index("ix_runs_untimed", *_RUN, postgresql_where=text("utc IS NULL")),
)

epochs: Final = Table(
    "epochs",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("device_id", Integer, nullable=False),
    _time("epoch_start"),
    Column("stream", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("run_seq", BigInteger, nullable=False),
    Column("in_bed", Boolean, nullable=False),
    *_codes(),
    _time("received_at"),
    PrimaryKeyConstraint("device_id", "epoch_start", "stream", "seq"),
)

epochs_untimed: Final = Table(
    "epochs_untimed",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("run_seq", BigInteger, nullable=False),
    Column("in_bed", Boolean, nullable=False),
    *_codes(),
    _time("received_at"),
    PrimaryKeyConstraint("device_id", "stream", "seq"),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("device_id", Integer, nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("run_seq", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    _time("created_at", now=True),
)

rollup_notes: Final = Table(
    "rollup_notes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("device_id", Integer, nullable=False),
    _time("since"),
    _time("until"),
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    _time("until", nullable=True),
    _time("started_at", nullable=True),
    _time("finished_at", nullable=True),
    Column("error", Text, nullable=True),
)

models: Final = Table(
    "models",
    metadata,
    _key(),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    UniqueConstraint("name", "version"),
)

settled: Final = Table(
    "settled",
    metadata,
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("shard", SmallInteger, nullable=False),
    _time("until"),
    PrimaryKeyConstraint("model_id", "shard"),
)

predictions: Final = Table(
    "predictions",
    metadata,
    Column("tenant_id", Integer, nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("model_id", Integer, nullable=False),
    _time("epoch_start", nullable=True),
    Column("stage", SmallInteger, nullable=True),
    Column("p_wake", REAL, nullable=True),
    Column("p_light", REAL, nullable=True),
    Column("p_deep", REAL, nullable=True),
    Column("p_rem", REAL, nullable=True),
    _time("created_at", now=True),
    Column(
        "origin",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="0 served, 1 shadow, 2 replay",
    ),
    PrimaryKeyConstraint("device_id", "stream", "seq", "model_id"),
    CheckConstraint("stage BETWEEN 0 AND 3", name="stage"),
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("count", BigInteger, nullable=False, server_default="1"),
    _time("first_seen", now=True),
    _time("last_seen", now=True),
    UniqueConstraint("tenant", "device", "sha256"),
)

erasures: Final = Table(
    "erasures",
    metadata,
    _key(),
    Column("kind", Text, nullable=False),
    Column("tenant_id", Integer, nullable=False),
    Column("device_id", Integer, nullable=True),
    Column("keep_device", Boolean, nullable=False),
    Column("requested_by", Text, nullable=False),
    _time("requested_at", now=True),
    Column("subject", Text, nullable=True, comment="its names; gone when it is done"),
    _time("erased_at", nullable=True),
    _time("done_at", nullable=True),
    Column("counts", JSONB, nullable=False, server_default="{}"),
    CheckConstraint("kind IN ('device', 'tenant')", name="kind"),
    CheckConstraint("(kind = 'device') = (device_id IS NOT NULL)", name="device"),
    CheckConstraint("done_at IS NULL OR subject IS NULL", name="subject"),
)
