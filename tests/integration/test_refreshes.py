"""Random lives of refresh tokens, against a model of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, func, select

from noctis.storage import refreshes, tenants, users
from noctis.storage.refreshes import AT_ALL, GRACE, UNUSED, Outcome, Secret
from noctis.storage.user_models import refresh_families

pytestmark = pytest.mark.postgres

WIDE = frozenset({"devices:read", "epochs:read", "users:write"})


class Family:
    """What should be known of a family."""

    def __init__(self, user: str, scopes: frozenset[str], now: datetime, first: Secret) -> None:
        self.user = user
        self.scopes = scopes
        self.began = self.turned = now
        self.newest: Secret = first
        self.before: Secret | None = None
        self.ended = False

    def has_expired(self, now: datetime) -> bool:
        return now >= self.turned + UNUSED or now >= self.began + AT_ALL


class Sessions(RuleBasedStateMachine):
    """Two users who log in, refresh, lose answers, are robbed, log out, and are changed."""

    connection: ClassVar[Connection]
    tokens = Bundle("tokens")

    @initialize()
    def begin(self) -> None:
        self.savepoint = self.connection.begin_nested()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.families: dict[object, Family] = {}
        tenants.add(self.connection, "home")
        self.ids = {
            name: users.add("home", self.connection, name, role="member", password_hash="x").id
            for name in ("ann", "bob")
        }

    def teardown(self) -> None:
        self.savepoint.rollback()

    @rule(target=tokens, user=st.sampled_from(["ann", "bob"]), few=st.booleans())
    def log_in(self, user: str, few: bool) -> Secret:  # noqa: FBT001 - hypothesis passes it
        scopes = frozenset({"devices:read"}) if few else WIDE
        secret = refreshes.begin("home", self.connection, self.ids[user], scopes, self.now)
        self.families[secret.family] = Family(user, scopes, self.now, secret)
        mine = [it for it in self.families.values() if it.user == user and not it.ended]
        mine.sort(key=lambda it: it.turned)
        for gone in mine[: -refreshes.MOST]:
            gone.ended = True
        return secret

    @rule(target=tokens, secret=tokens, wide=st.booleans())
    def refresh(self, secret: Secret, wide: bool) -> Secret:  # noqa: FBT001
        family = self.families[secret.family]
        asked = WIDE if wide else frozenset({"devices:read"})
        turn = refreshes.turn("home", self.connection, secret, self.now, asked)
        assert turn.outcome is self.expected(family, secret, asked)
        if turn.outcome is not Outcome.TURNED:
            assert turn.secret is None
            family.ended |= turn.outcome is not Outcome.TOO_WIDE
            return secret
        assert turn.secret is not None
        assert (turn.user, turn.scopes) == (family.user, family.scopes)
        if secret == family.newest:
            family.before, family.turned = secret, self.now
        family.newest = turn.secret
        return turn.secret

    def expected(self, family: Family, secret: Secret, asked: frozenset[str]) -> Outcome:
        if family.ended or family.has_expired(self.now):
            return Outcome.UNKNOWN
        is_lost_answer = secret == family.before and self.now < family.turned + GRACE
        if secret != family.newest and not is_lost_answer:
            return Outcome.REUSED
        return Outcome.TURNED if asked <= family.scopes else Outcome.TOO_WIDE

    @rule(secret=tokens)
    def guess(self, secret: Secret) -> None:
        family = self.families[secret.family]
        forged = Secret(secret.family, bytes(32))
        expected = self.expected(family, forged, frozenset())
        assert expected is not Outcome.TURNED
        turn = refreshes.turn("home", self.connection, forged, self.now)
        assert turn.outcome is expected
        family.ended = True

    @rule(secret=consumes(tokens))
    def log_out(self, secret: Secret) -> None:
        family = self.families[secret.family]
        whose = refreshes.end("home", self.connection, secret)
        if not family.ended:
            assert whose == family.user
        family.ended = True

    @rule(user=st.sampled_from(["ann", "bob"]), password=st.booleans())
    def change(self, user: str, password: bool) -> None:  # noqa: FBT001
        if password:
            users.set_password("home", self.connection, user, "y")
        else:
            role = users.get("home", self.connection, user).role
            other = "viewer" if role == "member" else "member"
            users.set_role("home", self.connection, user, other)
        for family in self.families.values():
            family.ended |= family.user == user

    @rule(
        gap=st.sampled_from(
            [
                timedelta(seconds=1),
                GRACE - timedelta(seconds=1),
                GRACE,
                UNUSED - timedelta(seconds=1),
                UNUSED,
            ]
        )
    )
    def wait(self, gap: timedelta) -> None:
        self.now += gap

    @invariant()
    def what_ended_is_gone(self) -> None:
        if not hasattr(self, "families"):
            return
        rows = self.connection.execute(select(refresh_families.c.id)).scalars()
        alive = {key for key, it in self.families.items() if not it.ended}
        assert set(rows) <= alive
        assert {key for key in alive if not self.families[key].has_expired(self.now)} <= set(
            self.connection.execute(select(refresh_families.c.id)).scalars()
        )


@contextmanager
def rolled_back(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def test_random_lives_of_sessions_go_as_the_model_says(engine: Engine) -> None:
    with rolled_back(engine) as connection:
        Sessions.connection = connection
        run_state_machine_as_test(
            Sessions,
            settings=settings(
                max_examples=30,
                stateful_step_count=30,
                deadline=None,
                phases=[Phase.generate],  # shrinking takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
        assert connection.scalar(select(func.count()).select_from(refresh_families)) == 0


def test_a_session_that_is_used_daily_still_ends_after_half_a_year(
    connection: Connection,
) -> None:
    tenants.add(connection, "home")
    ann = users.add("home", connection, "ann", role="member", password_hash="x")
    began = now = datetime(2026, 1, 1, tzinfo=UTC)
    secret = refreshes.begin("home", connection, ann.id, WIDE, now)
    while True:
        now += timedelta(days=10)
        turn = refreshes.turn("home", connection, secret, now)
        if turn.secret is None:
            break
        secret = turn.secret
    assert turn.outcome is Outcome.UNKNOWN
    assert now - began == AT_ALL


def test_a_thief_and_the_owner_cannot_both_go_on(connection: Connection) -> None:
    tenants.add(connection, "home")
    ann = users.add("home", connection, "ann", role="member", password_hash="x")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stolen = refreshes.begin("home", connection, ann.id, WIDE, now)
    hers = refreshes.turn("home", connection, stolen, now).secret
    thiefs = refreshes.turn("home", connection, stolen, now + timedelta(seconds=5)).secret
    assert hers is not None
    assert thiefs is not None
    later = now + timedelta(minutes=15)
    assert refreshes.turn("home", connection, hers, later).outcome is Outcome.REUSED
    assert refreshes.turn("home", connection, thiefs, later).outcome is Outcome.UNKNOWN
