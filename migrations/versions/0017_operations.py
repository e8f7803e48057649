"""Operations: what callers ordered and what takes long."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    default = None if nullable else sa.func.now()
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _owner(name: str, table: str, *, nullable: bool = True) -> sa.Column[int]:
    owner = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.Integer, owner, nullable=nullable)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "operations",
        sa.Column("number", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid(), unique=True
        ),
        _owner("tenant_id", "tenants", nullable=False),
        _owner("device_id", "devices"),
        _owner("replay_id", "replays"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("request", JSONB, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("result", JSONB),
        sa.Column("error", sa.Text),
        _time("created_at", nullable=False),
        _time("started_at"),
        _time("cancelled_at"),
        _time("finished_at"),
        sa.CheckConstraint("kind IN ('replay', 'evaluation', 'experiment')", name="kind"),
    )
    op.create_index("ix_operations_tenant", "operations", ["tenant_id", "number"])
    op.create_index(
        "ix_operations_open",
        "operations",
        ["number"],
        postgresql_where=sa.text("finished_at IS NULL AND cancelled_at IS NULL"),
    )


def downgrade() -> None:
    """Drop it; replays stay, and so does what they stored."""
    op.drop_table("operations")
