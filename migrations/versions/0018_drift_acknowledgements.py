"""What people made of drift that was told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE = "drift_acknowledgements"


def upgrade() -> None:
    """Make a table of who acknowledged what, and why."""
    op.create_table(
        TABLE,
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
        sa.Column("findings", JSONB, nullable=False),
        sa.Column("acknowledged_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column(
            "acknowledged_at",
            TIMESTAMP(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
        ),
        sa.CheckConstraint("acknowledged_by <> '' AND reason <> ''", name="said"),
    )
    op.create_index("ix_drift_acknowledgements_tenant_id", TABLE, ["tenant_id", "device_id"])


def downgrade() -> None:
    """Drop it: what was acknowledged is told again."""
    op.drop_table(TABLE)
