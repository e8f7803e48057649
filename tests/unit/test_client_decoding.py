"""The client's reading of answers: events, the description's examples, problems."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.client import (
    ClientError,
    InvalidError,
    ProblemError,
    UnavailableError,
    questions,
)
from noctis.client.alerts import alerts_in
from noctis.client.devices import devices_in
from noctis.client.epochs import EPOCH, epochs_in
from noctis.client.errors import error_of
from noctis.client.events import Event, Events
from noctis.client.live import REMEMBERED, Feed
from noctis.client.nights import nights_frame, nights_in
from noctis.client.tokens import Account, Tokens
from noctis.client.trends import trends_in
from noctis.client.tries import Tries
from noctis.errors import ConfigurationError

DESCRIPTION = Path(__file__).parents[2] / "docs/openapi.json"
LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


def example(path: str) -> Any:  # noqa: ANN401 - any JSON value
    described = json.loads(DESCRIPTION.read_text("utf-8"))
    answer = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    return answer["examples"]["home"]["value"]


@given(st.lists(st.tuples(LINE.filter(bool), st.lists(LINE, min_size=1), LINE.filter(bool))))
def test_events_are_read_as_they_were_written(told: list[tuple[str, list[str], str]]) -> None:
    events, found = Events(), []
    for name, data, key in told:
        lines = [f"event: {name}", ": a comment", *(f"data: {it}" for it in data), f"id: {key}"]
        found += [events.take(line) for line in (*lines, "")]
    assert [it for it in found if it is not None] == [
        Event(name, "\n".join(data), key) for name, data, key in told
    ]


def test_an_event_without_an_id_keeps_the_place_before() -> None:
    events = Events()
    for line in ("id: 7", "data: a", "", "data:b"):
        events.take(line)
    assert events.take("") == Event("message", "b", "7")


def stage(seq: int, *, device: str = "bedroom") -> list[str]:
    told = {"t": "2026-03-01T22:14:30Z", "stream": "00f1e2d3c4b5a697", "seq": seq}
    data = json.dumps({**told, "device": device, "stage": "light"})
    return ["event: stage", f"id: 7-00f1e2d3c4b5a697-{seq}", f"data: {data}", ""]


def heard(feed: Feed, lines: list[str]) -> list[int]:
    return [it.seq for line in lines if (it := feed.take(line)) is not None]


def test_a_feed_tells_each_stage_once_and_knows_its_place() -> None:
    feed = Feed("bedroom", None)
    assert feed.headers() == {}
    assert heard(feed, [*stage(1), *stage(2), *stage(1), *stage(3)]) == [1, 2, 3]
    assert feed.headers() == {"Last-Event-ID": "7-00f1e2d3c4b5a697-3"}
    assert heard(feed, [*stage(3), *stage(3, device="attic")]) == [3]
    assert len(feed._known) < REMEMBERED


def test_a_feed_that_has_heard_nothing_comes_back_to_where_it_began() -> None:
    feed = Feed(None, None)
    assert feed.headers() == {}
    assert feed.headers()["Last-Event-ID"].endswith("-0000000000000000-0")


def test_half_an_event_before_a_break_is_no_event() -> None:
    feed = Feed(None, None)
    assert heard(feed, stage(1)[:-1]) == []
    feed.headers()
    assert heard(feed, ["", *stage(2)]) == [2]


def test_a_stage_that_cannot_be_read_says_so() -> None:
    with pytest.raises(ClientError, match="cannot be read"):
        heard(Feed(None, None), ["event: stage", "data: {}", ""])


def test_the_examples_of_the_description_are_understood() -> None:
    nights = nights_in(example("/v1/recordings"))
    assert nights
    assert nights[0].started_at.utcoffset() is not None
    assert list(nights_frame(nights)["tst_min"]) == [
        np.nan if it.figures.tst_min is None else it.figures.tst_min for it in nights
    ]
    told = example("/v1/recordings")["recordings"][0]
    told["figures"] |= {"heart_rate_bpm": 52.5, "heart_rate_dip_percent": None}
    (night,) = nights_in({"recordings": [told]})
    assert night.staged_by == told["staged_by"]
    assert night.vitals.heart_rate_bpm == 52.5
    assert list(nights_frame([night])["heart_rate_bpm"]) == [52.5]
    assert devices_in(example("/v1/devices"))
    assert alerts_in(example("/v1/alerts"))
    assert trends_in(example("/v1/devices/{device}/trends")).weeks
    epochs = epochs_in(example("/v1/devices/{device}/epochs"))
    assert epochs.dtype == EPOCH
    assert epochs["seq"][0] == 731


def test_frames_without_pandas_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigurationError, match=r"noctis\[frames\]"):
        nights_frame([])


def test_a_year_without_nights_is_an_empty_frame() -> None:
    frame = nights_frame([])
    assert len(frame) == 0
    assert "efficiency_percent" in frame.columns


def answer(status: int, told: object = None, **headers: str) -> httpx.Response:
    request = httpx.Request("GET", "http://noctis/v1/devices")
    return httpx.Response(status, json=told, headers=headers, request=request)


def test_a_problem_keeps_its_words_its_kind_and_its_parts() -> None:
    wrong = {"pointer": "#/query/since", "detail": "is not before until"}
    told = {"type": "urn:noctis:problem:x", "detail": "odd", "errors": [wrong]}
    error = error_of(answer(422, told))
    assert isinstance(error, InvalidError)
    assert (error.status, error.kind) == (422, "urn:noctis:problem:x")
    assert error.message == "odd; #/query/since: is not before until"
    assert [(it.pointer, it.detail) for it in error.fields] == [tuple(wrong.values())]


def test_what_another_server_answers_is_an_error_too() -> None:
    request = httpx.Request("GET", "http://noctis/v1/devices")
    page = httpx.Response(200, text="<html>", request=request)
    tries = Tries("http://noctis", within_s=1)
    assert tries.pause(page) is None
    with pytest.raises(ProblemError, match="not as a facade does"):
        tries.document(page)
    assert "noctis answers 502" in error_of(httpx.Response(502, request=request)).message


def test_another_try_waits_as_long_as_it_is_asked_to() -> None:
    tries = Tries("http://noctis", within_s=60)
    pause = tries.pause(answer(503, **{"Retry-After": "12"}))
    assert pause is not None
    assert pause >= 12
    with pytest.raises(UnavailableError):
        Tries("http://noctis", within_s=5).pause(answer(503, **{"Retry-After": "12"}))


def test_what_another_try_would_not_change_is_not_tried_again() -> None:
    for status in (400, 403, 404, 409, 422, 500):
        with pytest.raises(ProblemError):
            Tries("http://noctis", within_s=60).pause(answer(status))


def test_a_facade_that_gives_no_token_for_now_is_asked_again() -> None:
    request = httpx.Request("GET", "http://noctis/v1/devices")
    tokens = Tokens("http://noctis", Account("app", "lamp@home", "secret"))
    busy = answer(503, {"detail": "the database is away"})

    async def asked() -> None:
        flow = tokens.async_auth_flow(request)
        assert str((await anext(flow)).url) == "http://noctis/v1/auth/token"
        with pytest.raises(StopAsyncIteration):
            await flow.asend(busy)

    flow = tokens.sync_auth_flow(request)
    assert str(next(flow).url) == "http://noctis/v1/auth/token"
    with pytest.raises(StopIteration):
        flow.send(busy)
    anyio.run(asked)
    flow = tokens.sync_auth_flow(request)
    next(flow)
    assert flow.send(answer(200, {"access_token": "good", "expires_in": 900})) is request
    assert request.headers["Authorization"] == "Bearer good"


def test_a_password_is_in_no_text() -> None:
    assert "secret" not in repr(Account("app", "lamp@home", "secret"))


def test_a_night_that_changes_between_two_answers_is_read_again() -> None:
    told = example("/v1/recordings")["recordings"][0]
    plan = questions.night(told["id"])
    next(plan)
    staged = {"revision": 2, "codes": [0, 1, 1]}
    for revision in (1, 2):
        plan.send({**told, "revision": revision})
        if revision == 1:
            assert plan.send(staged).path == f"/v1/recordings/{told['id']}"
    with pytest.raises(StopIteration) as end:
        plan.send(staged)
    assert end.value.value.stages.tolist() == [0, 1, 1]


def test_tries_come_to_an_end() -> None:
    tries = Tries("http://noctis", within_s=600)
    for _ in range(4):
        assert tries.pause(httpx.ConnectError("refused")) is not None
    with pytest.raises(UnavailableError, match="refused"):
        tries.pause(httpx.ConnectError("refused"))
