"""Which kind of model staged a night; and its live stages, kept apart for drift."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the companion counts each night's live stages again."""
    op.add_column(
        "recordings", sa.Column("staged_by", sa.Text, nullable=False, server_default="live")
    )
    op.create_check_constraint("staged_by", "recordings", "staged_by IN ('live', 'night')")
    op.add_column(
        "night_histograms",
        sa.Column(
            "model_id", sa.Integer, nullable=True, comment="that told the last live stage"
        ),
    )
    op.add_column(
        "night_histograms",
        sa.Column("stages", sa.LargeBinary, nullable=True, comment="how many it told of each"),
    )


def downgrade() -> None:
    """Drop them; the nights keep their stages."""
    op.drop_column("night_histograms", "stages")
    op.drop_column("night_histograms", "model_id")
    op.drop_column("recordings", "staged_by")
