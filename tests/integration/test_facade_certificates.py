"""Devices that are certified through the facade, on a real database."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from api.app import create_app
from api.scopes import SCOPES
from noctis.certificates import Authority, make_key, make_request, read_certificate
from noctis.identity import DeviceId
from noctis.revocation_lists import listed, refresh
from noctis.settings import Settings
from noctis.storage import accounts, certificates, revocations, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.passwords import verify
from tests.facades import Asker, problem_of
from tests.integration.conftest import fresh_database

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def settings(
    postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    with fresh_database(postgres, migrated) as url:
        yield Settings(var=tmp_path_factory.mktemp("var"), database_url=SecretStr(url))


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Engine]:
    engine = create(settings.database_url.get_secret_value(), application="noctis-test")
    with transaction(engine) as connection:
        for name in ("t1", "t2"):
            tenants.add(connection, name)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def authority(settings: Settings) -> Authority:
    made = Authority.create()
    made.save(settings.ca_folder)
    return made


@pytest.fixture(scope="module")
def app(
    database: Engine,  # noqa: ARG001 - there must be tenants
    authority: Authority,  # noqa: ARG001 - and a CA
    settings: Settings,
) -> Iterator[FastAPI]:
    made = create_app(settings)
    yield made
    made.state.noctis.database.close()


@pytest.fixture(scope="module")
def home(app: FastAPI) -> Asker:
    return Asker(app, "t1", *SCOPES)


def wanted(device: str, *, tenant: str = "t1") -> dict[str, Any]:
    request = make_request(DeviceId(tenant, device), make_key()[0])
    return {"credential": {"kind": "certificate", "request": request}}


def states(database: Engine, device: str) -> list[bool]:
    """Tell of each of a device's certificates, oldest first, whether it is good."""
    with transaction(database) as connection:
        known = certificates.list_of("t1", connection, device)
    return [it.revoked_at is None for it in known]


def test_a_device_is_certified_for_the_key_of_its_request_and_gets_no_password(
    home: Asker, database: Engine, authority: Authority
) -> None:
    key, public_key = make_key()
    request = make_request(DeviceId("t1", "own-key"), key)
    body = {"name": "own-key", "credential": {"kind": "certificate", "request": request}}
    answer = home("POST", "/v1/devices", json=body)
    assert answer.status_code == 201
    given = answer.json()["credential"]
    assert given.keys() == {"kind", "username", "chain", "serial", "not_after"}
    own, ca = x509.load_pem_x509_certificates(given["chain"].encode())
    own.verify_directly_issued_by(ca)
    assert read_certificate(authority.certificate.pem).serial == f"{ca.serial_number:x}"
    assert own.public_key() == public_key
    assert read_certificate(given["chain"]).name == given["username"] == "t1/own-key"
    assert states(database, "own-key") == [True]
    with transaction(database) as connection:
        [account] = accounts.list_of("t1", connection)
    assert not verify("", account.password_hash)


def test_the_certificate_before_is_good_until_the_new_one_was_used(
    home: Asker, database: Engine, authority: Authority
) -> None:
    home("POST", "/v1/devices", json={"name": "renewed", **wanted("renewed")})
    first = home("POST", "/v1/devices/renewed:rotate", json=wanted("renewed")).json()
    assert states(database, "renewed") == [True, True]
    second = home("POST", "/v1/devices/renewed:rotate", json=wanted("renewed")).json()
    with transaction(database) as connection:
        certificates.used("t1", connection, "renewed", first["serial"])
    assert states(database, "renewed") == [False, True, True]
    with transaction(database) as connection:
        certificates.used("t2", connection, "renewed", second["serial"])
        certificates.used("t1", connection, "another", second["serial"])
    assert states(database, "renewed") == [False, True, True]
    with transaction(database) as connection:
        certificates.used("t1", connection, "renewed", second["serial"])
        assert refresh(connection, authority)
        assert first["serial"] in listed(revocations.current(connection).pem)
        assert not refresh(connection, authority), "nothing has changed since"
    assert states(database, "renewed") == [False, False, True]


def test_a_password_ends_the_certificates_and_a_certificate_the_password(
    home: Asker, database: Engine
) -> None:
    made = home("POST", "/v1/devices", json={"name": "changed"}).json()["credential"]
    assert home("POST", "/v1/devices/changed:rotate", json=wanted("changed")).is_success
    with transaction(database) as connection:
        [account] = [
            it for it in accounts.list_of("t1", connection) if it.username == "t1/changed"
        ]
    assert not verify(made["password"], account.password_hash)
    given = home("POST", "/v1/devices/changed:rotate").json()
    assert given["kind"] == "password"
    assert states(database, "changed") == [False]


def test_a_revoked_device_is_denied_and_listed_as_long_as_its_certificate_is_valid(
    home: Asker, database: Engine, authority: Authority
) -> None:
    body = {"name": "gone", **wanted("gone")}
    serial = home("POST", "/v1/devices", json=body).json()["credential"]["serial"]
    assert home("POST", "/v1/devices/gone:revoke").is_success
    with transaction(database) as connection:
        refresh(connection, authority)
        known = revocations.current(connection)
    assert "t1/gone" in known.denied
    assert known.owners[serial] == "t1/gone"
    assert serial in listed(known.pem)
    problem_of(home("POST", "/v1/devices/gone:rotate", json=wanted("gone")), 409)


@pytest.mark.parametrize(
    "request_pem",
    [
        "no request",
        make_request(DeviceId("t1", "other"), make_key()[0]),
        make_request(DeviceId("t2", "wrong"), make_key()[0]),
        make_request(DeviceId("t1", "wrong"), make_key()[0]).replace("A", "B", 3),
    ],
)
def test_a_request_that_is_not_acceptable_is_told_with_its_place_and_adds_no_device(
    home: Asker, request_pem: str
) -> None:
    credential = {"kind": "certificate", "request": request_pem}
    body = {"name": "wrong", "credential": credential}
    problem = problem_of(home("POST", "/v1/devices", json=body), 422)
    assert problem["errors"][0]["pointer"] == "#/credential/request"
    problem_of(home("GET", "/v1/devices/wrong"), 404)


@pytest.mark.parametrize(
    ("credential", "pointer"),
    [
        ({"kind": "certificate"}, "#/credential/request"),
        ({"kind": "handshake"}, "#/credential"),
        ({"kind": "password", "request": "x"}, "#/credential/request"),
    ],
)
def test_a_credential_of_no_kind_there_is_is_told(
    home: Asker, credential: dict[str, str], pointer: str
) -> None:
    body = {"name": "wrong", "credential": credential}
    problem = problem_of(home("POST", "/v1/devices", json=body), 422)
    assert pointer in {it["pointer"] for it in problem["errors"]}


def test_where_there_is_no_ca_it_says_so(home: Asker, settings: Settings) -> None:
    key = settings.ca_folder / "ca.key"
    key.rename(settings.ca_folder / "away")
    try:
        body = {"name": "early", **wanted("early")}
        problem = problem_of(home("POST", "/v1/devices", json=body), 409)
    finally:
        (settings.ca_folder / "away").rename(key)
    assert problem["type"] == "urn:noctis:problem:no-ca"
    problem_of(home("GET", "/v1/devices/early"), 404)


def test_a_revoked_certificate_that_has_ended_is_listed_no_more(
    database: Engine, authority: Authority
) -> None:
    issued = authority.issue_device(DeviceId("t1", "ended"), make_key()[1])
    long_ago = datetime.now(UTC) - timedelta(days=2)
    with transaction(database) as connection:
        certificates.record("t1", connection, issued)
        certificates.record("t1", connection, replace(issued, serial="e1", not_after=long_ago))
        for serial in (issued.serial, "e1"):
            certificates.revoke("t1", connection, serial)
        assert issued.serial in revocations.due(connection)
        assert "e1" not in revocations.due(connection)
