"""Mosquitto behind TLS: who gets in with which certificate, and for how long."""

import ssl
from collections.abc import Iterator
from contextlib import suppress

import pytest

from noctis.certificates import Authority, make_key
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.integration.tls_fixtures import Device, House, house

pytestmark = pytest.mark.broker
__all__ = ["house"]


@pytest.fixture
def services(house: House) -> Iterator[Client]:
    with Client(house.server.port, "svc-companion-0") as client:
        client.subscribe("noctis/v1/up/+/+/+/status")
        yield client


def test_a_certificate_says_who_a_device_is_and_nobody_can_claim_another_name(
    house: House, services: Client
) -> None:
    _, file = house.certified("t1/d1")
    with Device(house, file, client_id="t2/d1") as device:
        assert device.refused is None
        device.publish("noctis/v1/up/3/t1/d1/status", b"own")
        device.publish("noctis/v1/up/3/t2/d1/status", b"another's")
        assert services.topics() == ["noctis/v1/up/3/t1/d1/status"]


def test_a_user_name_and_password_sent_with_a_certificate_change_nothing(
    house: House, services: Client
) -> None:
    _, file = house.certified("t1/d1")
    device = Device(house, file)
    device._client.username_pw_set("svc-companion-0", password_of("svc-companion-0"))
    with device:
        device.publish("noctis/v1/down/t2/d1/command", b"not ours")
        device.publish("noctis/v1/up/3/t1/d1/status", b"ours")
        assert services.topics() == ["noctis/v1/up/3/t1/d1/status"]


def test_the_client_id_is_the_certificates_name_so_that_nobody_takes_anothers_session(
    house: House,
) -> None:
    (_, one), (_, other) = house.certified("t1/d1"), house.certified("t1/d2")
    with Device(house, one, client_id="same") as first:
        with Device(house, other, client_id="t1/d1"):
            assert first.is_connected()
        with Device(house, one, client_id="else"):
            assert eventually(lambda: not first.is_connected())


@pytest.mark.parametrize("kind", ["foreign", "expired", "none", "server's"])
def test_no_other_certificate_gets_in_and_the_refusal_says_why(house: House, kind: str) -> None:
    if kind == "none":
        assert "HANDSHAKE_FAILURE" in house.hello(house.context(None))
        return
    if kind == "server's":
        key, public_key = make_key()
        file = house.folder / "as-server.pem"
        file.write_text(house.authority.issue_server(["t1/d1"], public_key).pem + key)
        assert house.hello(house.context(file)) != "in"
        return
    by = Authority.create() if kind == "foreign" else None
    _, file = house.certified("t1/d1", by=by, days=0)
    reason = {"foreign": "UNKNOWN_CA", "expired": "CERTIFICATE_EXPIRED"}[kind]
    assert reason in house.hello(house.context(file))


def test_a_revoked_certificate_ends_its_session_and_is_refused_and_a_newer_one_is_not(
    house: House,
) -> None:
    (old, old_file), (_, new_file) = house.certified("t1/d1"), house.certified("t1/d1")
    _, other_file = house.certified("t1/d2")
    with (
        Device(house, old_file) as device,
        Device(house, other_file) as other,
        Client(house.server.port, "phone@t1") as phone,
    ):
        house.revoked.append((old.serial, "t1/d1"))
        house.reload()
        assert eventually(lambda: not device.is_connected())
        assert other.is_connected()
        assert phone.is_connected()
    assert "REVOKED" in house.hello(house.context(old_file))
    assert house.hello(house.context(new_file)) == "in"


def test_a_tls_session_from_before_the_revocation_is_not_resumed(house: House) -> None:
    issued, file = house.certified("t1/d1")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = house.context(file)
        context.maximum_version = version
        with house.greeted(context) as link:
            kept = link.session
        with house.greeted(context, kept) as link:
            assert link.session_reused, "else this test shows nothing"
            kept = link.session
        house.revoked.append((issued.serial, "t1/d1"))
        house.reload()
        assert house.hello(context, kept) != "in"
        house.revoked.pop()
        house.reload()


def test_a_device_that_is_revoked_gets_nowhere_even_before_the_list_is_signed(
    house: House, services: Client
) -> None:
    issued, file = house.certified("t2/d1")
    with Device(house, file) as device:
        house.revoked.append((issued.serial, "t2/d1"))
        house.reload(denied=frozenset({"t2/d1"}), signed=False)
        assert eventually(lambda: not device.is_connected())
    with suppress(Exception), Device(house, file) as again:
        again.subscribe("noctis/v1/down/t2/d1/#")
        again.publish("noctis/v1/up/3/t2/d1/status", b"still here")
        with Client(house.server.port, "svc-companion-0") as companion:
            companion.publish("noctis/v1/down/t2/d1/command", b"to nobody")
        assert again.topics() == []
    assert services.topics() == []
    house.revoked.pop()
    house.reload()


def test_the_password_that_ends_a_session_opens_no_door_afterwards(house: House) -> None:
    issued, file = house.certified("t9/d9")
    with Device(house, file):
        house.revoked.append((issued.serial, "t9/d9"))
        house.reload(denied=frozenset({"t9/d9"}))
    assert "t9/d9" not in (house.server.folder / "accounts").read_text()


def test_the_listener_for_passwords_asks_for_no_certificate_and_takes_no_device_without_one(
    house: House,
) -> None:
    context = house.context(None)
    for username, is_right in (("phone@t1", True), ("t1/d1", False)):
        client = Client(house.password_port, username)
        if not is_right:
            client._client.username_pw_set(username, "wrong")
        client._client.tls_set_context(context)
        with client:
            assert (client.refused is None) == is_right


def test_a_renewed_certificate_of_the_server_is_served_without_a_restart(house: House) -> None:
    key, public_key = make_key()
    renewed = house.authority.issue_server(["127.0.0.1"], public_key)
    house.server.install("server.crt", renewed.pem)
    house.server.install("server.key", key)
    pid = house.server.pid
    house.reload()
    _, file = house.certified("t1/d1")
    with house.greeted(house.context(file)) as link:
        served = link.getpeercert()
    assert served is not None
    assert int(str(served["serialNumber"]), 16) == int(renewed.serial, 16)
    assert house.server.pid == pid
