"""What an auditor asks for later: who was refused, and who changed what.

The lines are warnings, so that every level of logging that somebody may choose keeps them. They
hold names, never passwords, tokens or keys. ``noctis.storage.audit`` keeps them for good.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import structlog

__all__ = ["Author", "audit", "origin"]

_log: Final = structlog.get_logger("noctis.audit")
origin: Final = ContextVar("noctis_audit_origin", default="")
"""The address of the caller for whom this task works."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who does something: his name, his tenant (empty: the platform's), where he calls from."""

    subject: str
    tenant: str = ""
    address: str = ""


def audit(event: str, *, by: str, tenant: str = "", **facts: str | int | None) -> None:
    """Tell of an event: ``by`` whom it came, and which ``tenant`` it concerns."""
    _log.warning(event, audit=True, by=by, tenant=tenant, **facts)
