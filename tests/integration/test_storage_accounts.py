import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from noctis.errors import IdentityError
from noctis.storage import accounts, dead_letters, devices, tenants
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.passwords import verify

pytestmark = pytest.mark.postgres
HOME = accounts.App("home", None)


@pytest.fixture(autouse=True)
def home(connection: Connection) -> None:
    tenants.add(connection, "home")
    tenants.add(connection, "away")


def test_tenants_are_listed_by_name(connection: Connection) -> None:
    assert [tenant.name for tenant in tenants.list_all(connection)] == ["away", "home"]


def test_a_tenant_is_added_once_and_its_name_checked(connection: Connection) -> None:
    with pytest.raises(AlreadyExistsError, match="'home'"):
        tenants.add(connection, "home")
    for name in ("svc-x", "Home", "", "a/b"):
        with pytest.raises(IdentityError):
            tenants.add(connection, name)


def test_a_tenant_sees_its_own_devices_alone(connection: Connection) -> None:
    devices.add("home", connection, "bed", time_zone="Europe/Berlin")
    devices.add("away", connection, "tent")
    [bed] = devices.list_of("home", connection)
    assert (bed.name, bed.time_zone, bed.revoked_at) == ("bed", "Europe/Berlin", None)
    with pytest.raises(NotFoundError, match="'home' has no device 'tent'"):
        devices.get("home", connection, "tent")
    with pytest.raises(NotFoundError, match="no tenant 'nobody'"):
        devices.list_of("nobody", connection)


def test_a_device_is_added_once_and_its_facts_checked(connection: Connection) -> None:
    devices.add("home", connection, "bed")
    with pytest.raises(AlreadyExistsError, match="'bed'"):
        devices.add("home", connection, "bed")
    with pytest.raises(NotFoundError, match="no tenant 'nobody'"):
        devices.add("nobody", connection, "bed")
    for name, zone in (("Bed", "UTC"), ("bed2", "Mars/Olympus"), ("bed2", "../etc/passwd")):
        with pytest.raises(IdentityError):
            devices.add("home", connection, name, time_zone=zone)


def test_a_revoked_device_and_its_account_stay_revoked(connection: Connection) -> None:
    devices.add("home", connection, "bed")
    accounts.add("home", connection, "home/bed", "device")
    first = devices.revoke("home", connection, "bed")
    assert first.revoked_at is not None
    assert accounts.active(connection) == []
    assert devices.revoke("home", connection, "bed") == first
    with pytest.raises(NotFoundError):
        devices.revoke("away", connection, "bed")


def test_a_generated_password_is_told_once_and_stored_hashed(connection: Connection) -> None:
    password = accounts.add("home", connection, "phone@home", "app")
    [account] = accounts.active(connection)
    assert len(password) >= 32
    assert password not in account.password_hash
    assert account.password_hash not in repr(account)
    assert verify(password, account.password_hash)
    assert (account.username, account.kind, account.tenant) == ("phone@home", "app", "home")


@pytest.mark.parametrize(
    ("username", "kind"),
    [
        ("away/bed", "device"),
        ("phone@away", "app"),
        ("phone", "app"),
        ("bed", "device"),
        ("home/bed", "app"),
        ("phone@home", "device"),
        ("svc-live-0", "service"),
        ("home/bed/x", "device"),
        ("a:b@home", "app"),
        ("a\nb@home", "app"),
    ],
)
def test_an_account_of_another_shape_is_refused(
    connection: Connection, username: str, kind: str
) -> None:
    with pytest.raises(IdentityError):
        accounts.add("home", connection, username, kind)


def test_an_account_is_added_once(connection: Connection) -> None:
    accounts.add("home", connection, "phone@home", "app")
    with pytest.raises(AlreadyExistsError, match="'phone@home'"):
        accounts.add("home", connection, "phone@home", "app")


def test_a_service_may_be_set_again_and_again(connection: Connection) -> None:
    accounts.set_service(connection, "svc-ingestor-0", "first")
    accounts.set_service(connection, "svc-ingestor-0", "second")
    [account] = accounts.active(connection)
    assert account.tenant is None
    assert verify("second", account.password_hash)
    with pytest.raises(IdentityError):
        accounts.set_service(connection, "ingestor", "x")


def test_only_an_app_with_its_own_password_gets_its_tenant(connection: Connection) -> None:
    accounts.add("home", connection, "phone@home", "app", "secret")
    accounts.add("home", connection, "home/bed", "device", "secret")
    accounts.set_service(connection, "svc-live-0", "secret")
    assert accounts.authenticate(connection, "phone@home", "secret") == HOME
    assert accounts.authenticate(connection, "phone@home", "Secret") is None
    assert accounts.authenticate(connection, "phone@away", "secret") is None
    assert accounts.authenticate(connection, "home/bed", "secret") is None
    assert accounts.authenticate(connection, "svc-live-0", "secret") is None
    accounts.revoke("home", connection, "phone@home")
    assert accounts.authenticate(connection, "phone@home", "secret") is None


def test_a_new_password_replaces_the_old_one(connection: Connection) -> None:
    accounts.add("home", connection, "phone@home", "app", "old")
    new = accounts.set_password("home", connection, "phone@home")
    assert accounts.authenticate(connection, "phone@home", "old") is None
    assert accounts.authenticate(connection, "phone@home", new) == HOME


def test_a_tenant_cannot_touch_another_ones_account(connection: Connection) -> None:
    accounts.add("home", connection, "phone@home", "app", "secret")
    with pytest.raises(NotFoundError):
        accounts.revoke("away", connection, "phone@home")
    with pytest.raises(NotFoundError):
        accounts.set_password("away", connection, "phone@home")
    assert accounts.list_of("away", connection) == []
    assert accounts.authenticate(connection, "phone@home", "secret") == HOME


def test_an_app_may_have_a_role_and_a_device_none(connection: Connection) -> None:
    accounts.add("home", connection, "sync@home", "app", "secret", role="admin")
    assert accounts.authenticate(connection, "sync@home", "secret") == accounts.App(
        "home", "admin"
    )
    accounts.set_role("home", connection, "sync@home", None)
    assert accounts.authenticate(connection, "sync@home", "secret") == HOME
    with pytest.raises(IdentityError, match="no role 'root'"):
        accounts.set_role("home", connection, "sync@home", "root")
    with pytest.raises(NotFoundError):
        accounts.set_role("away", connection, "sync@home", "admin")
    with pytest.raises(IdentityError):
        accounts.add("home", connection, "home/bed", "device", role="viewer")
    accounts.add("home", connection, "home/bed", "device")
    with pytest.raises(NotFoundError):
        accounts.set_role("home", connection, "home/bed", "viewer")


def test_mosquittos_own_hash_is_verified(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.touch()
    program = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
    subprocess.run([program, "-b", file, "phone@home", "secret"], check=True, timeout=20)
    hashed = file.read_text().strip().partition(":")[2]
    assert hashed.startswith("$7$")
    assert verify("secret", hashed)
    assert not verify("Secret", hashed)


def test_a_dead_letter_is_kept_once_and_its_repeats_counted(connection: Connection) -> None:
    letter = {"topic": "t", "reason": "crc", "detail": "the CRC-32 is wrong"}
    assert dead_letters.put("home", connection, "bed", payload=b"x", **letter)
    assert not dead_letters.put("home", connection, "bed", payload=b"x", **letter)
    assert dead_letters.put("home", connection, "bed", payload=b"y", **letter)
    assert dead_letters.put("home", connection, "cot", payload=b"x", **letter)
    found = {
        (one.device, one.payload): one.count for one in dead_letters.list_of("home", connection)
    }
    assert found == {("bed", b"x"): 2, ("bed", b"y"): 1, ("cot", b"x"): 1}
    assert dead_letters.list_of("away", connection) == []


def test_dead_letters_of_a_device_are_capped_and_the_rest_is_counted(
    connection: Connection,
) -> None:
    letter = {"topic": "t", "reason": "crc", "detail": ""}
    kept = [
        dead_letters.put("home", connection, "bed", payload=b"%d" % n, **letter)
        for n in range(dead_letters.KEPT_PER_DEVICE + 5)
    ]
    assert kept.count(True) == dead_letters.KEPT_PER_DEVICE
    assert dead_letters.put("home", connection, "cot", payload=b"1", **letter)
    rest = [
        one
        for one in dead_letters.list_of("home", connection, limit=1000)
        if one.reason == "overflow"
    ]
    assert [(one.device, one.payload, one.count) for one in rest] == [("bed", b"", 5)]


def test_a_long_dead_letter_is_cut(connection: Connection) -> None:
    dead_letters.put(
        "home", connection, "bed", topic="t", reason="length", detail="", payload=bytes(1 << 20)
    )
    [letter] = dead_letters.list_of("home", connection)
    assert len(letter.payload) == dead_letters.KEPT_BYTES


def test_the_database_itself_refuses_a_tenant_of_a_services_name(
    connection: Connection,
) -> None:
    with pytest.raises(Exception, match="ck_tenants_name"), connection.begin_nested():
        connection.execute(text("INSERT INTO tenants (name) VALUES ('svc-x')"))
