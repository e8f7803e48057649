"""Running processes, and the faults that operators order of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "processes",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("allows_faults", sa.Boolean, nullable=False),
        sa.Column("clock_skew_s", sa.Float, nullable=False),
        sa.Column("refusal", sa.Text, comment="why it does not do what was ordered"),
        sa.Column("breakers", JSONB, nullable=False),
        sa.Column("faults", JSONB, nullable=False),
        _time("started_at", now=True),
        _time("seen_at", now=True),
    )
    op.create_table(
        "fault_orders",
        sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.func.gen_random_uuid()),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("services", ARRAY(sa.Text), nullable=False),
        sa.Column(
            "processes", ARRAY(sa.Uuid), nullable=False, comment="that ran when it was given"
        ),
        sa.Column("ordered_by", sa.Text, nullable=False),
        _time("ordered_at", now=True),
        _time("until"),
        _time("withdrawn_at", nullable=True),
        sa.CheckConstraint("until <= ordered_at + interval '1 hour'", name="end"),
    )
    op.create_index("ix_fault_orders_until", "fault_orders", ["until"])


def downgrade() -> None:
    """Drop both: processes tell of themselves again, and orders end."""
    op.drop_table("fault_orders")
    op.drop_table("processes")
