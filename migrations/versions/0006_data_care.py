"""How long tenants' epochs stay, streams closed for good, and the record of erasures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from noctis.storage import timescale

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# What 0001 set; the companion's own job, which knows each tenant's days, replaces it.
POLICY = "400 days"


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    default = None if nullable else sa.func.now()
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    """Add the columns and the table; a closed stream need not belong to anybody."""
    op.add_column("tenants", sa.Column("retention_days", sa.Integer))
    op.create_check_constraint("retention_days", "tenants", "retention_days > 0")
    op.add_column("streams", _time("closed_at"))
    op.alter_column("streams", "tenant_id", nullable=True)
    op.alter_column("streams", "device_id", nullable=True)
    op.create_check_constraint("owner", "streams", "closed_at IS NOT NULL OR device_id > 0")
    op.create_table(
        "erasures",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tenant_id", sa.Integer, nullable=False),
        sa.Column("device_id", sa.Integer),
        sa.Column("keep_device", sa.Boolean, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        _time("requested_at", nullable=False),
        sa.Column("subject", sa.Text, comment="its names; gone when it is done"),
        _time("erased_at"),
        _time("done_at"),
        sa.Column("counts", JSONB, nullable=False, server_default="{}"),
        sa.CheckConstraint("kind IN ('device', 'tenant')", name="kind"),
        sa.CheckConstraint("(kind = 'device') = (device_id IS NOT NULL)", name="device"),
        sa.CheckConstraint("done_at IS NULL OR subject IS NULL", name="subject"),
    )
    if timescale.edition(op.get_bind()) is timescale.Edition.FULL:
        op.execute("SELECT remove_retention_policy('epochs', if_exists => true)")


def downgrade() -> None:
    """Take all of it away; closed streams that belong to nobody are forgotten."""
    if timescale.edition(op.get_bind()) is timescale.Edition.FULL:
        op.execute(
            f"SELECT add_retention_policy('epochs', interval '{POLICY}', if_not_exists => true)"
        )
    op.drop_table("erasures")
    op.drop_constraint("ck_streams_owner", "streams")
    op.execute("DELETE FROM streams WHERE device_id IS NULL")
    op.alter_column("streams", "device_id", nullable=False)
    op.alter_column("streams", "tenant_id", nullable=False)
    op.drop_column("streams", "closed_at")
    op.drop_constraint("ck_tenants_retention_days", "tenants")
    op.drop_column("tenants", "retention_days")
