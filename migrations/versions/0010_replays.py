"""Replays, and the parts that they are done in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _owner(name: str, table: str, *, nullable: bool = True) -> sa.Column[int]:
    owner = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.Integer, owner, nullable=nullable)


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        _owner("tenant_id", "tenants"),
        _owner("device_id", "devices"),
        _time("since"),
        _time("until"),
        _time("created_at", now=True),
        _time("cancelled_at", nullable=True),
        _time("done_at", nullable=True),
    )
    op.create_table(
        "replay_parts",
        _owner("replay_id", "replays", nullable=False),
        sa.Column("device_id", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("stream", "first_seq", "last_seq")
        ),
        _time("since", nullable=True),
        _time("until", nullable=True),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("stored", sa.Integer, comment="null: not done yet"),
        sa.PrimaryKeyConstraint("replay_id", "device_id", "stream", "first_seq"),
    )


def downgrade() -> None:
    """Drop both; the predictions that replays stored stay, unseen."""
    op.drop_table("replay_parts")
    op.drop_table("replays")
