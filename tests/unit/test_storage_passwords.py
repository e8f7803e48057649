import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noctis.storage.passwords import generate, hash_password, verify


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=40), st.text(max_size=40))
def test_only_the_password_itself_is_verified(password: str, other: str) -> None:
    stored = hash_password(password, iterations=10)
    assert verify(password, stored)
    assert verify(other, stored) == (other == password)


def test_the_same_password_is_stored_differently_each_time() -> None:
    assert hash_password("secret") != hash_password("secret")


def test_generated_passwords_are_long_and_differ() -> None:
    assert len({generate() for _ in range(100)}) == 100
    assert all(len(generate()) >= 32 for _ in range(10))


def test_a_known_hash_of_the_brokers_is_verified() -> None:
    # PBKDF2-HMAC-SHA512 of "password", salt "saltsalt", 1 round, as openssl kdf computes it.
    stored = (
        "$7$1$c2FsdHNhbHQ=$"
        "y99Aqyh+xt2ovbJvGRltovGpWf8SfKJATk5ELfdRhStw"
        "vGAd6YSOUD0tNyMyqMpAiaYf7puolRhDkqtkfsdXOA=="
    )
    assert verify("password", stored)
    assert not verify("Password", stored)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "password",
        "$6$salt$hash",
        "$6$101$c2FsdA==$c2FsdA==",
        "$7$0$c2FsdA==$c2FsdA==",
        "$7$-5$c2FsdA==$c2FsdA==",
        "$7$x$c2FsdA==$c2FsdA==",
        "$7$99999999999$c2FsdA==$c2FsdA==",
        "$7$101$!!$c2FsdA==",
        "$7$101$c2FsdA==$",
        "$7$101$c2FsdA==$c2FsdA==$more",
    ],
)
def test_a_damaged_hash_matches_nothing(stored: str) -> None:
    assert not verify("", stored)
    assert not verify("password", stored)
