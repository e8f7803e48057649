"""The tables of certificates: what was issued to whom, and the signed list of the revoked."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage.models import metadata

__all__ = ["certificates", "revocation_lists"]


def _time(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


certificates: Final = Table(
    "certificates",
    metadata,
    Column("serial", Text, primary_key=True),
    Column("tenant_id", Integer, nullable=False, comment="0: of an account that was erased"),
    Column("username", Text, nullable=True),
    Column("fingerprint", Text, nullable=True, comment="SHA-256, hexadecimal"),
    _time("not_before"),
    _time("not_after"),
    _time("issued_at", now=True),
    _time("used_at", nullable=True),
    _time("revoked_at", nullable=True),
    CheckConstraint("username IS NOT NULL OR revoked_at IS NOT NULL", name="owner"),
    CheckConstraint("serial ~ '^[0-9a-f]+$'", name="serial"),
    Index("ix_certificates_tenant_id", "tenant_id", "username"),
)

revocation_lists: Final = Table(
    "revocation_lists",
    metadata,
    Column("issuer", Text, primary_key=True, comment="fingerprint of the CA's certificate"),
    Column("pem", Text, nullable=False),
    _time("signed_at", now=True),
)
