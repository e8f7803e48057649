"""The audit's chain of hashes, and how one is verified: no database, no clock.

Entry n holds ``sha256(hash of n-1 || number, time, details' number, tenant's key, action,
outcome, commitment)``, before entry 1 stands ``sha256("")``. ``commitment`` is
``sha256(salt || actor, target, address, facts)``: the details can be taken away, as an erasure
does, and everything else can be verified still. Parts are written as their length in bytes, a
colon, UTF-8 and a comma; a missing one is ``-``.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

__all__ = [
    "ERASED",
    "START",
    "Details",
    "Finding",
    "Link",
    "Verifier",
    "encode",
    "ranges",
    "spans",
]

START: Final = sha256(b"").digest()
"""What stands before the first entry."""
ERASED: Final = "details_erased"
"""The action of an entry that tells, in its facts, whose details an erasure took."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Details:
    """Who did it, to what, from where; ``facts`` is a JSON object as text."""

    actor: str
    target: str
    address: str
    facts: str
    salt: bytes

    @property
    def commitment(self) -> bytes:
        """What an entry of the chain says of these details."""
        return sha256(
            self.salt + encode(self.actor, self.target, self.address, self.facts)
        ).digest()


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the chain as it is stored; ``details`` is None where they are gone."""

    number: int
    at: datetime
    details_id: int
    tenant_key: int | None
    action: str
    outcome: str
    commitment: bytes
    hash: bytes
    details: Details | None

    def sealed(self, previous: bytes) -> bytes:
        """Return the hash that it should have behind an entry of that hash."""
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        key = None if self.tenant_key is None else str(self.tenant_key)
        parts = encode(
            str(self.number),
            str(micros),
            str(self.details_id),
            key,
            self.action,
            self.outcome,
            self.commitment.hex(),
        )
        return sha256(previous + parts).digest()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an honest chain has not; ``number``: of the entry that shows it."""

    number: int
    what: str


def encode(*parts: str | None) -> bytes:
    """Return the bytes that stand for a list of parts, and for no other list."""
    encoded = [None if part is None else part.encode() for part in parts]
    return b"".join(b"-" if it is None else b"%d:%b," % (len(it), it) for it in encoded)


@dataclass(slots=True)
class Verifier:
    """Takes entries in the order of their numbers, and finds what is not as it was written.

    ``anchor`` is a hash that was the chain's head once, kept where nobody who can change the
    database can change it. Without one a chain that was cut off at its end, or made anew from
    some entry on, looks like an honest one.
    """

    anchor: bytes | None = None
    number: int = 0
    head: bytes = START
    findings: list[Finding] = field(default_factory=list)
    _missing: set[int] = field(default_factory=set)
    _anchored: bool = False

    def take(self, links: Iterable[Link]) -> None:
        """Verify entries that come next."""
        for link in links:
            self._take(link)

    def finish(self) -> list[Finding]:
        """Return all findings, once the last entry was taken."""
        left = sorted(self._missing)
        self._missing = set()
        self.findings += [Finding(it, "its details are gone without an erasure") for it in left]
        if self.anchor is not None and not (self._anchored or self.anchor == START):
            what = "the anchored head is not in this chain: it was cut off, or made anew"
            self.findings.append(Finding(self.number, what))
        return self.findings

    def _take(self, link: Link) -> None:
        if link.number != self.number + 1:
            self._find(link, f"entry {self.number + 1} should stand here: a gap or a copy")
        if link.hash != link.sealed(self.head):
            self._find(link, "its hash is wrong: it, or what stood before it, was changed")
        self._look_into(link)
        self.number, self.head = link.number, link.hash
        self._anchored |= link.hash == self.anchor

    def _look_into(self, link: Link) -> None:
        if link.details is None:
            self._missing.add(link.number)
        elif link.details.commitment != link.commitment:
            self._find(link, "its details were changed")
        elif link.action == ERASED:
            try:
                self._missing -= set(spans(str(json.loads(link.details.facts)["numbers"])))
            except (LookupError, TypeError, ValueError):
                self._find(link, "it does not tell whose details an erasure took")

    def _find(self, link: Link, what: str) -> None:
        self.findings.append(Finding(link.number, what))


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as text, ``3,7-9``; ``spans`` reads it."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def spans(text: str) -> Iterator[int]:
    """Yield the numbers that ``ranges`` wrote."""
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        yield from range(int(low), int(high or low) + 1)
