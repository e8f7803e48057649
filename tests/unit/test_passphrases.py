import pytest

from noctis import passphrases
from noctis.passphrases import FEWEST, MOST, PassphraseError

WORDS = "correct horse battery staple"


def test_a_password_is_known_again_and_another_is_not() -> None:
    stored = passphrases.hash_passphrase(WORDS)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert WORDS not in stored
    assert passphrases.verify(WORDS, stored) == (True, None)
    assert passphrases.verify(WORDS + " ", stored) == (False, None)


def test_letters_are_the_same_however_a_keyboard_composes_them() -> None:
    stored = passphrases.hash_passphrase("schlaf gu\u0308nstig ein")
    assert passphrases.verify("schlaf g\u00fcnstig ein", stored)[0]


def test_a_hash_of_weaker_parameters_is_renewed_at_a_login() -> None:
    from argon2 import PasswordHasher  # noqa: PLC0415 - only to make an old hash

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(WORDS)
    right, renewed = passphrases.verify(WORDS, weak)
    assert right
    assert renewed is not None
    assert passphrases.verify(WORDS, renewed) == (True, None)


@pytest.mark.parametrize("stored", [None, "", "x", "$7$1000$c2FsdA==$aGFzaA==", "$argon2id$"])
def test_what_is_no_hash_is_nobodys_password(stored: str | None) -> None:
    assert passphrases.verify(WORDS, stored) == (False, None)


@pytest.mark.parametrize("password", ["", "x" * (FEWEST - 1), "x" * (MOST + 1), "\ud800" * 20])
def test_a_password_that_nobody_should_have_is_refused(password: str) -> None:
    with pytest.raises(PassphraseError):
        passphrases.hash_passphrase(password)
    assert passphrases.verify(password, None) == (False, None)


def test_a_made_password_is_long_enough_and_another_each_time() -> None:
    made = {passphrases.generate() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= FEWEST
