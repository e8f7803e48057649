"""Tokens whose signature was found right, so that it is not reckoned again for each request."""

import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Final

from noctis.identity import Principal

__all__ = ["Verified", "VerifiedTokens"]

MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class Verified:
    """Whom a token speaks for, when it was issued, by which key, and when it ends."""

    principal: Principal
    issued_at: float
    kid: str
    ends_at: float


class VerifiedTokens:
    """Remembers up to ``most`` tokens by their digest; those unused longest are forgotten."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Verified] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, token: str, kids: Collection[str]) -> Verified | None:
        """Return what is known of a token that has not ended and whose key is one of ``kids``.

        None: it has to be verified, which also tells what is wrong with it.
        """
        digest = _digest(token)
        with self._lock:
            known = self._known.get(digest)
            if known is None:
                return None
            if known.ends_at <= time.time() or known.kid not in kids:
                del self._known[digest]
                return None
            self._known.move_to_end(digest)
            return known

    def keep(self, token: str, verified: Verified) -> None:
        """Remember a token that was verified."""
        with self._lock:
            self._known[_digest(token)] = verified
            if len(self._known) > self._most:
                self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
