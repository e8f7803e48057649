"""Images of firmware, and rollouts of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

STATES = (
    "state IN ('waiting', 'offered', 'downloading', 'verifying', 'installed', 'pending',"
    " 'valid', 'rolled_back', 'refused', 'silent', 'withdrawn')"
)


def _time(name: str, *, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=not now, server_default=default)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "firmware",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False, unique=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("build", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        _time("added_at", now=True),
        sa.Column("manifest", sa.Text, comment="null: not signed yet"),
        sa.Column("signature", sa.Text),
        sa.Column("key_id", sa.Text),
        _time("signed_at"),
        _time("expires_at"),
    )
    op.create_table(
        "rollouts",
        sa.Column("number", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid(), unique=True
        ),
        sa.Column("firmware_id", sa.Integer, sa.ForeignKey("firmware.id"), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="running"),
        sa.Column("reason", sa.Text),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("most_failures", sa.Float, nullable=False, comment="share of the devices"),
        sa.Column("patience_s", sa.Integer, nullable=False),
        _time("created_at", now=True),
        _time("finished_at"),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'stopped', 'aborted', 'done')", name="state"
        ),
    )
    op.create_table(
        "rollout_devices",
        sa.Column(
            "rollout_number",
            sa.Integer,
            sa.ForeignKey("rollouts.number", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "device_id",
            sa.Integer,
            sa.ForeignKey("devices.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("place", sa.Integer, nullable=False, comment="its turn in the rollout"),
        sa.Column("version", sa.Text, nullable=False, comment="that it is offered"),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("percent", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("running", sa.Text, comment="the version that it last said it runs"),
        sa.Column("owed", sa.Boolean, nullable=False, server_default="false"),
        _time("offered_at"),
        _time("reported_at"),
        _time("told_at"),
        sa.CheckConstraint(STATES, name="state"),
    )
    op.create_index("ix_rollout_devices_device_id", "rollout_devices", ["device_id"])
    op.create_index(
        "ix_rollout_devices_owed",
        "rollout_devices",
        ["device_id"],
        postgresql_where=sa.text("owed"),
    )


def downgrade() -> None:
    """Drop them; devices stay on what they run."""
    op.drop_table("rollout_devices")
    op.drop_table("rollouts")
    op.drop_table("firmware")
