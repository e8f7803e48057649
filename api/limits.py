"""How much a tenant may ask of the facade: requests, and epochs over HTTP.

The buckets are in the memory of each worker, which gives out its share of the tenant's rate: a
count in the database would cost each request a write, and the writes of one tenant would wait
for each other. The price: where the kernel spreads a tenant's connections unevenly, it meets
its limit a little early.
"""

from math import ceil
from typing import Final

from api.buckets import Buckets, Rate, Spent
from api.problems import ProblemError
from api.standing import Standing

__all__ = ["Headers", "Limits"]

Headers = list[tuple[bytes, bytes]]
MINUTE_S: Final = 60


class Limits:
    """The buckets of all tenants; ``workers`` is how many processes share their load."""

    def __init__(self, standing: Standing, workers: int = 1) -> None:
        self._standing = standing
        self._workers = workers
        self._requests = Buckets()
        self._epochs = Buckets()

    def request(self, tenant: str) -> Headers:
        """Count a request; return the headers that tell how many are left.

        They are those of draft-ietf-httpapi-ratelimit-headers-10. Raise ProblemError 429 where
        none is left.
        """
        quota = self._standing.quota(tenant)
        if quota.requests_per_second is None:
            return []
        burst = quota.burst or ceil(quota.requests_per_second)
        rate = self._share(burst, quota.requests_per_second)
        spent = self._requests.spend(tenant, rate)
        if spent.wait_s:
            detail = f"tenant {tenant!r} has asked too often; wait, and go on more slowly"
            raise _refused(detail, rate, spent)
        return _headers(rate, spent)

    def epochs(self, tenant: str, count: int) -> None:
        """Count epochs that are to be stored; raise ProblemError 429 for too many."""
        per_minute = self._standing.quota(tenant).epochs_per_minute
        if per_minute is None:
            return
        rate = self._share(per_minute, per_minute / MINUTE_S)
        spent = self._epochs.spend(tenant, rate, count)
        if spent.wait_s:
            detail = f"tenant {tenant!r} may send {per_minute} epochs a minute; wait"
            wait = {"Retry-After": str(ceil(spent.wait_s))}
            raise ProblemError(429, detail, kind="epochs", headers=wait)

    def _share(self, burst: int, per_second: float) -> Rate:
        return Rate(burst, per_second).shared(self._workers)


def _headers(rate: Rate, spent: Spent) -> Headers:
    """Return the policy, and what is left of it until the bucket is full again."""
    full_s = ceil((rate.burst - spent.left) / rate.per_second)
    wait_s = ceil(spent.wait_s) or full_s
    policy = f'"requests";q={rate.burst};w={max(ceil(rate.window_s), 1)}'
    return [
        (b"ratelimit-policy", policy.encode()),
        (b"ratelimit", f'"requests";r={spent.left};t={wait_s}'.encode()),
    ]


def _refused(detail: str, rate: Rate, spent: Spent) -> ProblemError:
    headers = {name.decode(): value.decode() for name, value in _headers(rate, spent)}
    headers["Retry-After"] = str(ceil(spent.wait_s))
    return ProblemError(429, detail, kind="requests", headers=headers)
