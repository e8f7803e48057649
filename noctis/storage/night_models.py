"""The tables of nights: recordings, and the notes on which of them must be found again.

``metadata`` describes all tables once this module is imported.
"""

from dataclasses import fields
from typing import Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from noctis.figures import Figures
from noctis.storage.models import metadata
from noctis.vitals import Vitals

__all__ = ["FIGURES", "metadata", "moved_runs", "night_news", "recordings", "stale_nights"]

FIGURES: Final = tuple(field.name for field in fields(Figures))


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


recordings: Final = Table(
    "recordings",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("tenant_id", ForeignKey("tenants.id"), nullable=False),
    Column("device_id", ForeignKey("devices.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("evening", Date, nullable=False, comment="local; days go from noon to noon"),
    Column("time_zone", Text, nullable=False),
    _time("started_at"),
    _time("ended_at"),
    Column("model_id", ForeignKey("models.id"), nullable=True),
    *(Column(name, Integer, nullable=False) for name in ("epochs", "missing", "unstaged")),
    Column("moved", Integer, nullable=False, comment="epochs timed by another clock"),
    *(Column(name, Integer if name == "awakenings" else REAL) for name in FIGURES),
    Column("hypnogram", LargeBinary, nullable=False),
    Column("replaced_by", ForeignKey("recordings.id"), nullable=True),
    _time("closes_at", nullable=True),
    _time("created_at", now=True),
    _time("revised_at", now=True),
    Column("note", Text, nullable=True, comment="a person's own words"),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("excluded", Boolean, nullable=False, server_default=text("false")),
    Column("edits", Integer, nullable=False, server_default="0"),
    _time("deleted_at", nullable=True),
    Column("staged_by", Text, nullable=False, server_default="live"),
    Column("kind", Text, nullable=False, server_default="found"),
    *(Column(it.name, Float(53), nullable=True) for it in fields(Vitals)),
    Column("declared_by", Text, nullable=True, comment="of all but what was found"),
    CheckConstraint("kind IN ('found', 'night', 'nap', 'study')", name="kind"),
    CheckConstraint("(kind = 'found') = (declared_by IS NULL)", name="declared"),
    CheckConstraint("state IN ('open', 'closed', 'withdrawn')", name="state"),
    CheckConstraint("staged_by IN ('live', 'night')", name="staged_by"),
    Index(
        "ix_recordings_begin",
        "device_id",
        "started_at",
        "kind",
        unique=True,
        postgresql_where=text("state <> 'withdrawn'"),
    ),
    Index("ix_recordings_open", "closes_at", postgresql_where=text("state = 'open'")),
    Index(
        "ix_recordings_tenant",
        "tenant_id",
        "started_at",
        "id",
        postgresql_where=text("state <> 'withdrawn' AND deleted_at IS NULL"),
    ),
)

stale_nights: Final = Table(
    "stale_nights",
    metadata,
    Column("device_id", Integer, nullable=False),
    Column("day", Date, nullable=False),
    _time("since"),
    _time("until"),
    Column("changes", BigInteger, nullable=False, server_default="1"),
    PrimaryKeyConstraint("device_id", "day"),
)

moved_runs: Final = Table(
    "moved_runs",
    metadata,
    Column("device_id", Integer, nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("run_seq", BigInteger, nullable=False),
    _time("moved_at"),
    Column("is_seen", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("device_id", "stream", "run_seq"),
)

night_news: Final = Table(
    "night_news",
    metadata,
    Column(
        "device_id",
        ForeignKey("devices.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("changes", BigInteger, nullable=False, server_default="1"),
    Column("told", BigInteger, nullable=False, server_default="0"),
    Column("recording_id", Uuid, nullable=True, comment="that apps were told of last"),
    Column("revision", Integer, nullable=True),
    Index("ix_night_news_due", "device_id", postgresql_where=text("changes > told")),
)
