"""Tokens that must not be trusted, each made of a good one in a way of its own."""

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.tokens import AUDIENCE, ISSUER, TYPE, Keyring

Forge = Callable[[dict[str, Any], dict[str, str], Keyring], str]


def _signed(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
    [*_, key] = keys.keys().values()
    return jwt.encode(claims, key.private, "EdDSA", headers=headers)


def _confused(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
    """Sign with HMAC, with the public key for a secret (as no library does any more)."""
    [*_, key] = keys.keys().values()
    public = key.private.public_key()
    unsigned = jwt.encode(claims, "x" * 64, "HS256", headers=headers).rpartition(".")[0]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.digest(pem, unsigned.encode(), sha256)
    return f"{unsigned}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def _other_key(claims: dict[str, Any], headers: dict[str, str], _keys: Keyring) -> str:
    return jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers=headers)


def _unsigned(claims: dict[str, Any], headers: dict[str, str], _keys: Keyring) -> str:
    return jwt.encode(claims, None, "none", headers=headers)  # type: ignore[arg-type]


def _swapped(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
    """Put another tenant's claims under a good signature."""
    head, _, signature = _signed(claims, headers, keys).split(".")
    other = _signed(claims | {"tenant": "home"}, headers, keys).split(".")[1]
    return f"{head}.{other}.{signature}"


def _changed(**changes: Any) -> Forge:  # noqa: ANN401 - any claim
    def forge(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
        changed = {k: v for k, v in (claims | changes).items() if v is not None}
        return _signed(changed, headers, keys)

    return forge


def _headed(**changes: str) -> Forge:
    def forge(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
        return _signed(claims, headers | changes, keys)

    return forge


FORGED: Final[dict[str, Forge]] = {
    "without a signature": _unsigned,
    "signed by HMAC with the public key": _confused,
    "signed by another key under our key's id": _other_key,
    "of another tenant under this one's signature": _swapped,
    "under an unknown key's id": _headed(kid="unknown"),
    "of another type": _headed(typ="JWT"),
    "for another audience": _changed(aud="another-api"),
    "of another issuer": _changed(iss="mallory"),
    "without an end": _changed(exp=None),
    "without a beginning": _changed(iat=None),
    "without a name": _changed(jti=None),
    "without a tenant": _changed(tenant=None),
    "of a tenant that cannot be": _changed(tenant="svc-live-0"),
    "of a tenant that is no text": _changed(tenant=["inn"]),
    "that has expired": _changed(exp=1_700_000_000),
    "that begins tomorrow": _changed(nbf=4_000_000_000),
}


def forged(kind: str, keys: Keyring, scopes: Iterable[str], audience: str = AUDIENCE) -> str:
    """Return a token of a kind of FORGED, else as ``genuine``."""
    return FORGED[kind](*_parts(keys, scopes, audience), keys)


def genuine(keys: Keyring, scopes: Iterable[str], audience: str = AUDIENCE) -> str:
    """Return a good token of somebody of the tenant inn."""
    return _signed(*_parts(keys, scopes, audience), keys)


def _parts(
    keys: Keyring, scopes: Iterable[str], audience: str
) -> tuple[dict[str, Any], dict[str, str]]:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": "walker@inn",
        "client_id": "walker@inn",
        "tenant": "inn",
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + 600,
        "jti": "walk",
    }
    return claims, {"kid": next(iter(keys.keys())), "typ": TYPE}
