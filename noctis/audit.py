"""What an auditor asks for later: who was refused, and who changed what.

The lines are warnings, so that every level of logging that somebody may choose keeps them. They
hold names, never passwords, tokens or keys.
"""

from typing import Final

import structlog

__all__ = ["audit"]

_log: Final = structlog.get_logger("noctis.audit")


def audit(event: str, *, by: str, tenant: str = "", **facts: str | int | None) -> None:
    """Tell of an event: ``by`` whom it came, and which ``tenant`` it concerns."""
    _log.warning(event, audit=True, by=by, tenant=tenant, **facts)
