import json
import os
import stat
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from api.tokens import AUDIENCE, ISSUER, LIFETIME_S, TYPE, Keyring, SigningKey, TokenError
from api.verified import Verified, VerifiedTokens
from cli.main import app
from noctis.errors import ConfigurationError
from noctis.identity import Principal

PHONE = Principal("phone@t1", "t1", frozenset({"devices:read", "epochs:read"}))


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


def key_of(keyring: Keyring) -> SigningKey:
    [key] = keyring.keys().values()
    return key


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    good: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "phone@t1",
        "tenant": "t1",
        "scope": "devices:read",
        "iat": now,
        "exp": now + 60,
        "jti": "one",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(keyring: Keyring, *, kid: str = "", typ: str = TYPE, **changes: object) -> str:
    key = key_of(keyring)
    headers = {"kid": kid or key.kid, "typ": typ}
    return jwt.encode(claims(**changes), key.private, "EdDSA", headers=headers)


def test_a_token_speaks_for_whom_it_was_made(keyring: Keyring) -> None:
    assert keyring.verify(keyring.issue(PHONE)) == PHONE


def test_a_token_made_by_hand_with_the_right_claims_is_good(keyring: Keyring) -> None:
    assert keyring.verify(signed(keyring)).tenant == "t1"


def test_a_token_lasts_a_quarter_of_an_hour(keyring: Keyring) -> None:
    now = time.time()
    keyring.verify(keyring.issue(PHONE, now=now - LIFETIME_S + 30))
    with pytest.raises(TokenError, match="expired"):
        keyring.verify(keyring.issue(PHONE, now=now - LIFETIME_S - 1))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "sub", "jti", "tenant", "scope"])
def test_a_token_without_a_required_claim_is_refused(keyring: Keyring, name: str) -> None:
    with pytest.raises(TokenError):
        keyring.verify(signed(keyring, **{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"iss": "another-issuer"},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"tenant": ["t1"]},
        {"tenant": "svc-api"},
        {"tenant": "T1"},
        {"scope": ["devices:read"]},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    keyring: Keyring, changes: dict[str, object]
) -> None:
    with pytest.raises(TokenError):
        keyring.verify(signed(keyring, **changes))


def test_a_token_of_another_kind_is_refused(keyring: Keyring) -> None:
    with pytest.raises(TokenError):
        keyring.verify(signed(keyring, typ="JWT"))


def test_a_token_with_an_unknown_key_id_is_refused(keyring: Keyring) -> None:
    with pytest.raises(TokenError):
        keyring.verify(signed(keyring, kid="unknown"))


def test_a_token_signed_by_a_stranger_is_refused(keyring: Keyring) -> None:
    stranger = Ed25519PrivateKey.generate()
    headers = {"kid": key_of(keyring).kid, "typ": TYPE}
    with pytest.raises(TokenError):
        keyring.verify(jwt.encode(claims(), stranger, "EdDSA", headers=headers))


def test_an_unsigned_token_is_refused(keyring: Keyring) -> None:
    headers = {"kid": key_of(keyring).kid, "typ": TYPE}
    with pytest.raises(TokenError):
        keyring.verify(jwt.encode(claims(), None, "none", headers=headers))


def test_the_public_key_as_a_shared_secret_is_refused(keyring: Keyring) -> None:
    key = key_of(keyring)
    public = key.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    headers = {"kid": key.kid, "typ": TYPE}
    with pytest.raises(TokenError):
        keyring.verify(jwt.encode(claims(), public, "HS256", headers=headers))


@pytest.mark.parametrize("token", ["", "a.b.c", "no token", "e30.e30.e30", "é", "." * 5000])
def test_what_is_no_token_is_refused(keyring: Keyring, token: str) -> None:
    with pytest.raises(TokenError):
        keyring.verify(token)


def test_a_header_whose_key_id_is_no_text_is_refused(keyring: Keyring) -> None:
    with pytest.raises(TokenError):
        keyring.verify("eyJraWQiOlsxXX0.e30.e30")


def test_keys_are_for_their_owner_alone_and_last(tmp_path: Path) -> None:
    first = Keyring(tmp_path / "keys")
    token = first.issue(PHONE)
    [path] = (tmp_path / "keys").glob("*.pem")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Keyring(tmp_path / "keys").verify(token) == PHONE


def test_two_keys_overlap_while_they_are_rotated(tmp_path: Path) -> None:
    keyring, other = Keyring(tmp_path / "keys"), Keyring(tmp_path / "keys")
    before = keyring.issue(PHONE)
    new = keyring.rotate()
    after = keyring.issue(PHONE)
    assert jwt.get_unverified_header(after)["kid"] == new.kid
    assert [other.verify(token) for token in (before, after)] == [PHONE, PHONE]
    published = {entry["kid"] for entry in keyring.jwks()["keys"]}
    assert published == {jwt.get_unverified_header(token)["kid"] for token in (before, after)}


def test_a_retired_key_is_refused(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    before = keyring.issue(PHONE)
    keyring.rotate()
    min((tmp_path / "keys").glob("*.pem")).unlink()
    with pytest.raises(TokenError):
        keyring.verify(before)


def test_a_key_is_retired_when_its_last_token_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring, other = Keyring(tmp_path / "keys"), Keyring(tmp_path / "keys")
    first = keyring.issue(PHONE)
    keyring.rotate()
    later = time.time_ns() + (LIFETIME_S + 30) * 10**9
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: later)
        assert len(other.keys()) == 2
    monkeypatch.setattr(time, "time_ns", lambda: later + 60 * 10**9)
    assert len(other.keys()) == 1
    assert len(other.jwks()["keys"]) == 1
    with pytest.raises(TokenError):
        other.verify(first)
    keyring.rotate()
    assert len(list((tmp_path / "keys").glob("*.pem"))) == 2


def test_a_key_that_was_copied_is_forgotten_at_once(tmp_path: Path) -> None:
    keyring, other = Keyring(tmp_path / "keys"), Keyring(tmp_path / "keys")
    stolen = keyring.issue(PHONE)
    assert other.verify(stolen) == PHONE
    keyring.rotate(forget=True)
    with pytest.raises(TokenError):
        other.verify(stolen)
    assert other.verify(keyring.issue(PHONE)) == PHONE
    assert len(list((tmp_path / "keys").glob("*.pem"))) == 1


def test_the_command_line_rotates_keys_and_shows_no_secret(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    before = keyring.issue(PHONE)

    def run(*arguments: str) -> list[dict[str, str]]:
        command = ["key", *arguments, "--var", str(tmp_path), "--json"]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert "PRIVATE" not in done.output
        rows: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
        return rows

    assert [row["use"] for row in run("list")] == ["signs"]
    rotated = run("rotate")
    assert [row["use"] for row in rotated] == ["verifies", "signs"]
    assert run("list") == rotated
    assert keyring.verify(before) == PHONE
    assert jwt.get_unverified_header(keyring.issue(PHONE))["kid"] == rotated[-1]["kid"]
    assert len(run("rotate", "--forget")) == 1
    with pytest.raises(TokenError):
        keyring.verify(before)


def test_a_token_that_lasts_longer_than_ours_is_refused(keyring: Keyring) -> None:
    now = int(time.time())
    keyring.verify(signed(keyring, iat=now - 5, exp=now - 5 + LIFETIME_S))
    with pytest.raises(TokenError, match="longer"):
        keyring.verify(signed(keyring, iat=now - 5, exp=now - 4 + LIFETIME_S))


def test_published_keys_verify_tokens_and_hold_no_secret(keyring: Keyring) -> None:
    [entry] = keyring.jwks()["keys"]
    assert entry.keys() == {"kty", "crv", "use", "alg", "kid", "x"}
    public = jwt.PyJWK(entry).key
    verified = jwt.decode(keyring.issue(PHONE), public, algorithms=["EdDSA"], audience=AUDIENCE)
    assert verified["sub"] == "phone@t1"


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keyring(folder)
    (folder / "1.pem").write_bytes(os.urandom(32))
    with pytest.raises(ConfigurationError, match=r"1\.pem"):
        Keyring(folder)


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures are reckoned from now on."""
    seen: list[str] = []
    decode = jwt.decode

    def counted(token: str, *arguments: object, **options: object) -> object:
        seen.append(token)
        return decode(token, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(jwt, "decode", counted)
    return seen


def test_a_tokens_signature_is_reckoned_once(
    keyring: Keyring, verifications: list[str]
) -> None:
    tokens = [keyring.issue(PHONE), keyring.issue(PHONE)]
    found = [keyring.read(token) for token in tokens * 3]
    assert verifications == tokens
    assert found[:2] * 3 == found


def test_a_known_token_is_refused_from_the_moment_of_its_end(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = int(time.time()) + 60
    token = signed(keyring, exp=end)
    keyring.verify(token)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: end - 0.01)
        keyring.verify(token)
    monkeypatch.setattr(time, "time", lambda: float(end))
    assert keyring._verified.find(token, keyring.keys()) is None
    late = signed(keyring, exp=int(time.time()))
    with pytest.raises(TokenError):
        keyring.verify(late)


def test_a_known_token_is_refused_once_its_key_is_retired(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keyring, other = Keyring(folder), Keyring(folder)
    token = keyring.issue(PHONE)
    keyring.rotate()
    settle(folder)
    for it in (keyring, other):
        assert it.verify(token) == it.verify(token) == PHONE
    min(folder.glob("*.pem")).unlink()
    for it in (keyring, other):
        with pytest.raises(TokenError):
            it.verify(token)


def test_a_new_key_is_seen_at_once_by_who_looked_a_moment_ago(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keyring, other = Keyring(folder), Keyring(folder)
    settle(folder)
    assert len(other.keys()) == 1
    for count in range(2, 6):
        keyring.rotate()
        assert other.verify(keyring.issue(PHONE)) == PHONE
        assert len(other.keys()) == min(count, len(list(folder.glob("*.pem"))))


def settle(folder: Path) -> None:
    """Let the folder look as if nothing had changed in it for a while."""
    then = time.time_ns() - 60 * 10**9
    os.utime(folder, ns=(then, then))


def test_a_token_is_not_known_by_another_that_begins_alike(keyring: Keyring) -> None:
    token = keyring.issue(PHONE)
    keyring.verify(token)
    other_end = "AA" if not token.endswith("AA") else "BA"
    for forged in (token[:-1], token + "A", token[:-2] + other_end, token.upper()):
        with pytest.raises(TokenError):
            keyring.verify(forged)


def test_tokens_unused_longest_are_forgotten() -> None:
    tokens = VerifiedTokens(most=3)
    one = Verified(PHONE, 0.0, "key", time.time() + 60)
    for name in "abc":
        tokens.keep(name, one)
    assert tokens.find("a", {"key"}) == one
    tokens.keep("d", one)
    assert [tokens.find(name, {"key"}) for name in "abcd"] == [one, None, one, one]
    assert len(tokens) == 3
