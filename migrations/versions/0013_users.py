"""Users, how long they stay signed in, whose tokens are void, and the roles of apps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ROLES = "('viewer', 'member', 'admin', 'platform')"


def _time(name: str) -> sa.Column[object]:
    return sa.Column(
        name, TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()
    )


def _tenant() -> sa.Column[int]:
    return sa.Column(
        "tenant_id",
        sa.Integer,
        sa.ForeignKey("tenants.id", ondelete="CASCADE"),
        nullable=False,
    )


def upgrade() -> None:
    """Make the tables; apps get no role and may do what they could."""
    op.add_column("accounts", sa.Column("role", sa.Text))
    op.create_check_constraint("role", "accounts", "role IS NULL OR kind = 'app'")
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        _tenant(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        _time("created_at"),
        sa.UniqueConstraint("tenant_id", "name"),
        sa.CheckConstraint("name ~ '^[a-z0-9-]{1,32}$'", name="name"),
        sa.CheckConstraint(f"role IN {ROLES}", name="role"),
    )
    op.create_table(
        "refresh_families",
        sa.Column("id", sa.Uuid, primary_key=True),
        _tenant(),
        sa.Column(
            "user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column(
            "digest", sa.LargeBinary, nullable=False, comment="of the secret that is good now"
        ),
        sa.Column("previous", sa.LargeBinary, comment="of the one before"),
        _time("began_at"),
        _time("turned_at"),
    )
    op.create_index("ix_refresh_families_user_id", "refresh_families", ["user_id"])
    op.create_table(
        "void_tokens",
        sa.Column("tenant_id", sa.Integer, nullable=False),
        sa.Column(
            "subject", sa.LargeBinary, primary_key=True, comment="a digest: names may be erased"
        ),
        _time("since"),
    )


def downgrade() -> None:
    """Take all of it away."""
    op.drop_table("void_tokens")
    op.drop_table("refresh_families")
    op.drop_table("users")
    op.drop_constraint("ck_accounts_role", "accounts")
    op.drop_column("accounts", "role")
