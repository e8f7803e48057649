"""Ends the sessions of certificates that are revoked, or have run out.

Mosquitto looks at a certificate when a connection begins, and never again, not even when it
reads its files anew. But it has one connection per user: whoever comes next takes its place.
"""

import asyncio
from dataclasses import dataclass, field

from noctis.errors import ProcessError
from noctis.mqtt import BrokerError, Link, drop_session
from noctis.revocation_lists import listed
from noctis.storage.passwords import generate, hash_password
from noctis.storage.revocations import Revocations

__all__ = ["Guest", "newly_revoked"]


@dataclass(frozen=True, slots=True)
class Guest:
    """An account for one moment, in the place of a user whose session is to end."""

    username: str
    password: str = field(default_factory=generate, repr=False)

    @property
    def password_hash(self) -> str:
        """What the broker's file holds of the password, for a moment."""
        return hash_password(self.password, iterations=1)

    def end_session(self, port: int, *, within_s: float) -> None:
        """Take the user's session over, on loopback, and leave; raise ProcessError."""
        link = Link("127.0.0.1", port, self.username, self.password)
        try:
            asyncio.run(drop_session(link, within_s=within_s))
        except BrokerError as error:
            message = f"the session of {self.username!r} cannot be ended: {error}"
            raise ProcessError(message, hint="it is tried again") from error


def newly_revoked(before: Revocations, now: Revocations) -> frozenset[str]:
    """Return the users with a certificate that was good before and is not now.

    One that has ended is refused in the next handshake by the broker itself.

    One that is revoked, but not on the signed list yet, counts when it is on the list: its
    holder would be back at once.
    """
    serials = _listed(now) - _listed(before)
    owners = {now.owners[serial] for serial in serials if serial in now.owners}
    ended = {now.ended[serial] for serial in now.ended.keys() - before.ended.keys()}
    return frozenset(owners | (now.denied - before.denied) | ended)


def _listed(revocations: Revocations) -> frozenset[str]:
    return listed(revocations.pem) if revocations.pem else frozenset()
