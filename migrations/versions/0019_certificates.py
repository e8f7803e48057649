"""Certificates of devices, and the signed list of those that are revoked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "certificates",
        sa.Column("serial", sa.Text, primary_key=True),
        sa.Column(
            "tenant_id",
            sa.Integer,
            nullable=False,
            comment="0: of an account that was erased",
        ),
        sa.Column("username", sa.Text, nullable=True),
        sa.Column("fingerprint", sa.Text, nullable=True, comment="SHA-256, hexadecimal"),
        sa.Column("not_before", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("not_after", TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "issued_at", TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("used_at", TIMESTAMP(timezone=True), nullable=True),
        sa.Column("revoked_at", TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("username IS NOT NULL OR revoked_at IS NOT NULL", name="owner"),
        sa.CheckConstraint("serial ~ '^[0-9a-f]+$'", name="serial"),
    )
    op.create_index("ix_certificates_tenant_id", "certificates", ["tenant_id", "username"])
    op.create_table(
        "revocation_lists",
        sa.Column(
            "issuer", sa.Text, primary_key=True, comment="fingerprint of the CA's certificate"
        ),
        sa.Column("pem", sa.Text, nullable=False),
        sa.Column(
            "signed_at", TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()
        ),
    )


def downgrade() -> None:
    """Drop them: no certificate is known to be revoked then."""
    op.drop_table("revocation_lists")
    op.drop_table("certificates")
