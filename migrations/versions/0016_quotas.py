"""How much each tenant may ask for, where that is not what the platform says."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a tenant without a row has the platform's defaults."""
    op.create_table(
        "quotas",
        sa.Column(
            "tenant_id",
            sa.Integer,
            sa.ForeignKey("tenants.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("requests_per_second", sa.REAL),
        sa.Column("burst", sa.Integer),
        sa.Column("epochs_per_minute", sa.Integer),
        sa.Column("devices", sa.Integer),
        sa.CheckConstraint("requests_per_second > 0", name="requests_per_second"),
        sa.CheckConstraint("burst > 0", name="burst"),
        sa.CheckConstraint("epochs_per_minute > 0", name="epochs_per_minute"),
        sa.CheckConstraint("devices >= 0", name="devices"),
    )


def downgrade() -> None:
    """Let every tenant have the platform's defaults."""
    op.drop_table("quotas")
