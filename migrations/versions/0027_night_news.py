"""What apps know of each device's last night."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the last nights that there are have yet to be told."""
    op.create_table(
        "night_news",
        sa.Column(
            "device_id",
            sa.Integer,
            sa.ForeignKey("devices.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("changes", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("told", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(
            "recording_id", sa.Uuid, nullable=True, comment="that apps were told of last"
        ),
        sa.Column("revision", sa.Integer, nullable=True),
    )
    op.create_index(
        "ix_night_news_due",
        "night_news",
        ["device_id"],
        postgresql_where=sa.text("changes > told"),
    )
    op.execute("INSERT INTO night_news (device_id) SELECT DISTINCT device_id FROM recordings")


def downgrade() -> None:
    """Drop it; what a broker retains stays there."""
    op.drop_table("night_news")
