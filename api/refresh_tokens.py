"""Refresh tokens as clients hold them: ``tenant.secret``, nothing that they need to read."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from uuid import UUID

from noctis.errors import IdentityError
from noctis.identity import check_tenant
from noctis.storage.refreshes import SECRET_BYTES, Secret

__all__ = ["parse", "render"]

FAMILY_BYTES: Final = 16
LENGTH: Final = (FAMILY_BYTES + SECRET_BYTES) * 4 // 3


def render(tenant: str, secret: Secret) -> str:
    """Return the token of a tenant's user."""
    return f"{tenant}.{urlsafe_b64encode(secret.family.bytes + secret.proof).decode()}"


def parse(token: str) -> tuple[str, Secret] | None:
    """Return the tenant and the secret that a token holds, None where it is none of ours."""
    tenant, _, encoded = token.partition(".")
    if len(encoded) != LENGTH:
        return None
    try:
        check_tenant(tenant)
        raw = urlsafe_b64decode(encoded.encode("ascii"))
    except (IdentityError, UnicodeEncodeError, binascii.Error):
        return None
    if len(raw) != FAMILY_BYTES + SECRET_BYTES:
        return None
    return tenant, Secret(UUID(bytes=raw[:FAMILY_BYTES]), raw[FAMILY_BYTES:])
