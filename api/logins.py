"""Who may have a token: apps by their secret, users by their password or a refresh token."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from api.buckets import Buckets, Rate
from api.guesses import Guesses
from api.problems import ProblemError
from api.refresh_tokens import parse, render
from api.scopes import SCOPES, granted
from noctis import passphrases
from noctis.audit import audit
from noctis.errors import IdentityError, StorageError
from noctis.identity import Principal, parse_login, user_subject
from noctis.storage import accounts, refreshes, users
from noctis.storage import audit as entries
from noctis.storage.database import Connection, Database
from noctis.storage.refreshes import Outcome

__all__ = ["Login", "Logins", "Refused"]

T = TypeVar("T")
KEPT_OF_ONE: Final = Rate(burst=1, per_second=1 / 600)
KEPT_OF_ALL: Final = Rate(burst=20, per_second=1 / 60)
"""How often a login that is guessed at, and all of them, are written into the audit."""

KEEP_S: Final = 5.0
HASHERS: Final = 2
MAX_WAITING: Final = 16


@dataclass(frozen=True, slots=True)
class Login:
    """Who logged in, when, and his next refresh token, where he has one.

    ``at`` is before the moment when his rights were read: so whatever takes them away later
    makes a token void that says it was issued ``at``.
    """

    principal: Principal
    at: float
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    """A user whose password was right, and its hash as it should be stored nowadays."""

    user: users.User
    renewed: str | None


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """There is no token; ``too_wide``: only because of the scopes that were asked for."""

    def __init__(self, *, too_wide: bool = False) -> None:
        super().__init__()
        self.too_wide = too_wide


class Logins:
    """Checks secrets. Few at once: hashing is slow by intention, and takes 64 MiB for users.

    ``scopes`` are all that there are, with what each is good for; ``grants`` says which of them
    a role may have.
    """

    def __init__(
        self,
        database: Database,
        guesses: Guesses | None = None,
        *,
        scopes: Mapping[str, str] = SCOPES,
        grants: Callable[[str | None], frozenset[str]] = granted,
    ) -> None:
        self.scopes = scopes
        self._grants = grants
        self._database = database
        self._guesses = guesses or Guesses()
        self._apps = _Queue(database.seconds)
        self._users = _Queue(database.seconds)
        self._kept = Buckets()

    async def app(
        self, username: str, secret: str, asked: AbstractSet[str], address: str
    ) -> Login:
        """Return an app's login; raise Refused, or ProblemError 429 when too many ask."""
        at = time.time()
        found = None
        if _is_login(username):
            async with self._apps.turn():
                found = await self._database.call(
                    lambda it: accounts.authenticate(it, username, secret)
                )
        if found is None:
            _tell("login_refused", username, address, "client_credentials")
            raise Refused
        scopes = _narrowed(self._grants(found.role), asked)
        return Login(Principal(username, found.tenant, scopes), at)

    async def user(
        self, login: str, password: str, asked: AbstractSet[str], address: str
    ) -> Login:
        """Return a user's login with a refresh token; raise Refused or ProblemError 429.

        It takes as long for a name that nobody has.
        """
        at = time.time()
        known = await self._checked(login, password, address)
        scopes = _narrowed(self._grants(known.user.role), asked)
        name, tenant = parse_login(login)
        subject = user_subject(name, tenant)
        told = not self._kept.spend(f"in {login}", KEPT_OF_ONE).wait_s

        def begin(connection: Connection) -> refreshes.Secret | None:
            user = users.confirmed(tenant, connection, known.user)
            if user is None or user.role != known.user.role:
                return None
            if known.renewed:
                users.rehash(tenant, connection, user, known.renewed)
            if told:
                entries.record(tenant, connection, "signed_in", by=subject, address=address)
            now = datetime.fromtimestamp(at, UTC)
            return refreshes.begin(tenant, connection, user.id, scopes, now)

        secret = await self._of(tenant).call(begin)
        if secret is None:
            raise Refused
        return Login(Principal(subject, tenant, scopes), at, render(tenant, secret))

    async def change_password(
        self, login: str, password: str, wanted: str, address: str
    ) -> None:
        """Give a user who knows his password another, and end his sessions; raise as ``user``.

        Raise PassphraseError for one that nobody should have.
        """
        known = await self._checked(login, password, address)
        hashed = await self.hashed(wanted)
        name, tenant = parse_login(login)

        def change(connection: Connection) -> bool:
            if users.confirmed(tenant, connection, known.user) is None:
                return False
            users.set_password(tenant, connection, name, hashed)
            entries.record(
                tenant,
                connection,
                "user_password_set",
                by=user_subject(name, tenant),
                target=name,
                address=address,
            )
            return True

        if not await self._of(tenant).call(change):
            raise Refused

    async def _checked(self, login: str, password: str, address: str) -> _Known:
        """Return the user whose password is right; raise Refused or ProblemError 429."""
        wait_s = self._guesses.begin(login, address)
        if wait_s:
            await self._slowed(login, address)
            detail = "too many wrong passwords for this login; wait, and try again"
            raise _busy(detail, wait_s)
        known = None
        async with self._users.turn():
            if _is_login(login):
                name, tenant = parse_login(login)
                known = await self._of(tenant).call(lambda it: users.find(tenant, it, name))
            stored = None if known is None else known.password_hash
            right, renewed = await anyio.to_thread.run_sync(
                passphrases.verify, password, stored
            )
        if known is None or not right:
            _tell("login_refused", login, address, "password")
            raise Refused
        self._guesses.right(login, address)
        return _Known(known, renewed)

    async def refresh(self, token: str, asked: AbstractSet[str], address: str) -> Login:
        """Return the login that a refresh token stands for, with the next one; or Refused."""
        at = time.time()
        tenant, secret = _parsed(token)
        now = datetime.fromtimestamp(at, UTC)
        turned = await self._of(tenant).call(
            lambda it: refreshes.turn(tenant, it, secret, now, asked)
        )
        if turned.outcome is not Outcome.TURNED or turned.secret is None:
            by = user_subject(turned.user, tenant) if turned.user else "unknown"
            if turned.outcome is Outcome.REUSED:
                told = {"by": by, "address": address, "outcome": "refused"}
                await self._keep(tenant, "refresh_token_reused", **told)
            raise Refused(too_wide=turned.outcome is Outcome.TOO_WIDE)
        scopes = turned.scopes & self._grants(turned.role)
        if asked:
            scopes &= asked
        principal = Principal(user_subject(turned.user, tenant), tenant, scopes)
        return Login(principal, at, render(tenant, turned.secret))

    async def sign_out(self, token: str, address: str) -> None:
        """End the family of a refresh token, where there is one."""
        tenant, secret = _parsed(token)
        name = await self._of(tenant).call(lambda it: refreshes.end(tenant, it, secret))
        if name is not None:
            subject = user_subject(name, tenant)
            audit("signed_out", by=subject, tenant=tenant, address=address)

    async def hashed(self, password: str) -> str:
        """Return what is stored of a user's password; raise PassphraseError, or as ``user``."""
        async with self._users.turn():
            return await anyio.to_thread.run_sync(passphrases.hash_passphrase, password)

    async def _slowed(self, login: str, address: str) -> None:
        """Tell the log of a guesser, and once in a while the audit: strangers write little."""
        spent = (
            self._kept.spend(login, KEPT_OF_ONE).wait_s
            or self._kept.spend(None, KEPT_OF_ALL).wait_s
        )
        if spent or not _is_login(login):
            _tell("login_slowed", login, address, "password")
            return
        told = {"by": login, "address": address, "outcome": "refused"}
        await self._keep(parse_login(login)[1], "login_slowed", **told)

    async def _keep(self, tenant: str, action: str, **told: str) -> None:
        """Write an entry of the audit; where the database is away, a line of the log."""
        try:
            await self._of(tenant).call(
                lambda it: entries.record(tenant, it, action, **told), within_s=KEEP_S
            )
        except (StorageError, TimeoutError):
            audit(action, tenant=tenant, **told)

    def _of(self, tenant: str) -> Database:
        return self._database.of(lambda: tenant)


class _Queue:
    """Lets HASHERS in at once and MAX_WAITING wait, none longer than ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._hashers = anyio.CapacityLimiter(HASHERS)
        self._asking = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it; raise ProblemError 429 where the queue is full."""
        if self._asking >= HASHERS + MAX_WAITING:
            detail = "too many ask for a token at this moment"
            raise _busy(detail, 2)
        self._asking += 1
        try:
            with anyio.fail_after(self._seconds):
                async with self._hashers:
                    yield
        finally:
            self._asking -= 1


def _busy(detail: str, wait_s: int) -> ProblemError:
    return ProblemError(429, detail, kind="busy", headers={"Retry-After": str(wait_s)})


def _narrowed(may: frozenset[str], asked: AbstractSet[str]) -> frozenset[str]:
    if not may or not asked <= may:
        raise Refused(too_wide=True)
    return frozenset(asked) or may


def _parsed(token: str) -> tuple[str, refreshes.Secret]:
    parsed = parse(token)
    if parsed is None:
        raise Refused
    return parsed


def _is_login(text: str) -> bool:
    try:
        parse_login(text)
    except IdentityError:
        return False
    return True


def _tell(event: str, login: str, address: str, grant: str) -> None:
    """Write down who was not let in; what is no login may be a password in the wrong field."""
    by, tenant = (login, parse_login(login)[1]) if _is_login(login) else ("no login", "")
    audit(event, by=by, tenant=tenant, address=address, grant=grant)
