"""Epochs over HTTP: each stored exactly once, beside those that came through the broker."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select

from api.routes.ingest import FRAME
from noctis.epoch import Frame, encode_frame
from noctis.features import NAMES, dequantise
from noctis.storage import devices, tenants
from noctis.storage.engine import transaction
from noctis.storage.models import epochs, outbox
from noctis.storage.runs import signed
from tests.integration.facade_fixtures import Facade, both, database, facade, problem_of
from tests.integration.inference_fixtures import D1, D2, Night, store

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres

PATH = "/v1/devices/d1/epochs:ingest"


def body_of(frames: list[Frame]) -> dict[str, Any]:
    """Return frames of one run as a caller writes them."""
    run = frames[0].run
    values = np.concatenate([dequantise(it.codes) for it in frames]).tolist()
    flags = np.concatenate([it.in_bed for it in frames]).tolist()
    seqs = np.concatenate([it.seqs for it in frames]).tolist()
    return {
        "stream": f"{frames[0].stream:016x}",
        "run": {
            "seq": frames[0].run_seq,
            "start": datetime.fromtimestamp(run.utc_s, UTC).isoformat() if run.utc_s else None,
            "boot": run.boot,
            "tick_s": run.tick_s,
            "reason": run.reason,
            "voids": run.voids,
        },
        "epochs": [
            {"seq": seq, "in_bed": flag, "features": features_of(row)}
            for seq, flag, row in zip(seqs, flags, values, strict=True)
        ],
    }


def features_of(row: list[float]) -> dict[str, float | None]:
    pairs = zip(NAMES, row, strict=True)
    return {name: None if np.isnan(value) else value for name, value in pairs}


def rows(database: Engine, stream: int) -> list[tuple[Any, ...]]:
    """Return what is stored of a stream, less whose it is and when it came."""
    columns = [epochs.c[name] for name in ("epoch_start", "seq", "run_seq", "in_bed", *NAMES)]
    query = select(*columns).where(epochs.c.stream == signed(stream)).order_by(epochs.c.seq)
    with transaction(database) as connection:
        return [tuple(row) for row in connection.execute(query)]


def send(facade: Facade, body: object, path: str = PATH) -> dict[str, Any]:
    response = facade.client.post(path, json=body, headers=facade.speaker("epochs:write"))
    assert response.status_code == 200, response.text
    done: dict[str, Any] = response.json()
    return done


def send_frame(facade: Facade, payload: bytes, path: str = PATH) -> dict[str, Any]:
    headers = {**facade.speaker("epochs:write"), "Content-Type": FRAME}
    response = facade.client.post(path, content=payload, headers=headers)
    assert response.status_code == 200, response.text
    done: dict[str, Any] = response.json()
    return done


def counts(done: dict[str, Any]) -> tuple[int, int, int, int]:
    return done["stored"], done["duplicate"], done["disposed"], done["rejected"]


def test_what_comes_over_http_is_stored_as_what_comes_through_the_broker(
    facade: Facade, database: Engine
) -> None:
    night = Night(250)
    store(database, night.frames(size=50), device=D2)
    known = rows(database, night.stream)
    night.stream ^= 1
    done = send(facade, body_of(night.frames(size=50)))
    assert counts(done) == (250, 0, 0, 0)
    assert {each["status"] for each in done["results"]} == {"stored"}
    assert rows(database, night.stream) == known
    again = send(facade, body_of(night.frames(size=50)))
    assert counts(again) == (0, 250, 0, 0)
    for frame in night.frames(size=64):
        assert counts(send_frame(facade, encode_frame(frame))) == (0, frame.count, 0, 0)
    assert rows(database, night.stream) == known


def test_a_night_as_frames_is_the_night_as_json(facade: Facade, database: Engine) -> None:
    night = Night(100)
    for frame in night.frames(size=64):
        done = send_frame(facade, encode_frame(frame))
        assert counts(done) == (frame.count, 0, 0, 0)
        assert done["results"] == [
            {"index": 0, "status": "stored", "reason": None, "pointer": None, "detail": None}
        ]
    assert counts(send(facade, body_of(night.frames(size=64)))) == (0, 100, 0, 0)
    assert len(rows(database, night.stream)) == 100


def test_the_settler_is_told_of_new_epochs_at_once(facade: Facade, database: Engine) -> None:
    night = Night(3)
    send(facade, body_of(night.frames()))
    with transaction(database) as connection:
        mine = outbox.c.stream == signed(night.stream)
        noted = connection.execute(select(outbox.c.first_seq).where(mine)).scalars().all()
    assert sorted(noted) == [1, 2, 3]


def test_a_rejected_item_loses_nothing_of_the_others(facade: Facade, database: Engine) -> None:
    night = Night(10)
    body = body_of(night.frames())
    items = body["epochs"]
    items[1]["features"]["hr_mean"] = 999.0
    items[2]["seq"] = 0
    items[3]["features"]["hunger"] = 1.0
    items[4] = "no epoch"
    items[5]["in_bed"] = 1
    items[6]["seq"] = 1 << 40
    items[7]["seq"] = 400_000
    items[9] = {**items[8], "in_bed": not items[8]["in_bed"]}
    done = send(facade, body)
    assert counts(done) == (2, 0, 0, 8)
    told = {it["index"]: (it["reason"], it["pointer"]) for it in done["results"]}
    assert told == {
        0: (None, None),
        1: ("invalid", "#/epochs/1/features/hr_mean"),
        2: ("seq", "#/epochs/2/seq"),
        3: ("invalid", "#/epochs/3/features/hunger"),
        4: ("invalid", "#/epochs/4"),
        5: ("invalid", "#/epochs/5/in_bed"),
        6: ("invalid", "#/epochs/6/seq"),
        7: ("future", "#/epochs/7/seq"),
        8: (None, None),
        9: ("conflict", "#/epochs/9"),
    }
    assert [row[1] for row in rows(database, night.stream)] == [1, 9]


def test_a_stream_and_a_run_belong_to_whom_they_belonged_first(
    facade: Facade, database: Engine
) -> None:
    night = Night(2)
    store(database, night.frames(), device=D2)
    refused = send(facade, body_of(night.frames()))["results"]
    assert {(it["reason"], it["pointer"]) for it in refused} == {("foreign_stream", "#/stream")}
    body = body_of(night.frames())
    body["run"]["tick_s"] += 1
    other = send(facade, body, "/v1/devices/d2/epochs:ingest")["results"]
    assert {(it["reason"], it["pointer"]) for it in other} == {("run_differs", "#/run")}
    foreign = facade.client.post(
        "/v1/devices/d1/epochs:ingest",
        json=body_of(night.frames()),
        headers=facade.speaker(tenant="t2"),
    ).json()
    assert {it["reason"] for it in foreign["results"]} == {"foreign_stream"}


def test_what_is_older_than_what_is_kept_is_disposed_of(
    facade: Facade, database: Engine
) -> None:
    with transaction(database) as connection:
        tenants.set_retention("t2", connection, 30)
    old = Night(2, utc_s=int(time.time()) - 40 * 86400)
    response = facade.client.post(
        PATH, json=body_of(old.frames()), headers=facade.speaker(tenant="t2")
    )
    assert counts(response.json()) == (0, 0, 2, 0)
    assert {it["status"] for it in response.json()["results"]} == {"disposed"}
    assert rows(database, old.stream) == []


def test_a_revoked_devices_epochs_are_rejected(facade: Facade, database: Engine) -> None:
    with transaction(database) as connection:
        devices.add("t1", connection, "gone")
        devices.revoke("t1", connection, "gone")
    done = send(facade, body_of(Night(2).frames()), "/v1/devices/gone/epochs:ingest")
    assert [it["reason"] for it in done["results"]] == ["revoked_device"] * 2


def test_epochs_without_a_clock_are_stored_too(facade: Facade) -> None:
    night = Night(5, utc_s=0)
    assert counts(send(facade, body_of(night.frames()))) == (5, 0, 0, 0)
    assert counts(send(facade, body_of(night.frames()))) == (0, 5, 0, 0)


def test_who_may_not_send_is_told_so(facade: Facade) -> None:
    body = body_of(Night(1).frames())
    post = facade.client.post
    problem_of(post(PATH, json=body, headers=facade.speaker("epochs:read")), 403)
    theirs = "/v1/devices/d2/epochs:ingest"
    problem_of(post(theirs, json=body, headers=facade.speaker(tenant="t2")), 404)
    plain = {**facade.speaker(), "Content-Type": "text/plain"}
    problem_of(post(PATH, content=b"{}", headers=plain), 415)


GOOD = body_of(Night(1).frames())
RUN = GOOD["run"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/stream"),
        ({**GOOD, "stream": "X"}, "#/stream"),
        ({**GOOD, "more": 1}, "#/more"),
        ({**GOOD, "epochs": []}, "#/epochs"),
        ({**GOOD, "epochs": [None] * 1001}, "#/epochs"),
        ({**GOOD, "run": {**RUN, "seq": -1}}, "#/run/seq"),
        ({**GOOD, "run": {**RUN, "seq": 10**30}}, "#/run/seq"),
        ({**GOOD, "run": {**RUN, "start": "2026-01-01T00:00:00"}}, "#/run/start"),
        ({**GOOD, "run": {**RUN, "start": 1767225600}}, "#/run/start"),
        ({**GOOD, "run": {**RUN, "start": "0001-01-01T00:00:00+14:00"}}, "#/run/start"),
        ({**GOOD, "run": {**RUN, "start": "9999-12-31T23:59:59-14:00"}}, "#/run/start"),
        ({**GOOD, "run": {**RUN, "start": "2026-01-01T00:00:00.5Z"}}, "#/run/start"),
        ({**GOOD, "run": {**RUN, "boot": "1"}}, "#/run/boot"),
        ([], "#"),
    ],
)
def test_a_body_that_makes_no_sense_is_told_where(
    facade: Facade, body: object, pointer: str
) -> None:
    headers = {**facade.speaker(), "Content-Type": "application/json; charset=utf-8"}
    response = facade.client.post(PATH, content=json.dumps(body), headers=headers)
    assert problem_of(response, 422)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 30000, b'{"stream": "\\ud800"}'])
@pytest.mark.parametrize("kind", ["application/json", FRAME])
def test_bytes_that_make_no_sense_are_a_problem(facade: Facade, body: bytes, kind: str) -> None:
    headers = {**facade.speaker(), "Content-Type": kind}
    problem = problem_of(facade.client.post(PATH, content=body, headers=headers), 422)
    assert problem["errors"][0]["pointer"].startswith("#")


def test_a_frame_with_a_wrong_byte_is_refused(facade: Facade, database: Engine) -> None:
    night = Night(4)
    [frame] = night.frames(size=4)
    payload = bytearray(encode_frame(frame))
    payload[40] ^= 1
    headers = {**facade.speaker(), "Content-Type": FRAME}
    response = facade.client.post(PATH, content=bytes(payload), headers=headers)
    assert "crc" in problem_of(response, 422)["detail"]
    assert rows(database, night.stream) == []


def test_a_body_has_room_for_a_thousand_epochs_and_not_for_more(facade: Facade) -> None:
    night = Night(1000)
    frames = night.frames(size=64, sector=1000)
    assert counts(send(facade, body_of(frames))) == (1000, 0, 0, 0)
    response = facade.client.post(
        PATH,
        content=b" " * (1 << 20) + b"{}",
        headers={**facade.speaker(), "Content-Type": "application/json"},
    )
    problem_of(response, 413)


def test_what_is_stored_reads_as_it_was_sent(facade: Facade) -> None:
    night = Night(20)
    body = body_of(night.frames())
    send(facade, body)
    query = {"since": datetime.fromtimestamp(night.utc_s - 1, UTC).isoformat()}
    page = facade.client.get(
        f"/v1/devices/{D1.device}/epochs", params=query, headers=facade.speaker()
    ).json()["epochs"]
    mine = [it for it in page if it["stream"] == body["stream"]]
    assert [it["features"] for it in mine] == [it["features"] for it in body["epochs"]]


def test_epochs_far_apart_come_page_by_page_each_once(facade: Facade) -> None:
    path, days = "/v1/devices/sparse/epochs", (300, 120, 119, 3, 0)
    facade.client.post("/v1/devices", json={"name": "sparse"}, headers=facade.speaker())
    now = int(time.time()) - 600
    for before in days:
        night = Night(10, utc_s=now - 86400 * before)
        assert send(facade, body_of(night.frames()), f"{path}:ingest")["stored"] == 10
    starts: list[str] = []
    query = {"since": "2000-01-01T00:00:00Z", "page_size": "7"}
    token: str | None = ""
    while token is not None:
        more = {"page_token": token} if token else {}
        page = facade.client.get(path, params={**query, **more}, headers=facade.speaker())
        starts += [each["start"] for each in page.json()["epochs"]]
        token = page.json()["next_page_token"]
    made = [now - 86400 * before + 30 * place for before in days for place in range(10)]
    assert [datetime.fromisoformat(it).timestamp() for it in starts] == made


def test_epochs_with_gaps_come_page_by_page_each_once(facade: Facade) -> None:
    path = "/v1/devices/gaps/epochs"
    facade.client.post("/v1/devices", json={"name": "gaps"}, headers=facade.speaker())
    night = Night(500)
    body = body_of(night.frames(size=64, sector=500))
    body["epochs"] = body["epochs"][::5]
    assert send(facade, body, f"{path}:ingest")["stored"] == 100
    seqs: list[int] = []
    query = {"since": body["run"]["start"], "page_size": "10"}  # a stretch ends at an epoch
    token: str | None = ""
    while token is not None:
        more = {"page_token": token} if token else {}
        page = facade.client.get(path, params={**query, **more}, headers=facade.speaker())
        seqs += [each["seq"] for each in page.json()["epochs"]]
        token = page.json()["next_page_token"]
    assert seqs == list(range(1, 501, 5))
