"""Who asks ``/internal``, as the audit names him."""

from fastapi import Request

from noctis.audit import Author
from noctis.identity import Principal

__all__ = ["author_of"]


def author_of(who: Principal, request: Request) -> Author:
    """Return a caller's name and address; of no tenant is who is called by no login."""
    tenant = who.tenant if "@" in who.subject else ""
    address = request.client.host if request.client else ""
    return Author(who.subject, tenant, address)
