"""What devices say that they are set to, and lines of theirs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    owner = sa.ForeignKey("devices.id", ondelete="CASCADE")
    op.create_table(
        "config_reports",
        sa.Column(
            "device_id",
            sa.Integer,
            sa.ForeignKey("devices.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column(
            "reported_at",
            TIMESTAMP(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
        ),
    )
    op.create_table(
        "device_logs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("device_id", sa.Integer, owner, nullable=False),
        sa.Column("boot", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("logged_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("device_id", "boot", "number"),
        sa.CheckConstraint("level IN ('error', 'warning', 'info', 'debug')", name="level"),
    )
    op.create_index("ix_device_logs_device_id", "device_logs", ["device_id", "id"])


def downgrade() -> None:
    """Drop both: devices report again when they come, and have forgotten their lines."""
    op.drop_table("device_logs")
    op.drop_table("config_reports")
