"""Alerts through the facade and the command line: listed, seen by somebody, ruled."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from api.scopes import granted
from companion.alerts import evaluate
from noctis import passphrases
from noctis.alerts import RULES, Rule
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import alert_rules, reports, users
from noctis.storage.audit_reading import Filter, page
from noctis.storage.engine import transaction
from tests.integration.consoles import Console
from tests.integration.facade_fixtures import Both, Facade, both, database, facade, problem_of

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres
PASSWORD = "correct horse battery staple"
STATUS = Status(state="online", stream="00f1e2d3c4b5a697", oldest_seq=0, next_seq=9, backlog=0)
BEDS = (DeviceId("t1", "d1"), DeviceId("t1", "d2"), DeviceId("t2", "d1"))
SETTINGS = {
    "enabled": True,
    "threshold": 900,
    "raise_after": 3,
    "clear_after": 2,
    "cooldown_s": 60,
}


@pytest.fixture(autouse=True)
def fresh(database: Engine) -> Iterator[None]:
    """Two devices of t1 and one of t2 that have been silent for an hour, and nothing else."""
    with transaction(database, 30) as connection:
        reports.store(connection, dict.fromkeys(BEDS, STATUS))
        connection.execute(
            text("UPDATE device_reports SET reported_at = now() - interval '1 hour'")
        )
        for tenant in ("t1", "t2"):
            alert_rules.put(tenant, connection, "silent", Rule(threshold=600))
        evaluate(connection, "silent", frozenset(range(64)), listening_s=1e6)
    yield
    with transaction(database, 30) as connection:
        for table in ("alerts", "alert_rules", "alert_watches"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - one of ours


def listed(facade: Facade, *, tenant: str = "t1", **query: str) -> list[dict[str, Any]]:
    headers = facade.speaker("alerts:read", tenant=tenant)
    answer = facade.client.get("/v1/alerts", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["alerts"]
    return found


def test_alerts_are_listed_the_newest_first_by_page_and_by_what_is_asked_for(
    facade: Facade,
) -> None:
    found = listed(facade)
    assert {it["device"] for it in found} == {"d1", "d2"}
    assert [it["id"] for it in found] == sorted((it["id"] for it in found), reverse=True)
    assert {it["state"] for it in found} == {"open"}
    assert found[0]["details"] == {"value": 3600, "threshold": 600, "unit": "s"}
    assert [it["device"] for it in listed(facade, device="d2")] == ["d2"]
    assert listed(facade, rule="drift") == listed(facade, state="cleared") == []
    assert listed(facade, acknowledged="true") == []
    assert [it["device"] for it in listed(facade, tenant="t2")] == ["d1"]
    headers = facade.speaker("alerts:read")
    first = facade.client.get("/v1/alerts", params={"page_size": 1}, headers=headers).json()
    query = {"page_size": 1, "page_token": first["next_page_token"]}
    second = facade.client.get("/v1/alerts", params=query, headers=headers).json()
    assert first["alerts"] + second["alerts"] == found
    assert second["next_page_token"] is None
    problem_of(
        facade.client.get("/v1/alerts", params=query | {"device": "d1"}, headers=headers), 400
    )


def test_an_alert_is_seen_by_who_says_so_first_and_stays_open(
    facade: Facade, database: Engine
) -> None:
    key = listed(facade)[0]["id"]
    path = f"/v1/alerts/{key}:acknowledge"
    member = facade.speaker(*granted("member"), subject="user:ann@t1")
    seen = facade.client.post(path, headers=member).json()
    assert (seen["acknowledged_by"], seen["state"]) == ("user:ann@t1", "open")
    other = facade.speaker("alerts:acknowledge", subject="user:bob@t1")
    assert facade.client.post(path, headers=other).json() == seen
    read = facade.client.get(f"/v1/alerts/{key}", headers=facade.speaker("alerts:read"))
    assert read.json() == seen
    problem_of(facade.client.post(path, headers=facade.speaker(*granted("viewer"))), 403)
    problem_of(facade.client.post(path, headers=facade.speaker(tenant="t2")), 404)
    problem_of(facade.client.get("/v1/alerts/77777", headers=member), 404)
    problem_of(facade.client.get("/v1/alerts/none", headers=member), 422)
    with transaction(database) as connection:
        [entry] = page(connection, Filter(action="alert_acknowledged"), limit=9)
    assert (entry.actor, entry.facts["alert"]) == ("user:ann@t1", key)


def test_a_rule_is_changed_by_an_admin_who_knows_how_it_is(
    facade: Facade, database: Engine
) -> None:
    path = "/v1/alert-rules/silent"
    admin = facade.speaker(*granted("admin"))
    problem_of(facade.client.put(path, json=SETTINGS, headers=admin), 428)
    known = facade.client.get(path, headers=admin)
    tag = {"If-Match": known.headers["ETag"]}
    made = facade.client.put(path, json=SETTINGS, headers=admin | tag)
    assert made.json() == {
        **SETTINGS,
        "rule": "silent",
        "unit": "s",
        "version": known.json()["version"] + 1,
        "changed_at": made.json()["changed_at"],
    }
    problem_of(facade.client.put(path, json=SETTINGS, headers=admin | tag), 412)
    tag = {"If-Match": made.headers["ETag"]}
    assert facade.client.put(path, json=SETTINGS, headers=admin | tag).json() == made.json()
    member = facade.speaker(*granted("member"))
    problem_of(facade.client.put(path, json=SETTINGS, headers=member | tag), 403)
    told = facade.client.get("/v1/alert-rules", headers=member).json()["rules"]
    assert [it["rule"] for it in told] == list(RULES)
    assert [it["version"] > 0 for it in told] == [it == "silent" for it in RULES]
    with transaction(database) as connection:
        entries = page(connection, Filter(action="alert_rule_set"), limit=9)
    assert [(it.target, it.facts["threshold"]) for it in entries[:1]] == [("silent", 900)]


@pytest.mark.parametrize(
    ("rule", "wrong", "pointer"),
    [
        ("no_breathing", {"threshold": 30}, "#/threshold"),
        ("drift", {"threshold": 2}, "#/threshold"),
        ("silent", {"threshold": 9}, "#/threshold"),
        ("silent", {"raise_after": 0}, "#/raise_after"),
        ("silent", {"cooldown_s": -1}, "#/cooldown_s"),
        ("silent", {"enabled": "yes"}, "#/enabled"),
        ("silent", {"louder": True}, "#/louder"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_where_it_is_wrong(
    facade: Facade, rule: str, wrong: dict[str, object], pointer: str
) -> None:
    headers = facade.speaker("alerts:write") | {"If-Match": "*"}
    answer = facade.client.put(
        f"/v1/alert-rules/{rule}", json=SETTINGS | wrong, headers=headers
    )
    assert pointer in [it["pointer"] for it in problem_of(answer, 422)["errors"]]


def test_there_is_no_other_rule(facade: Facade) -> None:
    problem_of(facade.client.get("/v1/alert-rules/fire", headers=facade.speaker()), 422)


@pytest.fixture(scope="module")
def console(both: Both, tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A console of this machine's platform, with a profile of an admin of t1."""
    made = Console(both[0].database_url, tmp_path_factory.mktemp("console"))
    with transaction(both[1]) as connection:
        hashed = passphrases.hash_passphrase(PASSWORD)
        users.add("t1", connection, "ann", role="admin", password_hash=hashed)
    address = f"http://127.0.0.1:{both[0].port}"
    login = ("login", address, "--user", "ann@t1", "--profile", "far")
    assert made(*login, told=f"{PASSWORD}\n").returncode == 0
    assert made("profile", "use", "local").returncode == 0
    return made


def test_the_command_line_says_the_same_here_and_over_a_facade(console: Console) -> None:
    far = ("--profile", "far")
    for command in (("alert", "list", "t1"), ("alert", "rules", "t1")):
        here = console.value(*command)
        assert here
        assert console.value(*command, *far) == here
    assert console.value("alert", "list", "t1", "--device", "d2", "--open", *far)
    assert console.value("alert", "list", "t1", "--rule", "drift") == []
    here = console.value("alert", "set", "t1", "silent", "--threshold", "700")
    there = console.value("alert", "set", "t1", "silent", "--raise-after", "4", *far)
    assert there == here | {
        "raise_after": 4,
        "version": here["version"] + 1,
        "changed_at": there["changed_at"],
    }
    newest, oldest = (it["id"] for it in console.value("alert", "list", "t1"))
    assert console.value("alert", "ack", "t1", str(newest))["acknowledged_by"].startswith(
        "cli:"
    )
    told = console.value("alert", "ack", "t1", str(oldest), *far)
    assert told["acknowledged_by"] == "user:ann@t1"
    assert console.value("alert", "list", "t1", "--unseen") == []


def test_the_command_line_shows_alerts_to_people_and_says_what_to_do(console: Console) -> None:
    shown = console("alert", "list", "t1").stdout
    assert "silent" in shown
    assert "has not been heard of" in shown
    assert "600 s" in console("alert", "rules", "t1").stdout
    key = str(console.value("alert", "list", "t1")[0]["id"])
    assert f"alert {key} of d" in console("alert", "ack", "t1", key).stdout
    assert "noctis status" in console("alert", "list", "t1", "--rule", "drift").stderr
    assert "no" in console("alert", "set", "t1", "drift", "--off").stdout
    for wrong, hint in (
        (("alert", "set", "t1", "silent"), "--threshold 900"),
        (("alert", "set", "t1", "fire", "--off"), "the rules are"),
        (("alert", "set", "t1", "silent", "--threshold", "1"), "docs/alerts.md"),
        (("alert", "ack", "t1", "99999"), "noctis alert list t1"),
        (("alert", "list", "nowhere"), "noctis tenant list"),
    ):
        done = console(*wrong)
        assert done.returncode != 0, wrong
        assert hint in " ".join(done.stderr.split()), done.stderr
