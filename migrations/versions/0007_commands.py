"""Commands to devices, and what devices last said of themselves."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PENDING = "state = 'pending'"


def upgrade() -> None:
    """Make both tables."""
    now = sa.func.now()
    owner = sa.ForeignKey("devices.id", ondelete="CASCADE")
    op.create_table(
        "commands",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("device_id", sa.Integer, owner, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=now),
        sa.Column("sent_at", TIMESTAMP(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("answered_at", TIMESTAMP(timezone=True), nullable=True),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("detail", JSONB, nullable=True),
        sa.CheckConstraint("state IN ('pending', 'done', 'refused', 'expired')", name="state"),
    )
    op.create_index("ix_commands_device_id", "commands", ["device_id", "number"])
    op.create_index(
        "ix_commands_pending",
        "commands",
        ["device_id", "number"],
        postgresql_where=sa.text(PENDING),
    )
    op.create_table(
        "device_reports",
        sa.Column(
            "device_id",
            sa.Integer,
            sa.ForeignKey("devices.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("reported_at", TIMESTAMP(timezone=True), nullable=False, server_default=now),
    )


def downgrade() -> None:
    """Drop both; devices answer commands that nobody remembers, which is passed over."""
    op.drop_table("device_reports")
    op.drop_table("commands")
