"""How often passwords may be guessed.

Each attempt costs a token until it turns out right. There are two buckets: one for a login
from an address, one for a login from anywhere. A stranger who guesses from one address closes
that address alone; many of them close the login for all addresses but those from which it was
opened lately, so they cannot lock its owner out.

All of it is in the memory of each worker, which allows its share of the attempts: so all of
them together allow what one would, and no stranger can make the database write. Who stays on
one connection stays with one worker, and has to wait a little early.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil
from time import monotonic
from typing import Final

from api.buckets import Buckets, Rate

__all__ = ["FROM_ANYWHERE", "FROM_ONE", "Guesses", "network"]

FROM_ONE: Final = Rate(burst=10, per_second=1 / 60)
FROM_ANYWHERE: Final = Rate(burst=100, per_second=1 / 6)
KNOWN: Final = 10_000


class Guesses:
    """Counts attempts by login and address; an unknown login counts like a known one."""

    def __init__(self, clock: Callable[[], float] = monotonic, *, workers: int = 1) -> None:
        self._buckets = Buckets(clock=clock)
        self._from_one = FROM_ONE.shared(workers)
        self._from_anywhere = FROM_ANYWHERE.shared(workers)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, login: str, address: str) -> int:
        """Count an attempt; return in how many seconds to come again, 0: go on."""
        pair = (login, network(address))
        spent = self._buckets.spend(pair, self._from_one)
        if spent.wait_s:
            return ceil(spent.wait_s)
        if pair in self._known:
            return 0
        spent = self._buckets.spend(login, self._from_anywhere)
        if spent.wait_s:
            self._buckets.give_back(pair, self._from_one)
        return ceil(spent.wait_s)

    def right(self, login: str, address: str) -> None:
        """Take an attempt back: the password was right."""
        pair = (login, network(address))
        self._buckets.give_back(pair, self._from_one)
        if pair not in self._known:
            self._buckets.give_back(login, self._from_anywhere)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)


def network(address: str) -> str:
    """Return what one stranger has for his own: an IPv4 address, or 64 bits of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
