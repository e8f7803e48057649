"""How predictions came about: what is stored already was served."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; its default is a constant, so no row is written anew."""
    op.add_column(
        "predictions",
        sa.Column(
            "origin",
            sa.SmallInteger,
            nullable=False,
            server_default="0",
            comment="0 served, 1 shadow, 2 replay",
        ),
    )


def downgrade() -> None:
    """Forget what was never shown: before this, people saw whatever is stored."""
    op.execute("DELETE FROM predictions WHERE origin <> 0")
    op.drop_column("predictions", "origin")
