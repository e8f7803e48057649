"""Devices through the facade: provisioned, changed, rotated, revoked, told what to do."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from sqlalchemy import Engine

from noctis.childproc import Child, free_port
from noctis.status import Result, Status
from noctis.storage import accounts, commands, reports
from noctis.storage.engine import create, transaction
from tests.integration.broker_fixtures import Client, eventually
from tests.integration.conftest import fresh_database
from tests.integration.facade_fixtures import Facade, problem_of, running_facade
from tests.integration.inference_fixtures import D2, add_devices

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

ROUTES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PATCH", "/v1/devices/d2", {"time_zone": "Europe/Berlin"}),
    ("POST", "/v1/devices/d2:rotate", None),
    ("POST", "/v1/devices/d2:revoke", None),
    ("POST", "/v1/devices/d2:erase", {}),
    ("POST", "/v1/devices/d2:resend", {"missing": True}),
    ("PUT", "/v1/devices/d2/config", {"desired": {}}),
    ("POST", "/v1/devices/d2:reboot", None),
    ("POST", "/v1/devices/d2:identify", {}),
]
"""What names a device that t1 has and t2 has not."""

STATUS = Status(
    state="online",
    stream="00f1e2d3c4b5a697",
    oldest_seq=0,
    next_seq=0,
    backlog=0,
    firmware="noctis-device 0.1.0",
)


@pytest.fixture(scope="module")
def database_url(postgres: str, migrated: str) -> Iterator[str]:
    with fresh_database(postgres, migrated) as url:
        yield url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Engine]:
    engine = create(database_url, application="noctis-test")
    add_devices(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def facade(
    database: Engine,  # noqa: ARG001 - there must be devices
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Facade]:
    folder = tmp_path_factory.mktemp("api")
    with running_facade(Facade(free_port(), database_url, folder)) as it:
        yield it


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_another_tenants_device_is_not_found_and_stays_as_it_is(
    facade: Facade, method: str, path: str, body: dict[str, Any] | None
) -> None:
    theirs = facade.speaker(tenant="t2")
    response = facade.client.request(method, path, json=body, headers=theirs)
    problem_of(response, 404)
    mine = facade.client.get("/v1/devices/d2", headers=facade.speaker()).json()
    assert (mine["time_zone"], mine["revoked_at"]) == ("UTC", None)


@pytest.mark.parametrize(
    ("method", "path", "body"), [*ROUTES, ("POST", "/v1/devices", {"name": "mine"})]
)
def test_a_reader_changes_nothing(
    facade: Facade, method: str, path: str, body: dict[str, Any] | None
) -> None:
    reader = facade.speaker("devices:read")
    problem_of(facade.client.request(method, path, json=body, headers=reader), 403)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/name"),
        ({"name": "Bedroom"}, "#/name"),
        ({"name": "a\0"}, "#/name"),
        ({"name": "\ud800"}, "#/name"),
        ({"name": 7}, "#/name"),
        ({"name": "new", "time_zone": "Mars/Olympus"}, "#/time_zone"),
        ({"name": "new", "time_zone": "../../etc/passwd"}, "#/time_zone"),
        ({"name": "new", "time_zone": ""}, "#/time_zone"),
        ({"name": "new", "time_zone": "a\0b"}, "#/time_zone"),
        ({"name": "new", "time_zone": "E" * 65}, "#/time_zone"),
        ({"name": "new", "password": "mine"}, "#/password"),
        ({"name": "new", "credential": {"kind": "certificate"}}, "#/credential/request"),
        ([], "#"),
        (10**400, "#"),
    ],
)
def test_a_device_that_makes_no_sense_is_told_where(
    facade: Facade, body: object, pointer: str
) -> None:
    headers = {**facade.speaker(), "Content-Type": "application/json"}
    problem = problem_of(
        facade.client.post("/v1/devices", content=json.dumps(body), headers=headers), 422
    )
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 30000, b"9" * 5000, b'{"name": NaN}']
)
def test_a_body_that_is_no_json_is_a_problem(facade: Facade, body: bytes) -> None:
    headers = {**facade.speaker(), "Content-Type": "application/json"}
    response = facade.client.post("/v1/devices", content=body, headers=headers)
    assert response.status_code in {400, 422}
    problem = problem_of(response, response.status_code)
    assert {it["pointer"] for it in problem.get("errors", [])} <= {"#", "#/name"}


def test_a_device_is_provisioned_once_and_can_be_read_where_the_answer_says(
    facade: Facade, database: Engine
) -> None:
    wanted = {"name": "attic", "time_zone": "Europe/Berlin"}
    response = facade.client.post("/v1/devices", json=wanted, headers=facade.speaker())
    assert response.status_code == 201
    made = response.json()
    secret = made.pop("credential")
    read = facade.client.get(response.headers["location"], headers=facade.speaker())
    assert read.json() == made | {"reported": None}
    assert made["time_zone"] == "Europe/Berlin"
    assert (secret["kind"], secret["username"]) == ("password", "t1/attic")
    assert len(secret["password"]) >= 32
    assert secret["password"] not in facade.child.tail()
    with transaction(database) as connection:
        [stored] = [it for it in accounts.list_of("t1", connection) if it.kind == "device"]
    assert secret["password"] not in stored.password_hash
    again = facade.client.post("/v1/devices", json=wanted, headers=facade.speaker())
    assert problem_of(again, 409)["type"] == "urn:noctis:problem:exists"
    other = facade.speaker(tenant="t2")
    assert facade.client.post("/v1/devices", json=wanted, headers=other).status_code == 201


def test_a_devices_time_zone_can_be_changed(facade: Facade) -> None:
    headers = facade.speaker()
    zone = {"time_zone": "America/New_York"}
    changed = facade.client.patch("/v1/devices/d1", json=zone, headers=headers)
    assert changed.json()["time_zone"] == "America/New_York"
    known = facade.client.get("/v1/devices/d1", headers=headers).json()
    assert known == changed.json() | {"reported": None}


CONFIG = "/v1/devices/d1/config"


def put(facade: Facade, desired: object, if_match: str | None, path: str = CONFIG) -> Response:
    headers = {**facade.speaker("devices:write"), "Content-Type": "application/json"}
    if if_match is not None:
        headers["If-Match"] = if_match
    return facade.client.put(path, content=json.dumps({"desired": desired}), headers=headers)


def test_a_configuration_is_changed_by_whom_knows_it(facade: Facade) -> None:
    reader = facade.speaker("devices:read")
    before = facade.client.get(CONFIG, headers=reader)
    assert before.headers["etag"] == '"0"'
    assert before.json() == {
        "version": 0,
        "desired": {},
        "changed_at": None,
        "reported": None,
        "in_force": False,
    }
    assert problem_of(put(facade, {}, None), 428)["type"] == "urn:noctis:problem:precondition"
    desired = {"led": False, "report_s": 300, "name": "near the wall"}
    first = put(facade, desired, '"0"')
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert (first.json()["version"], first.json()["desired"]) == (1, desired)
    late = put(facade, {"led": True}, '"0"')
    assert problem_of(late, 412)["type"] == "urn:noctis:problem:changed"
    assert late.headers["etag"] == '"1"'
    assert put(facade, desired, '"1"').headers["etag"] == '"1"'  # the same changes nothing
    assert put(facade, {}, "*").headers["etag"] == '"2"'
    assert facade.client.get(CONFIG, headers=reader).json()["desired"] == {}


def test_a_configuration_tells_whether_the_device_follows_it(
    facade: Facade, database: Engine
) -> None:
    path = "/v1/devices/d2/config"
    put(facade, {"led": True}, "*", path)
    for version, in_force in ((0, False), (1, True)):
        with transaction(database) as connection:
            reports.store(connection, {D2: STATUS.model_copy(update={"config": version})})
        found = facade.client.get(path, headers=facade.speaker()).json()
        assert (found["reported"]["version"], found["in_force"]) == (version, in_force)
    assert found["reported"]["status"]["firmware"] == "noctis-device 0.1.0"


@pytest.mark.parametrize(
    ("desired", "pointer"),
    [
        ({"Led": True}, "#/desired/Led"),
        ({"version": 3}, "#/desired/version"),
        ({"a/b": 1}, "#/desired/a~1b"),
        ({"led": None}, "#/desired/led"),
        ({"led": [1]}, "#/desired/led"),
        ({"led": 0.5}, "#/desired/led"),
        ({"led": 1 << 32}, "#/desired/led"),
        ({"led": -1}, "#/desired/led"),
        ({"led": 'a "quote"'}, "#/desired/led"),
        ({"led": "\ud800"}, "#/desired/led"),
        ({"led": "a\0"}, "#/desired/led"),
        ({f"a{n}": "x" * 60 for n in range(8)}, "#/desired"),
        ([], "#/desired"),
    ],
)
def test_what_no_device_could_read_is_no_configuration(
    facade: Facade, desired: object, pointer: str
) -> None:
    problem = problem_of(put(facade, desired, "*"), 422)
    assert problem["errors"][0]["pointer"] == pointer


def test_epochs_are_ordered_again_once_and_the_answer_can_be_read(
    facade: Facade, database: Engine
) -> None:
    headers = facade.speaker()
    wanted = {"ranges": [{"stream": "00f1e2d3c4b5a697", "first": 3, "last": 9}]}
    response = facade.client.post("/v1/devices/d1:resend", json=wanted, headers=headers)
    assert response.status_code == 202
    [ordered] = response.json()["commands"]
    assert ordered["state"] == "pending"
    assert ordered["body"] == {
        "command": "resend",
        "stream": "00f1e2d3c4b5a697",
        "from": 3,
        "to": 9,
    }
    again = facade.client.post("/v1/devices/d1:resend", json=wanted, headers=headers).json()
    assert [it["id"] for it in again["commands"]] == [ordered["id"]]
    with transaction(database) as connection:
        result = Result(id=UUID(ordered["id"]), state="done", detail={"stored": 7})
        commands.answer("t1", connection, "d1", result)
    path = f"/v1/devices/d1/commands/{ordered['id']}"
    told = facade.client.get(path, headers=headers).json()
    assert (told["state"], told["detail"]) == ("done", {"stored": 7})
    theirs = facade.speaker(tenant="t2")
    problem_of(facade.client.get(path, headers=theirs), 404)
    problem_of(facade.client.get(path.replace("d1", "d2"), headers=headers), 404)
    problem_of(facade.client.get(path, headers=facade.speaker("epochs:read")), 403)
    nothing = facade.client.post(
        "/v1/devices/d2:resend", json={"missing": True}, headers=headers
    )
    assert nothing.json()["commands"] == []


def test_commands_come_in_pages_the_newest_first(facade: Facade) -> None:
    headers, path = facade.speaker(), "/v1/devices/d2/commands"
    assert facade.client.get(path, headers=headers).json()["commands"] == []
    ranges = [{"stream": "00f1e2d3c4b5a697", "first": 10 * n, "last": 10 * n} for n in range(5)]
    answer = facade.client.post(
        "/v1/devices/d2:resend", json={"ranges": ranges}, headers=headers
    )
    ordered = answer.json()["commands"]
    found: list[object] = []
    query = {"page_size": "2"}
    while True:
        page = facade.client.get(path, params=query, headers=headers).json()
        found += page["commands"]
        if page["next_page_token"] is None:
            break
        assert len(page["commands"]) == 2
        query["page_token"] = page["next_page_token"]
    assert found == ordered[::-1]
    others = {**query, "page_token": query["page_token"]}
    wrong = facade.client.get("/v1/devices/d1/commands", params=others, headers=headers)
    problem_of(wrong, 400)
    theirs = facade.speaker(tenant="t2")
    problem_of(facade.client.get(path, headers=theirs), 404)
    problem_of(facade.client.get(path, headers=facade.speaker("epochs:read")), 403)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#"),
        ({"missing": True, "ranges": [{"stream": "0" * 16}]}, "#"),
        ({"ranges": []}, "#/ranges"),
        ({"ranges": [{"stream": "0" * 16, "first": 2, "last": 1}]}, "#/ranges/0/first"),
        ({"ranges": [{"stream": "0"}]}, "#/ranges/0/stream"),
        ({"ranges": [{"stream": "0" * 16, "last": 1 << 32}]}, "#/ranges/0/last"),
        ({"missing": 1}, "#/missing"),
    ],
)
def test_an_order_that_makes_no_sense_is_told_where(
    facade: Facade, body: object, pointer: str
) -> None:
    response = facade.client.post("/v1/devices/d1:resend", json=body, headers=facade.speaker())
    assert problem_of(response, 422)["errors"][0]["pointer"] == pointer


def test_an_erasure_begins_at_once_and_tells_how_far_it_is(
    facade: Facade, database: Engine
) -> None:
    headers = facade.speaker()
    facade.client.post("/v1/devices", json={"name": "cellar"}, headers=headers)
    response = facade.client.post("/v1/devices/cellar:erase", json={}, headers=headers)
    assert response.status_code == 202
    assert response.json()["state"] == "requested"
    read = facade.client.get(response.headers["location"], headers=headers)
    assert read.json() == response.json()
    known = facade.client.get("/v1/devices/cellar", headers=headers).json()
    assert known["revoked_at"] is not None
    with transaction(database) as connection:
        active = [it.username for it in accounts.list_of("t1", connection)]
    assert "t1/cellar" not in active
    again = facade.client.post("/v1/devices/cellar:erase", json={}, headers=headers)
    problem_of(again, 409)
    path = response.headers["location"]
    problem_of(facade.client.get(path, headers=facade.speaker(tenant="t2")), 404)
    problem_of(facade.client.get("/v1/erasures/999999999999", headers=headers), 422)
    problem_of(facade.client.get(path, headers=facade.speaker("epochs:read")), 403)
    for verb, body in (("resend", {"missing": True}), ("rotate", None)):
        told = facade.client.post(f"/v1/devices/cellar:{verb}", json=body, headers=headers)
        assert problem_of(told, 409)["type"] == "urn:noctis:problem:revoked"
    problem_of(put(facade, {}, "*", "/v1/devices/cellar/config"), 409)


class Held(Client):
    """A device with the password that the facade gave it."""

    def __init__(self, port: int, secret: dict[str, str]) -> None:
        super().__init__(port, secret["username"])
        self._client.username_pw_set(secret["username"], secret["password"])


@pytest.fixture
def broker_port(database_url: str, server_folder: Path) -> Iterator[int]:
    """``python -m broker``, which follows the accounts of the database."""
    port, folder = free_port(), server_folder / "facade-broker"
    folder.mkdir(mode=0o755)
    environment = {
        **os.environ,
        "NOCTIS_VAR": str(folder),
        "NOCTIS_DATABASE_URL": database_url,
        "NOCTIS_BROKER_LOOPBACK_PORT": str(port),
    }
    command = (sys.executable, "-m", "broker")
    child = Child(command, log=folder / "service.log", environment=environment)
    yield port
    child.stop(within_s=15)


def test_rotating_and_revoking_end_the_devices_connection_at_once(
    facade: Facade, broker_port: int
) -> None:
    headers = facade.speaker()
    made = facade.client.post("/v1/devices", json={"name": "roof"}, headers=headers).json()
    first = made["credential"]
    assert eventually(lambda: connects(broker_port, first), within_s=15)
    with Held(broker_port, first) as device:
        second = facade.client.post("/v1/devices/roof:rotate", headers=headers).json()
        assert eventually(lambda: not device.is_connected())
    assert not connects(broker_port, first)
    with Held(broker_port, second) as device:
        assert device.refused is None
        revoked = facade.client.post("/v1/devices/roof:revoke", headers=headers).json()
        assert revoked["revoked_at"] is not None
        assert eventually(lambda: not device.is_connected())
    assert not connects(broker_port, second)
    again = facade.client.post("/v1/devices/roof:revoke", headers=headers)
    assert again.json() == revoked
    refused = facade.client.post("/v1/devices/roof:rotate", headers=headers)
    assert problem_of(refused, 409)["type"] == "urn:noctis:problem:revoked"


def connects(port: int, secret: dict[str, str]) -> bool:
    try:
        with Held(port, secret) as device:
            return device.refused is None
    except ConnectionError:
        return False
