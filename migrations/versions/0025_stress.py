"""Tenants that are made up for a load, and operations of the platform's own."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

KINDS = ("replay", "evaluation", "experiment")


def upgrade() -> None:
    """Mark such tenants; let an operation belong to nobody, which is what a load does."""
    op.add_column(
        "tenants",
        sa.Column("synthetic", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.alter_column("operations", "tenant_id", nullable=True)
    op.drop_constraint("kind", "operations", type_="check")
    op.create_check_constraint("kind", "operations", _among(*KINDS, "stress"))
    op.create_check_constraint("owner", "operations", "(tenant_id IS NULL) = (kind = 'stress')")


def downgrade() -> None:
    """Forget what loads have shown; the rows of such tenants stay, as any tenant's."""
    op.execute("DELETE FROM operations WHERE kind = 'stress'")
    op.drop_constraint("owner", "operations", type_="check")
    op.drop_constraint("kind", "operations", type_="check")
    op.create_check_constraint("kind", "operations", _among(*KINDS))
    op.alter_column("operations", "tenant_id", nullable=False)
    op.drop_column("tenants", "synthetic")


def _among(*kinds: str) -> str:
    return f"kind IN ({', '.join(repr(it) for it in kinds)})"
