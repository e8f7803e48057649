"""Reference stages: what a polysomnography or a diary says of a device's epochs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    owner = sa.ForeignKey("devices.id", ondelete="CASCADE")
    time = TIMESTAMP(timezone=True)
    op.create_table(
        "reference_stages",
        sa.Column("device_id", sa.Integer, owner, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("start", time, nullable=False),
        sa.Column("stage", sa.SmallInteger, nullable=False),
        sa.Column("imported_by", sa.Text, nullable=False),
        sa.Column("imported_at", time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("device_id", "source", "start"),
        sa.CheckConstraint("source ~ '^[a-z0-9-]{1,32}$'", name="source"),
        sa.CheckConstraint("stage BETWEEN 0 AND 3", name="stage"),
    )


def downgrade() -> None:
    """Drop it: the labels are gone, their files are not."""
    op.drop_table("reference_stages")
