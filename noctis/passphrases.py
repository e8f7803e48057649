"""Passwords of people: argon2id, slow and greedy by intention.

Those of devices, apps and services are random and long, and hashed as the broker reads them
(``noctis.storage.passwords``); people choose theirs.
"""

import unicodedata
from functools import cache
from secrets import token_urlsafe
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from noctis.errors import NoctisError

__all__ = ["FEWEST", "MOST", "PassphraseError", "generate", "hash_passphrase", "verify"]

# NIST SP 800-63B-4, 3.1.1.2: fifteen where there is no second factor, and no rules about what
# kinds of characters.
FEWEST: Final = 15
MOST: Final = 256

_hasher: Final = PasswordHash((Argon2Hasher(),))


class PassphraseError(NoctisError):
    """A password that is too short or too long, or no text."""


def generate() -> str:
    """Return a password of 144 random bits."""
    return token_urlsafe(18)


def hash_passphrase(passphrase: str) -> str:
    """Return what is stored of a password: a fifth of a second and 64 MiB.

    Raise PassphraseError for one that nobody should have.
    """
    if not FEWEST <= len(passphrase) <= MOST:
        message = f"a password has {FEWEST} to {MOST} characters"
        raise PassphraseError(message, hint="take a few words that do not belong together")
    return _hasher.hash(_bytes(passphrase))


def verify(passphrase: str, stored: str | None) -> tuple[bool, str | None]:
    """Tell whether ``stored`` was made of it; as slowly where nothing is stored.

    The second is what should be stored from now on, where that has changed.
    """
    fallback = _nobody()
    if len(passphrase) > MOST:
        return False, None
    try:
        right, renewed = _hasher.verify_and_update(_bytes(passphrase), stored or fallback)
    except (UnknownHashError, PassphraseError):
        return False, None
    return (True, renewed) if right and stored else (False, None)


def _bytes(passphrase: str) -> bytes:
    """Return the same bytes however a keyboard composes the same letters."""
    try:
        return unicodedata.normalize("NFKC", passphrase).encode()
    except UnicodeEncodeError as error:
        message = "the password holds what is no character"
        raise PassphraseError(message) from error


@cache
def _nobody() -> str:
    return _hasher.hash(token_urlsafe(18))
