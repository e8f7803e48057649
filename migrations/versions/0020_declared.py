"""Recordings that a person declares, beside those that are found."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what kind a recording is of and who declared it; those that are known were found."""
    op.add_column(
        "recordings", sa.Column("kind", sa.Text, nullable=False, server_default="found")
    )
    op.add_column(
        "recordings",
        sa.Column(
            "declared_by",
            sa.Text,
            nullable=True,
            comment="of all but what was found",
        ),
    )
    kinds = "kind IN ('found', 'night', 'nap', 'study')"
    op.create_check_constraint("kind", "recordings", kinds)
    said = "(kind = 'found') = (declared_by IS NULL)"
    op.create_check_constraint("declared", "recordings", said)
    _begin("started_at", "kind")


def downgrade() -> None:
    """Forget what was declared; what was found stays."""
    op.execute("DELETE FROM recordings WHERE kind <> 'found'")
    _begin("started_at")
    op.drop_column("recordings", "declared_by")
    op.drop_column("recordings", "kind")


def _begin(*columns: str) -> None:
    """Let a device have one recording that begins there."""
    op.drop_index("ix_recordings_begin", "recordings")
    op.create_index(
        "ix_recordings_begin",
        "recordings",
        ["device_id", *columns],
        unique=True,
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
