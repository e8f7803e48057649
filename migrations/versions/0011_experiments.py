"""Experiments: versions that run beside the champion."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    tenant = sa.ForeignKey("tenants.id", ondelete="CASCADE")
    time = TIMESTAMP(timezone=True)
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("tenant_id", sa.Integer, tenant, nullable=True),
        sa.Column("started_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("stopped_at", time, nullable=True),
        sa.Column("refusal", sa.Text, comment="why a worker does not run the version"),
        sa.CheckConstraint("kind IN ('shadow', 'canary', 'ab')", name="kind"),
    )


def downgrade() -> None:
    """Drop it; the champion serves everybody."""
    op.drop_table("experiments")
