"""What a person makes of a night, and what a device is to be set to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COLUMNS = ("note", "tags", "excluded", "edits", "deleted_at")
LISTED = "state <> 'withdrawn' AND deleted_at IS NULL"


def upgrade() -> None:
    """Add a person's words to recordings, and a table of configurations."""
    none = sa.text("false")
    for column in (
        sa.Column("note", sa.Text, nullable=True, comment="a person's own words"),
        sa.Column("tags", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("excluded", sa.Boolean, nullable=False, server_default=none),
        sa.Column("edits", sa.Integer, nullable=False, server_default="0"),
        sa.Column("deleted_at", TIMESTAMP(timezone=True), nullable=True),
    ):
        op.add_column("recordings", column)
    op.create_index(
        "ix_recordings_tenant",
        "recordings",
        ["tenant_id", "started_at", "id"],
        postgresql_where=sa.text(LISTED),
    )
    op.create_table(
        "device_configs",
        sa.Column(
            "device_id",
            sa.Integer,
            sa.ForeignKey("devices.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column(
            "changed_at", TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("told_version", sa.BigInteger, nullable=False, server_default="0"),
        sa.CheckConstraint("version BETWEEN 1 AND 4294967295", name="version"),
    )
    op.create_index(
        "ix_device_configs_untold",
        "device_configs",
        ["device_id"],
        postgresql_where=sa.text("told_version < version"),
    )


def downgrade() -> None:
    """Take both away; a deleted night is seen again."""
    op.drop_table("device_configs")
    op.drop_index("ix_recordings_tenant", "recordings")
    for column in reversed(COLUMNS):
        op.drop_column("recordings", column)
