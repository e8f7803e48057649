"""Passwords as Mosquitto keeps them: ``$7$iterations$salt$hash``, PBKDF2-HMAC-SHA512."""

import hmac
import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import pbkdf2_hmac
from typing import Final

__all__ = ["generate", "hash_password", "verify"]

# The broker hashes at every connect, in its only thread; the passwords are random and long,
# so what slows a guesser down is their entropy.
ITERATIONS: Final = 1_000
SALT_BYTES: Final = 12
HASH_BYTES: Final = 64
MOST_ITERATIONS: Final = 10_000_000


def generate() -> str:
    """Return a new password of 192 random bits."""
    return secrets.token_urlsafe(24)


def hash_password(password: str, *, iterations: int = ITERATIONS) -> str:
    """Return what is stored of a password."""
    salt = os.urandom(SALT_BYTES)
    digest = pbkdf2_hmac("sha512", password.encode(), salt, iterations, HASH_BYTES)
    return f"$7${iterations}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def verify(password: str, stored: str) -> bool:
    """Tell whether ``password`` is what ``stored`` was made of; False for a bad hash."""
    try:
        empty, kind, count, salt, digest = stored.split("$")
        iterations, expected = int(count), b64decode(digest, validate=True)
        known_salt = b64decode(salt, validate=True)
    except (ValueError, Base64Error):
        return False
    if (empty, kind) != ("", "7") or not 0 < iterations <= MOST_ITERATIONS or not expected:
        return False
    found = pbkdf2_hmac("sha512", password.encode(), known_salt, iterations, len(expected))
    return hmac.compare_digest(found, expected)
