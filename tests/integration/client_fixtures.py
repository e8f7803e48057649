"""Both forms of the client, asked alike, and a household whose nights they read."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import Engine

from noctis import passphrases
from noctis.client import AsyncNoctis, Noctis
from noctis.client.tokens import Tokens
from noctis.identity import DeviceId
from noctis.storage import accounts, devices, recordings, tenants, users
from noctis.storage.engine import transaction
from noctis.storage.recordings import Night
from tests.integration.inference_fixtures import Night as Measured
from tests.integration.inference_fixtures import store

PASSWORD = "correct horse battery staple"
SECRET = "of the lamp's own"
FIRST = date(2026, 3, 1)
NIGHTS = 12
EPOCHS = 900


class Either:
    """A client of one of both forms: lists for what it yields, else what it returns."""

    def __init__(self, client: Noctis | AsyncNoctis, portal: BlockingPortal) -> None:
        self._client = client
        self._portal = portal
        tokens = client._http.auth
        assert isinstance(tokens, Tokens)
        self.tokens = tokens

    def __call__(self, name: str, *args: object, **options: object) -> Any:  # noqa: ANN401
        method: Callable[..., Any] = getattr(self._client, name)
        if isinstance(self._client, AsyncNoctis):
            return self._portal.call(_awaited, method, args, options)
        found = method(*args, **options)
        return list(found) if isinstance(found, Iterator) else found


async def _awaited(
    method: Callable[..., Any], args: tuple[object, ...], options: dict[str, object]
) -> Any:  # noqa: ANN401
    found = method(*args, **options)
    if isinstance(found, AsyncIterator):
        return [it async for it in found]
    return await found


@contextmanager
def either(form: str, url: str, **who: Any) -> Iterator[Either]:  # noqa: ANN401
    """Yield a client of the form ``sync`` or ``async``."""
    with start_blocking_portal() as portal:
        if form == "sync":
            with Noctis(url, **who) as client:
                yield Either(client, portal)
            return
        asking = AsyncNoctis(url, **who)
        with portal.wrap_async_context_manager(asking):
            yield Either(asking, portal)


def furnish(engine: Engine) -> None:
    """Store a home with a bedroom's nights, and a neighbour with one of his own."""
    hashed = passphrases.hash_passphrase(PASSWORD)
    with transaction(engine) as connection:
        for tenant in ("home", "next"):
            tenants.add(connection, tenant)
            devices.add(tenant, connection, "bedroom", time_zone="Europe/Berlin")
            users.add(tenant, connection, "ann", role="admin", password_hash=hashed)
        users.add("home", connection, "vic", role="viewer", password_hash=hashed)
        accounts.add("home", connection, "lamp@home", "app", SECRET, role="viewer")
        key = devices.get("home", connection, "bedroom").id
        for day in range(NIGHTS):
            recordings.add(connection, key, night(FIRST + timedelta(days=day)))
    begin = int(begin_of(FIRST + timedelta(days=NIGHTS - 1)).timestamp())
    store(engine, Measured(EPOCHS, seed=1, utc_s=begin).frames(size=100), device=BEDROOM)


BEDROOM = DeviceId("home", "bedroom")


def begin_of(evening: date) -> datetime:
    return datetime(evening.year, evening.month, evening.day, 22, 30, tzinfo=UTC)


def night(evening: date) -> Night:
    """Return a night of that evening with each of the seven codes in turn."""
    start = begin_of(evening)
    return Night(
        state="closed",
        evening=evening,
        time_zone="Europe/Berlin",
        started_at=start,
        ended_at=start + timedelta(seconds=30 * EPOCHS),
        hypnogram=codes().astype(np.uint8).tobytes(),
        model_id=None,
        moved=0,
        closes_at=None,
    )


def codes() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(EPOCHS) // 20 % 7
