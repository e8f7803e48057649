"""Nights: recordings with their figures, and the notes on those that must be found again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage import marks

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MINUTES = (
    "tib_min",
    "out_of_bed_min",
    "unscored_min",
    "tst_min",
    "wake_min",
    "light_min",
    "deep_min",
    "rem_min",
    "spt_min",
    "sol_min",
    "waso_min",
    "rem_latency_min",
)
# What is stored already makes nights too.
MARK_ALL = """
INSERT INTO stale_nights (device_id, day, since, until)
SELECT device_id, CAST(epoch_start AT TIME ZONE 'UTC' AS date), min(epoch_start),
       max(epoch_start)
  FROM predictions WHERE epoch_start IS NOT NULL GROUP BY 1, 2
"""
MARK_MOVED = """
INSERT INTO moved_runs (device_id, stream, run_seq, moved_at)
SELECT device_id, stream, run_seq, now() FROM runs r
 WHERE shift <> '0'::interval
    OR (utc IS NOT NULL AND EXISTS (
         SELECT FROM runs n WHERE n.device_id = r.device_id AND n.stream = r.stream
            AND n.boot = r.boot AND n.utc IS NULL))
"""


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _integer(name: str, *, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, comment=comment)


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.func.gen_random_uuid()),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("device_id", sa.Integer, sa.ForeignKey("devices.id"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column(
            "evening", sa.Date, nullable=False, comment="local; days go from noon to noon"
        ),
        sa.Column("time_zone", sa.Text, nullable=False),
        _time("started_at"),
        _time("ended_at"),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=True),
        *(_integer(name) for name in ("epochs", "missing", "unstaged")),
        _integer("moved", comment="epochs timed by another clock"),
        *(sa.Column(name, sa.REAL, nullable=True) for name in MINUTES),
        sa.Column("awakenings", sa.Integer, nullable=True),
        sa.Column("hypnogram", sa.LargeBinary, nullable=False),
        sa.Column("replaced_by", sa.Uuid, sa.ForeignKey("recordings.id"), nullable=True),
        _time("closes_at", nullable=True),
        _time("created_at", now=True),
        _time("revised_at", now=True),
        sa.CheckConstraint("state IN ('open', 'closed', 'withdrawn')", name="state"),
    )
    op.create_index(
        "ix_recordings_begin",
        "recordings",
        ["device_id", "started_at"],
        unique=True,
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
    op.create_index(
        "ix_recordings_open",
        "recordings",
        ["closes_at"],
        postgresql_where=sa.text("state = 'open'"),
    )


def _notes() -> None:
    op.create_table(
        "stale_nights",
        _integer("device_id"),
        sa.Column("day", sa.Date, nullable=False),
        _time("since"),
        _time("until"),
        sa.Column("changes", sa.BigInteger, nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("device_id", "day"),
    )
    op.create_table(
        "moved_runs",
        _integer("device_id"),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("run_seq", sa.BigInteger, nullable=False),
        _time("moved_at"),
        sa.Column("is_seen", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("device_id", "stream", "run_seq"),
    )
    op.create_index(
        "ix_runs_untimed",
        "runs",
        ["device_id", "stream", "run_seq"],
        postgresql_where=sa.text("utc IS NULL"),
    )


def upgrade() -> None:
    """Make the tables and the trigger, and note all that is stored."""
    _recordings()
    _notes()
    for statement in (*marks.CREATE_TRIGGER, MARK_ALL, MARK_MOVED):
        op.execute(statement)


def downgrade() -> None:
    """Drop what was made; epochs and stages stay, so an upgrade finds the nights again."""
    for statement in marks.DROP_TRIGGER:
        op.execute(statement)
    op.drop_index("ix_runs_untimed", table_name="runs")
    for table in ("moved_runs", "stale_nights", "recordings"):
        op.drop_table(table)
