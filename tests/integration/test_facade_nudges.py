"""What a person asks of a device through the facade, and what the device says of itself."""

from typing import Any

import pytest
from sqlalchemy import Engine

from noctis.identity import DeviceId
from noctis.status import ConfigReport, LogLine, LogLines, Result, Status
from noctis.storage import commands, config_reports, logs, reports
from noctis.storage.engine import transaction
from tests.integration.facade_fixtures import Facade, problem_of
from tests.integration.test_facade_devices import database, database_url, facade

__all__ = ["database", "database_url", "facade"]

pytestmark = pytest.mark.postgres

D1 = DeviceId("t1", "d1")
STATUS = Status(
    state="online",
    stream="00f1e2d3c4b5a697",
    oldest_seq=0,
    next_seq=0,
    backlog=0,
    config=1,
    boots=3,
    reset="watchdog",
    rssi=-61,
)


def post(facade: Facade, path: str, body: object = None) -> dict[str, Any]:
    headers = facade.speaker("devices:write")
    response = facade.client.post(f"/v1/devices/{path}", json=body, headers=headers)
    assert response.status_code == 202, response.text
    found: dict[str, Any] = response.json()
    return found


def say(database: Engine, first: int, texts: list[str], boot: int = 1) -> None:
    lines = tuple(
        LogLine(n=first + place, at_ms=1000 * place, level="info", text=text)
        for place, text in enumerate(texts)
    )
    with transaction(database) as connection:
        for at in range(0, len(lines), 4):
            part = LogLines(boot=boot, now_ms=60_000, lines=lines[at : at + 4])
            assert logs.store("t1", connection, "d1", part)


def test_a_reboot_is_ordered_once_until_it_is_answered(
    facade: Facade, database: Engine
) -> None:
    first = post(facade, "d1:reboot")
    assert (first["body"], first["state"]) == ({"command": "reboot"}, "pending")
    assert post(facade, "d1:reboot")["id"] == first["id"]
    with transaction(database) as connection:
        result = Result.model_validate({"id": first["id"], "state": "done"})
        assert commands.answer("t1", connection, "d1", result)
    assert post(facade, "d1:reboot")["id"] != first["id"]


def test_a_device_is_asked_to_show_itself_for_as_long_as_is_sensible(facade: Facade) -> None:
    assert post(facade, "d1:identify", {})["body"] == {"command": "identify", "seconds": 30}
    assert post(facade, "d1:identify", {"seconds": 0})["body"]["seconds"] == 0
    for seconds in (-1, 601, 1.5, "30", None):
        response = facade.client.post(
            "/v1/devices/d1:identify",
            json={"seconds": seconds},
            headers=facade.speaker("devices:write"),
        )
        [error] = problem_of(response, 422)["errors"]
        assert error["pointer"] == "#/seconds"


def test_a_device_tells_how_it_is_and_what_it_refuses(facade: Facade, database: Engine) -> None:
    headers = facade.speaker()
    put = facade.client.put(
        "/v1/devices/d1/config",
        json={"desired": {"report_s": 5, "led": False}},
        headers={**headers, "If-Match": "*"},
    )
    assert put.json()["version"] == 1
    said = {"version": 1, "settings": {"report_s": 300, "led": False}}
    for refused, in_force in (({"report_s": "range"}, False), ({}, True)):
        report = ConfigReport.model_validate(said | {"refused": refused})
        with transaction(database) as connection:
            reports.store(connection, {D1: STATUS})
            config_reports.store(connection, {D1: report})
        shadow = facade.client.get("/v1/devices/d1/config", headers=headers).json()
        assert shadow["in_force"] is in_force
        assert shadow["reported"]["refused"] == refused
        assert shadow["reported"]["settings"] == said["settings"]
    status = facade.client.get("/v1/devices/d1", headers=headers).json()["reported"]["status"]
    assert (status["boots"], status["reset"], status["rssi"]) == (3, "watchdog", -61)
    assert status["free_heap"] is None


def test_a_log_is_read_in_pages_and_keeps_a_line_once_and_the_newest_thousand(
    facade: Facade, database: Engine
) -> None:
    headers = facade.speaker()
    say(database, 1, [f"line {number}" for number in range(1, 1011)])
    say(database, 1001, [f"line {number}" for number in range(1001, 1011)])  # once more
    path = "/v1/devices/d1/logs?page_size=600"
    first = facade.client.get(path, headers=headers).json()
    token = first["next_page_token"]
    rest = facade.client.get(f"{path}&page_token={token}", headers=headers).json()
    told = [line["text"] for line in first["lines"] + rest["lines"]]
    assert told == [f"line {number}" for number in range(1010, 10, -1)]
    assert rest["next_page_token"] is None
    grave = facade.client.get("/v1/devices/d1/logs?level=warning", headers=headers).json()
    assert grave["lines"] == []
    loud = facade.client.get("/v1/devices/d1/logs?level=loud", headers=headers)
    problem_of(loud, 422)
    stranger = facade.client.get("/v1/devices/d1/logs", headers=facade.speaker(tenant="t2"))
    assert stranger.status_code == 404 or stranger.json()["lines"] == []
