"""What a night tells of breathing and heart."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

COLUMNS = ("breathing_rate_per_min", "heart_rate_bpm", "heart_rate_dip_percent")


def upgrade() -> None:
    """Add the columns; nights that are known have none of it until they change."""
    for name in COLUMNS:
        op.add_column("recordings", sa.Column(name, sa.Float(53), nullable=True))


def downgrade() -> None:
    """Forget it; the epochs still tell."""
    for name in COLUMNS:
        op.drop_column("recordings", name)
