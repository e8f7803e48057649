"""Which night is meant: that of a key, of an evening, or the last one."""

from datetime import date, timedelta
from typing import Final
from uuid import UUID

from cli.night_view import FOUND
from cli.nouns.documents import Document
from cli.nouns.nights import Nights, Query
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId, check_tenant

__all__ = ["find", "read_subject"]

MOST_FOUND: Final = 100


def read_subject(subject: str) -> tuple[str, str | None]:
    """Return tenant and device, None for all of a tenant's."""
    if "/" not in subject:
        return check_tenant(subject), None
    who = DeviceId.parse(subject)
    return who.tenant, who.device


def find(
    nights: Nights, who: DeviceId, evening: date | None, key: UUID | None = None
) -> Document:
    """Return the night of a key, else an evening's longest, else the newest, whole."""
    if key is not None:
        return nights.get(who.tenant, key)
    until = None if evening is None else evening + timedelta(days=1)
    found = nights.list_of(who.tenant, who.device, Query(evening, until, MOST_FOUND, FOUND))
    if not found:
        when = "yet" if evening is None else f"of the evening of {evening}"
        message = f"{who} has no night {when}"
        raise ConfigurationError(message, hint="--hours 24 shows the stages of the last day")
    longest = max(found, key=lambda it: it["figures"]["tib_min"])
    best = found[0] if evening is None else longest
    return nights.get(who.tenant, UUID(best["id"]))
