"""What each night looked like, and the reports on drift that are made of that."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _made_at() -> sa.Column[object]:
    return sa.Column(
        "made_at", TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()
    )


def upgrade() -> None:
    """Make both tables; the companion fills them from what is stored."""
    op.create_table(
        "night_histograms",
        sa.Column(
            "recording_id",
            sa.Uuid,
            sa.ForeignKey("recordings.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("device_id", sa.Integer, nullable=False),
        sa.Column(
            "revision", sa.Integer, nullable=False, comment="of the recording that was read"
        ),
        sa.Column("counts", sa.LargeBinary, nullable=False),
        sa.Column("confidence", sa.REAL, nullable=True),
        _made_at(),
    )
    op.create_index("ix_night_histograms_device_id", "night_histograms", ["device_id"])
    op.create_table(
        "drift_reports",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "tenant_id",
            sa.Integer,
            sa.ForeignKey("tenants.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "device_id",
            sa.Integer,
            sa.ForeignKey("devices.id", ondelete="CASCADE"),
            nullable=True,
            comment="null: of all of the tenant's",
        ),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False, comment="where the window ends"),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        _made_at(),
        sa.UniqueConstraint(
            "tenant_id",
            "device_id",
            "day",
            name="uq_drift_reports_subject",
            postgresql_nulls_not_distinct=True,
        ),
        sa.CheckConstraint("verdict IN ('stable', 'drift', 'unknown')", name="verdict"),
    )


def downgrade() -> None:
    """Drop both; what they hold can be made again from the epochs."""
    op.drop_table("drift_reports")
    op.drop_table("night_histograms")
