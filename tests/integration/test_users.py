from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import Connection, Engine, text

from noctis.errors import IdentityError
from noctis.identity import ROLES
from noctis.storage import accounts, erasures, refreshes, tenants, users, void_tokens
from noctis.storage.engine import transaction
from noctis.storage.errors import AlreadyExistsError, LastAdminError, NotFoundError
from noctis.storage.refreshes import Outcome, Secret
from noctis.storage.users import User

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SCOPES = frozenset({"devices:read", "epochs:read"})


@pytest.fixture(autouse=True)
def home(connection: Connection) -> None:
    tenants.add(connection, "home")
    tenants.add(connection, "away")


def add(connection: Connection, name: str, role: str = "member", tenant: str = "home") -> User:
    return users.add(tenant, connection, name, role=role, password_hash=f"hash of {name}")


def signed_in(connection: Connection, user: User, tenant: str = "home") -> Secret:
    return refreshes.begin(tenant, connection, user.id, SCOPES, NOW)


def turned(connection: Connection, secret: Secret, tenant: str = "home") -> Outcome:
    return refreshes.turn(tenant, connection, secret, NOW).outcome


def is_void(connection: Connection, subject: str) -> bool:
    return void_tokens.digest(subject) in void_tokens.list_all(connection)[1]


@pytest.mark.parametrize("role", ROLES)
def test_a_user_has_a_role_that_the_table_knows(connection: Connection, role: str) -> None:
    assert add(connection, "ann", role).role == role
    assert "hash" not in repr(users.get("home", connection, "ann"))


def test_a_name_is_taken_in_its_tenant_alone(connection: Connection) -> None:
    add(connection, "ann")
    add(connection, "ann", tenant="away")
    with pytest.raises(AlreadyExistsError, match="'ann'"):
        add(connection, "ann")
    with pytest.raises(IdentityError):
        add(connection, "Ann")
    with pytest.raises(IdentityError, match="no role 'root'"):
        add(connection, "bob", "root")
    with pytest.raises(NotFoundError):
        add(connection, "ann", tenant="nowhere")


def test_a_tenant_sees_and_changes_its_own_users_alone(connection: Connection) -> None:
    add(connection, "ann", "admin")
    assert users.find("away", connection, "ann") is None
    assert users.find("nowhere", connection, "ann") is None
    assert users.list_of("away", connection) == []
    for change in (
        lambda: users.get("away", connection, "ann"),
        lambda: users.remove("away", connection, "ann"),
        lambda: users.set_role("away", connection, "ann", "viewer"),
        lambda: users.set_password("away", connection, "ann", "x"),
    ):
        with pytest.raises(NotFoundError):
            change()
    assert users.get("home", connection, "ann").role == "admin"


def test_users_are_listed_by_name_in_pages(connection: Connection) -> None:
    for name in ("cid", "ann", "bob"):
        add(connection, name)
    assert [it.name for it in users.list_of("home", connection, limit=2)] == ["ann", "bob"]
    assert [it.name for it in users.list_of("home", connection, after="bob")] == ["cid"]


def test_the_last_admin_stays_unless_the_operator_says_so(connection: Connection) -> None:
    add(connection, "ann", "admin")
    add(connection, "bob")
    add(connection, "eve", "admin", tenant="away")
    with pytest.raises(LastAdminError, match="'ann'"):
        users.remove("home", connection, "ann")
    with pytest.raises(LastAdminError):
        users.set_role("home", connection, "ann", "member")
    assert users.set_role("home", connection, "ann", "platform").role == "platform"
    users.remove("home", connection, "bob")
    add(connection, "cid", "admin")
    users.remove("home", connection, "ann")
    users.set_role("home", connection, "cid", "viewer", spare_last_admin=False)
    users.remove("home", connection, "cid", spare_last_admin=False)


def test_two_admins_who_remove_each_other_do_not_both_succeed(engine: Engine) -> None:
    with transaction(engine) as connection:
        tenants.add(connection, "duel")
        for name in ("ann", "bob"):
            add(connection, name, "admin", tenant="duel")
    refused = []

    def remove(name: str) -> None:
        try:
            with transaction(engine) as connection:
                users.remove("duel", connection, name)
        except LastAdminError:
            refused.append(name)

    with transaction(engine) as connection:
        users.remove("duel", connection, "ann")
        other = Thread(target=remove, args=("bob",))
        other.start()
        other.join(0.5)
        assert other.is_alive()  # it waits for this transaction
    other.join(20)
    assert refused == ["bob"]


@pytest.mark.parametrize("change", ["role", "password", "removal"])
def test_what_takes_something_away_ends_sessions_and_voids_tokens(
    connection: Connection, change: str
) -> None:
    ann, bob = add(connection, "ann"), add(connection, "bob")
    hers, his = signed_in(connection, ann), signed_in(connection, bob)
    match change:
        case "role":
            users.set_role("home", connection, "ann", "viewer")
        case "password":
            users.set_password("home", connection, "ann", "another")
        case _:
            users.remove("home", connection, "ann")
    assert turned(connection, hers) is Outcome.UNKNOWN
    assert turned(connection, his) is Outcome.TURNED
    assert is_void(connection, "user:ann@home")
    assert not is_void(connection, "user:bob@home")
    assert not is_void(connection, "ann@home")  # an app of that name


def test_the_same_role_again_changes_nothing(connection: Connection) -> None:
    hers = signed_in(connection, add(connection, "ann"))
    users.set_role("home", connection, "ann", "member")
    assert turned(connection, hers) is Outcome.TURNED
    assert not is_void(connection, "user:ann@home")


def test_a_login_is_confirmed_only_while_the_password_is_the_one_that_was_checked(
    connection: Connection,
) -> None:
    ann = add(connection, "ann")
    assert users.confirmed("home", connection, ann) == ann
    assert users.confirmed("away", connection, ann) is None
    users.set_password("home", connection, "ann", "another")
    assert users.confirmed("home", connection, ann) is None


def test_a_session_belongs_to_its_tenant(connection: Connection) -> None:
    secret = signed_in(connection, add(connection, "ann"))
    assert turned(connection, secret, "away") is Outcome.UNKNOWN
    assert turned(connection, secret, "nowhere") is Outcome.UNKNOWN
    assert refreshes.end("away", connection, secret) is None
    assert turned(connection, secret) is Outcome.TURNED


def test_of_too_many_sessions_the_one_that_rested_longest_ends(connection: Connection) -> None:
    ann = add(connection, "ann")
    secrets = []
    for minute in range(refreshes.MOST + 1):
        now = NOW + timedelta(minutes=minute)
        secrets.append(refreshes.begin("home", connection, ann.id, SCOPES, now))
    states = [turned(connection, secret) for secret in secrets]
    assert states == [Outcome.UNKNOWN] + [Outcome.TURNED] * refreshes.MOST


def test_secrets_are_stored_hashed(connection: Connection) -> None:
    secret = signed_in(connection, add(connection, "ann"))
    stored = connection.execute(text("SELECT * FROM refresh_families")).one()
    assert secret.proof not in [bytes(it) for it in stored if isinstance(it, bytes)]


def test_a_tenant_that_is_erased_loses_its_users_at_once(connection: Connection) -> None:
    hers = signed_in(connection, add(connection, "ann", "admin"))
    accounts.add("home", connection, "phone@home", "app")
    erasures.request("home", connection, None, by="test")
    assert users.list_of("home", connection) == []
    assert turned(connection, hers) is Outcome.UNKNOWN
    assert is_void(connection, "user:ann@home")
    assert is_void(connection, "phone@home")


def test_notes_of_void_tokens_are_forgotten_after_an_hour(connection: Connection) -> None:
    void_tokens.ban("home", connection, "user:ann@home")
    aged = "UPDATE void_tokens SET since = since - interval '61 minutes'"
    connection.execute(text(aged))
    void_tokens.ban("home", connection, "user:bob@home")
    assert void_tokens.forget(connection) == 1
    assert list(void_tokens.list_all(connection)[1]) == [void_tokens.digest("user:bob@home")]
