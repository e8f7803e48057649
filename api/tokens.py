"""Access tokens: JSON Web Tokens signed with Ed25519 (RFC 8725, RFC 9068)."""

import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from filelock import FileLock

from api.verified import Verified, VerifiedTokens
from noctis.errors import ConfigurationError, IdentityError, NoctisError
from noctis.identity import Principal, check_tenant

__all__ = [
    "AUDIENCE",
    "INTERNAL_AUDIENCE",
    "ISSUER",
    "LIFETIME_S",
    "Keyring",
    "SigningKey",
    "TokenError",
]

ISSUER: Final = "noctis"
AUDIENCE: Final = "noctis-api"
INTERNAL_AUDIENCE: Final = "noctis-internal"
"""Of the tokens for `/internal`: neither listener takes what was made for the other."""

LIFETIME_S: Final = 15 * 60
ALGORITHM: Final = "EdDSA"
TYPE: Final = "at+jwt"
LOCK_SECONDS: Final = 10.0
LONGEST: Final = 4096
SETTLED_NS: Final = 2_000_000_000
_REQUIRED: Final = ("iss", "aud", "exp", "iat", "sub", "jti", "tenant", "scope")


class TokenError(NoctisError):
    """A token that is expired, forged, or was made for somebody else."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key and its id, the key's RFC 7638 thumbprint; when it was made, in ns."""

    kid: str
    private: Ed25519PrivateKey
    made_ns: int

    @classmethod
    def of(cls, private: Ed25519PrivateKey, made_ns: int) -> "SigningKey":
        """Return the key with its id."""
        members = f'{{"crv":"Ed25519","kty":"OKP","x":"{_public_x(private)}"}}'
        return cls(_base64(sha256(members.encode()).digest()), private, made_ns)

    @property
    def jwk(self) -> dict[str, str]:
        """The public half, as a member of a JSON Web Key Set."""
        names = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM}
        return {**names, "kid": self.kid, "x": _public_x(self.private)}


class Keyring:
    """The keys of a folder: the newest signs, those before verify what they have signed.

    The folder gets its first key on first use. A key is one PEM file, mode 0600, named after
    the moment of its making. ``rotate`` makes another; the one before verifies for as long as
    its last token lives, and is deleted at the next turn. Deleting a file retires a key at
    once. Other processes see either with their next token. ``audience`` is whom its tokens
    are for; it takes none that is for another.
    """

    def __init__(self, folder: Path, *, audience: str = AUDIENCE) -> None:
        self.folder = folder
        self._audience = audience
        self._paths: list[Path] = []
        self._loaded: list[SigningKey] = []
        self._seen_ns = 0
        self._lock = Lock()
        self._verified = VerifiedTokens()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            if not self.keys():
                self._make()

    def keys(self) -> dict[str, SigningKey]:
        """Return the keys that are good for something, by id, the oldest first."""
        with self._lock:
            self._look()
            loaded = self._loaded
        good = [key for key, after in pairwise(loaded) if time.time_ns() < _retired_ns(after)]
        return {key.kid: key for key in [*good, *loaded[-1:]]}

    def _look(self) -> None:
        """Load what is in the folder, where its time says that something came or went.

        A time that is fresh may hide another change of the same moment.
        """
        changed_ns = self.folder.stat().st_mtime_ns
        if changed_ns == self._seen_ns and time.time_ns() - changed_ns > SETTLED_NS:
            return
        paths = sorted(self.folder.glob("*.pem"))
        if paths != self._paths:
            self._loaded = [_load(path) for path in paths if path.exists()]
            self._paths = paths
        self._seen_ns = changed_ns

    def rotate(self, *, forget: bool = False) -> SigningKey:
        """Make a new key that signs from now on; the one before still verifies.

        ``forget``: it does not, because somebody may have copied it, and all tokens end.
        """
        with self._alone():
            kept = set() if forget else self.keys().keys()
            key = self._make()
            for path in self.folder.glob("*.pem"):
                if _load(path).kid not in kept | {key.kid}:
                    path.unlink()
        return key

    def _alone(self) -> FileLock:
        return FileLock(self.folder / ".lock", timeout=LOCK_SECONDS)

    def _make(self) -> SigningKey:
        key = SigningKey.of(Ed25519PrivateKey.generate(), time.time_ns())
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.folder / f"{key.made_ns:020d}.pem"
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        draft.rename(path)
        return key

    def issue(self, principal: Principal, *, now: float | None = None) -> str:
        """Return a token for ``principal`` that lasts for LIFETIME_S seconds."""
        [*_, key] = self.keys().values()
        issued = round(time.time() if now is None else now, 3)
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": principal.subject,
            "client_id": principal.subject,
            "tenant": principal.tenant,
            "scope": " ".join(sorted(principal.scopes)),
            "iat": issued,
            "exp": int(issued) + LIFETIME_S,
            "jti": token_urlsafe(16),
        }
        headers = {"kid": key.kid, "typ": TYPE}
        return jwt.encode(claims, key.private, ALGORITHM, headers=headers)

    def verify(self, token: str) -> Principal:
        """Return whom a token speaks for; raise TokenError when it must not be trusted."""
        return self.read(token)[0]

    def read(self, token: str) -> tuple[Principal, float]:
        """Return whom a token speaks for, and when it was issued; raise TokenError."""
        if len(token) > LONGEST:
            message = "the token is too long"
            raise TokenError(message, hint="get one from POST /v1/auth/token")
        keys = self.keys()
        known = self._verified.find(token, keys)
        if known is None:
            known = _verified(token, keys, self._audience)
            self._verified.keep(token, known)
        return known.principal, known.issued_at

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JSON Web Key Set with which others can verify our tokens."""
        return {"keys": [key.jwk for key in self.keys().values()]}


def _verified(token: str, keys: Mapping[str, SigningKey], audience: str) -> Verified:
    try:
        header = jwt.get_unverified_header(token)
        key = keys.get(header.get("kid", ""))
        if key is None or header.get("typ") != TYPE:
            message = "the token was not made here"
            raise TokenError(message, hint="get one from POST /v1/auth/token")
        claims = jwt.decode(
            token,
            key.private.public_key(),
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            options={"require": list(_REQUIRED), "strict_aud": True},
        )
    except jwt.ExpiredSignatureError as error:
        message = "the token has expired"
        raise TokenError(message, hint="get a new one from POST /v1/auth/token") from error
    except jwt.InvalidTokenError as error:
        message = "the token is not valid"
        raise TokenError(message, hint="get one from POST /v1/auth/token") from error
    return Verified(_principal(claims), _issued_at(claims), key.kid, int(claims["exp"]))


def _issued_at(claims: dict[str, Any]) -> float:
    issued_at, end = float(claims["iat"]), float(claims["exp"])
    if not end - issued_at <= LIFETIME_S:
        message = "the token lasts longer than any of ours"
        raise TokenError(message)
    return issued_at


def _principal(claims: dict[str, Any]) -> Principal:
    tenant, scope = claims["tenant"], claims["scope"]
    if not isinstance(tenant, str) or not isinstance(scope, str):
        message = "the token's claims are of a wrong type"
        raise TokenError(message)
    try:
        check_tenant(tenant)
    except IdentityError as error:
        message = "the token names no tenant"
        raise TokenError(message) from error
    return Principal(claims["sub"], tenant, frozenset(scope.split()))


def _retired_ns(after: SigningKey) -> int:
    """Return when a key is good for nothing more: the last token before ``after`` has ended.

    Facades that sign for a moment longer, and clocks that differ, have a minute.
    """
    return after.made_ns + (LIFETIME_S + 60) * 1_000_000_000


def _load(path: Path) -> SigningKey:
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
        made_ns = int(path.stem) if path.stem.isdecimal() else path.stat().st_mtime_ns
    except (ValueError, OSError) as error:
        message = f"{path} is no readable key"
        raise ConfigurationError(message, hint="delete it; a new one is made") from error
    if not isinstance(private, Ed25519PrivateKey):
        message = f"{path} is no Ed25519 key"
        raise ConfigurationError(message, hint="delete it; a new one is made")
    return SigningKey.of(private, made_ns)


def _public_x(private: Ed25519PrivateKey) -> str:
    return _base64(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
