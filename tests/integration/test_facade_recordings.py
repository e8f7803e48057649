"""Nights through the facade: listed, read, annotated, deleted."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import Engine

from noctis.hypnogram import LABELS
from noctis.storage import devices, recordings
from noctis.storage.engine import transaction
from noctis.storage.recordings import Night
from tests.integration.facade_fixtures import Both, Facade, both, database, facade, problem_of

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres

PATH = "/v1/recordings"
FIRST = date(2026, 3, 1)
NIGHTS = 5
LATER_DAYS = count(100)


def add(database: Engine, tenant: str, device: str, day: int, epochs: int = 900) -> str:
    """Store a night of the evening so many days after the first; return its key."""
    evening = FIRST + timedelta(days=day)
    start = datetime(evening.year, evening.month, evening.day, 22, 30, tzinfo=UTC)
    codes = np.arange(epochs) // 20 % len(LABELS)
    night = Night(
        state="closed",
        evening=evening,
        time_zone="Europe/Berlin",
        started_at=start,
        ended_at=start + timedelta(seconds=30 * epochs),
        hypnogram=codes.astype(np.uint8).tobytes(),
        model_id=None,
        moved=0,
        closes_at=None,
    )
    with transaction(database) as connection:
        key = devices.get(tenant, connection, device).id
        return str(recordings.add(connection, key, night))


@pytest.fixture(scope="module")
def nights(both: Both) -> list[str]:
    """Nights of d1, the newest first; d2 and another tenant have some of the same evenings."""
    made = [add(both[1], "t1", "d1", day) for day in range(NIGHTS)]
    add(both[1], "t1", "d2", 0, 800)
    add(both[1], "t2", "d1", 2)
    return made[::-1]


@pytest.fixture
def one(database: Engine, nights: list[str]) -> str:  # noqa: ARG001 - they are there first
    """A night of d2 that a test may change; it is of an evening of its own."""
    return add(database, "t1", "d2", next(LATER_DAYS))


def get(facade: Facade, path: str, **query: object) -> dict[str, Any]:
    params = {name: str(value) for name, value in query.items()}
    response = facade.client.get(path, params=params, headers=facade.speaker("recordings:read"))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def keys(page: dict[str, Any]) -> list[str]:
    return [each["id"] for each in page["recordings"]]


def test_nights_come_in_pages_the_newest_first(facade: Facade, nights: list[str]) -> None:
    found, query = [], {"device": "d1", "page_size": 2}
    page = get(facade, PATH, **query)
    while True:
        found.append(keys(page))
        if page["next_page_token"] is None:
            break
        page = get(facade, PATH, **query, page_token=page["next_page_token"])
    assert found == [nights[:2], nights[2:4], nights[4:]]
    [night] = get(facade, PATH, device="d1", page_size=1)["recordings"]
    assert night == get(facade, f"{PATH}/{nights[0]}")


def test_nights_of_all_devices_are_one_list(facade: Facade, nights: list[str]) -> None:
    page = get(facade, PATH, since=FIRST, until=FIRST + timedelta(days=2))["recordings"]
    assert [each["id"] for each in page if each["device"] == "d1"] == nights[3:]
    assert [(each["evening"], each["device"]) for each in page] in (
        [("2026-03-02", "d1"), ("2026-03-01", "d1"), ("2026-03-01", "d2")],
        [("2026-03-02", "d1"), ("2026-03-01", "d2"), ("2026-03-01", "d1")],
    )
    first = get(facade, PATH, since=FIRST, until=FIRST + timedelta(days=2), page_size=2)
    rest = get(
        facade,
        PATH,
        since=FIRST,
        until=FIRST + timedelta(days=2),
        page_size=2,
        page_token=first["next_page_token"],
    )
    assert keys(first) + keys(rest) == [each["id"] for each in page]


def test_evenings_bound_the_list(facade: Facade, nights: list[str]) -> None:
    day = FIRST + timedelta(days=1)
    assert keys(get(facade, PATH, device="d1", since=day)) == nights[:4]
    assert keys(get(facade, PATH, device="d1", until=day)) == nights[4:]
    span = {"since": day, "until": day + timedelta(days=2)}
    assert keys(get(facade, PATH, device="d1", **span)) == nights[2:4]


def test_a_night_shows_its_figures(facade: Facade, nights: list[str]) -> None:
    night = get(facade, f"{PATH}/{nights[0]}")
    assert night["figures"]["tib_min"] == 450
    assert 0 < night["figures"]["efficiency_percent"] < 100
    assert (night["state"], night["evening"]) == ("closed", "2026-03-05")
    assert (night["note"], night["tags"], night["excluded"]) == (None, [], False)


def test_a_hypnogram_comes_as_json_or_csv(facade: Facade, nights: list[str]) -> None:
    path = f"{PATH}/{nights[0]}/hypnogram"
    found = get(facade, path)
    stages = [found["labels"][code] for code in found["codes"]]
    assert stages[:21] == ["wake"] * 20 + ["light"]
    assert set(stages) == set(LABELS)
    reader = facade.speaker("recordings:read")
    csv = facade.client.get(path, headers={**reader, "Accept": "text/csv, */*;q=0.1"})
    assert csv.headers["content-type"].startswith("text/csv")
    lines = csv.text.splitlines()
    assert lines[:2] == ["start,stage", "2026-03-05T22:30:00Z,wake"]
    assert [line.split(",")[1] for line in lines[1:]] == stages
    weighed = facade.client.get(
        path, headers={**reader, "Accept": "text/csv;q=0.1,application/*"}
    )
    assert weighed.json() == found
    for refused in ("image/png", "text/csv;q=0", "application/json;q=x"):
        response = facade.client.get(path, headers={**reader, "Accept": refused})
        problem_of(response, 406)


def test_what_is_known_already_is_not_sent_again(facade: Facade, one: str) -> None:
    reader = facade.speaker()
    for path in (f"{PATH}/{one}", f"{PATH}/{one}/hypnogram"):
        etag = facade.client.get(path, headers=reader).headers["etag"]
        again = facade.client.get(path, headers={**reader, "If-None-Match": f'"x", {etag}'})
        assert (again.status_code, again.content) == (304, b"")
    facade.client.patch(f"{PATH}/{one}", json={"note": "new"}, headers=reader)
    changed = facade.client.get(f"{PATH}/{one}", headers={**reader, "If-None-Match": etag})
    assert changed.json()["note"] == "new"


def test_a_list_is_sent_again_as_soon_as_one_of_its_nights_changed(
    facade: Facade, one: str
) -> None:
    reader = facade.speaker()
    first = facade.client.get(PATH, headers=reader)
    known = {**reader, "If-None-Match": first.headers["etag"]}
    again = facade.client.get(PATH, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert facade.client.get(PATH, headers=known, params={"page_size": 1}).status_code == 200
    facade.client.patch(f"{PATH}/{one}", json={"note": "heard"}, headers=reader)
    changed = facade.client.get(PATH, headers=known)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_person_annotates_a_night_and_its_figures_stay(facade: Facade, one: str) -> None:
    before = get(facade, f"{PATH}/{one}")
    words = {"note": "Late film.\nNoise 😴", "tags": ["travel", "\N{HOT BEVERAGE}"]}
    writer = facade.speaker("recordings:write")
    changed = facade.client.patch(f"{PATH}/{one}", json=words, headers=writer).json()
    assert changed == {**before, **words}
    changed = facade.client.patch(f"{PATH}/{one}", json={"excluded": True}, headers=writer)
    assert changed.json() == {**before, **words, "excluded": True}
    assert get(facade, f"{PATH}/{one}") == changed.json()
    assert one not in keys(get(facade, PATH, page_size=1000))
    assert one in keys(get(facade, PATH, page_size=1000, excluded=True))
    cleared = facade.client.patch(f"{PATH}/{one}", json={"note": None}, headers=writer)
    assert cleared.json() == {**before, "tags": words["tags"], "excluded": True}


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_change_that_was_thought_out_for_another_state_is_refused(
    facade: Facade, one: str, method: str
) -> None:
    writer = facade.speaker()
    etag = facade.client.get(f"{PATH}/{one}", headers=writer).headers["etag"]
    facade.client.patch(f"{PATH}/{one}", json={"note": "first"}, headers=writer)
    body = {"note": "second"} if method == "PATCH" else None
    ask = facade.client.request
    late = {**writer, "If-Match": etag}
    problem = problem_of(ask(method, f"{PATH}/{one}", json=body, headers=late), 412)
    assert problem["type"] == "urn:noctis:problem:changed"
    found = facade.client.get(f"{PATH}/{one}", headers=writer)
    assert found.json()["note"] == "first"
    now = {**writer, "If-Match": found.headers["etag"]}
    assert ask(method, f"{PATH}/{one}", json=body, headers=now).is_success


def test_a_deleted_night_is_gone_from_everywhere(facade: Facade, one: str) -> None:
    writer = facade.speaker()
    facade.client.patch(f"{PATH}/{one}", json={"note": "mine"}, headers=writer)
    response = facade.client.delete(f"{PATH}/{one}", headers=writer)
    assert (response.status_code, response.content) == (204, b"")
    for path in (f"{PATH}/{one}", f"{PATH}/{one}/hypnogram"):
        problem_of(facade.client.get(path, headers=writer), 404)
    problem_of(facade.client.delete(f"{PATH}/{one}", headers=writer), 404)
    assert one not in keys(get(facade, PATH, page_size=1000, excluded=True))


ROUTES = [
    ("GET", "", None),
    ("GET", "/hypnogram", None),
    ("PATCH", "", {"note": "theirs"}),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_another_tenants_night_is_not_found_and_stays(
    facade: Facade, nights: list[str], method: str, path: str, body: dict[str, str] | None
) -> None:
    theirs = facade.speaker(tenant="t2")
    whole = f"{PATH}/{nights[1]}{path}"
    problem_of(facade.client.request(method, whole, json=body, headers=theirs), 404)
    assert get(facade, f"{PATH}/{nights[1]}")["note"] is None


def test_another_tenants_list_is_its_own(facade: Facade, nights: list[str]) -> None:
    theirs = facade.speaker(tenant="t2")
    page = facade.client.get(PATH, headers=theirs).json()
    assert len(page["recordings"]) == 1
    assert not set(keys(page)) & set(nights)
    problem_of(facade.client.get(PATH, params={"device": "d2"}, headers=theirs), 404)
    problem_of(facade.client.get(PATH, params={"device": "d9"}, headers=facade.speaker()), 404)


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_who_may_not_is_told_so(
    facade: Facade, nights: list[str], method: str, path: str, body: dict[str, str] | None
) -> None:
    narrow = facade.speaker("devices:read" if method == "GET" else "recordings:read")
    whole = f"{PATH}/{nights[1]}{path}"
    problem_of(facade.client.request(method, whole, json=body, headers=narrow), 403)


@pytest.mark.parametrize(
    "query",
    [
        {"since": "1999-12-31"},
        {"until": "9999-12-31"},
        {"since": "0001-01-01"},
        {"since": "2026-02-30"},
        {"since": "2026-03-02", "until": "2026-03-02"},
        {"device": "D1"},
        {"device": "a\0"},
        {"page_size": "0"},
        {"excluded": "perhaps"},
    ],
)
def test_a_query_that_makes_no_sense_is_told_where(
    facade: Facade, query: dict[str, str]
) -> None:
    response = facade.client.get(PATH, params=query, headers=facade.speaker())
    [wrong] = problem_of(response, 422)["errors"]
    assert wrong["pointer"] == f"#/query/{next(iter(query))}"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"note": "a\0b"}, "#/note"),
        ({"note": "\ud800"}, "#/note"),
        ({"note": "x" * 2001}, "#/note"),
        ({"note": 7}, "#/note"),
        ({"tags": ["a"] * 17}, "#/tags"),
        ({"tags": [""]}, "#/tags/0"),
        ({"tags": ["a", "b\n"]}, "#/tags/1"),
        ({"tags": None}, "#/tags"),
        ({"excluded": "yes"}, "#/excluded"),
        ({"figures": {}}, "#/figures"),
    ],
)
def test_words_that_cannot_be_kept_are_told_where(
    facade: Facade, nights: list[str], body: object, pointer: str
) -> None:
    headers = {**facade.speaker(), "Content-Type": "application/json"}
    path = f"{PATH}/{nights[0]}"
    response = facade.client.patch(path, content=json.dumps(body), headers=headers)
    assert problem_of(response, 422)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("key", ["x", "0", "%00", "00000000-0000-0000-0000-00000000000g"])
def test_a_key_that_is_none_is_refused(facade: Facade, key: str) -> None:
    problem_of(facade.client.get(f"{PATH}/{key}", headers=facade.speaker()), 422)
    problem_of(facade.client.get(f"{PATH}/{uuid4()}", headers=facade.speaker()), 404)
