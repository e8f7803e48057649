"""The client in both forms: a real facade, a real database, one meaning."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import anyio
import numpy as np
import pytest
from sqlalchemy import Engine

from api.tokens import LIFETIME_S, Keyring
from noctis.childproc import free_port
from noctis.client import (
    AsyncNoctis,
    ForbiddenError,
    InvalidError,
    Night,
    Noctis,
    NotFoundError,
    RateLimitedError,
    SignInError,
    UnavailableError,
    questions,
)
from noctis.figures import figures
from noctis.hypnogram import LABELS
from noctis.identity import Principal
from noctis.storage import quotas
from noctis.storage.engine import transaction
from noctis.storage.quotas import Quota
from tests.integration.client_fixtures import (
    EPOCHS,
    FIRST,
    NIGHTS,
    PASSWORD,
    SECRET,
    Either,
    begin_of,
    codes,
    either,
    furnish,
)
from tests.integration.facade_fixtures import Both, Facade, both, database, facade

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres
LATEST = FIRST + timedelta(days=NIGHTS - 1)


@pytest.fixture(scope="module")
def url(both: Both) -> str:
    furnish(both[1])
    return f"http://127.0.0.1:{both[0].port}"


@pytest.fixture(params=["sync", "async"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ann(form: str, url: str) -> Iterator[Either]:
    with either(form, url, user="ann@home", password=PASSWORD) as client:
        yield client


def test_nights_come_page_by_page_the_newest_first(
    ann: Either, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE", 5)
    found: list[Night] = ann("nights", "bedroom")
    assert [it.evening for it in found] == [
        FIRST + timedelta(days=day) for day in reversed(range(NIGHTS))
    ]
    assert len({it.id for it in found}) == NIGHTS
    some = ann("nights", since=FIRST, until=FIRST + timedelta(days=2))
    assert [it.evening for it in some] == [FIRST + timedelta(days=1), FIRST]


def test_a_night_has_its_stages_and_figures(ann: Either) -> None:
    listed = ann("nights", "bedroom")[0]
    night = ann("night", listed.id)
    assert night.started_at == begin_of(LATEST)
    assert night.stages.dtype == np.int8
    assert night.stages.tolist() == codes().tolist()
    assert night.labels[:21].tolist() == ["wake"] * 20 + ["light"]
    assert night.figures == listed.figures == figures(codes().astype(np.uint8))
    assert night.times[1] == np.datetime64("2026-03-12T22:30:30")
    frame = night.to_frame()
    assert list(frame["stage"].cat.categories) == list(LABELS)
    assert frame["stage"].tolist() == night.labels.tolist()
    assert frame.index[0].isoformat() == "2026-03-12T23:30:00+01:00"


def test_epochs_are_an_array_of_all_pages(ann: Either, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "EPOCHS_A_PAGE", 400)
    begin = begin_of(LATEST)
    found = ann("epochs", "bedroom", begin, begin + timedelta(seconds=30 * EPOCHS))
    assert len(found) == EPOCHS
    assert found["start"][0] == np.datetime64(begin.replace(tzinfo=None))
    assert (np.diff(found["start"]) == np.timedelta64(30, "s")).all()
    assert 50 < np.nanmean(found["hr_mean"]) < 70
    assert np.isnan(found["hr_slope"]).all()
    assert (~found["in_bed"]).sum() == 8
    none = ann("epochs", "bedroom", begin - timedelta(days=9), begin - timedelta(days=8))
    assert none.shape == (0,)
    assert none.dtype == found.dtype
    with pytest.raises(ValueError, match="no time zone"):
        ann("epochs", "bedroom", begin.replace(tzinfo=None))


def test_trends_tell_weeks(ann: Either) -> None:
    told = ann("trends", "bedroom", weeks=2, until=date(2026, 3, 16))
    assert [week.monday for week in told.weeks] == [date(2026, 3, 2), date(2026, 3, 9)]
    spread = told.weeks[0].figures["tib_min"]
    assert (spread.nights, spread.median) == (7, EPOCHS / 2)


def test_devices_are_those_of_the_tenant_and_an_app_sees_them_too(form: str, url: str) -> None:
    with either(form, url, app="lamp@home", password=SECRET) as lamp:
        assert [(it.name, it.time_zone) for it in lamp("devices")] == [
            ("bedroom", "Europe/Berlin")
        ]
        assert lamp("alerts", state="open") == []


def test_a_neighbours_night_is_not_found(ann: Either, form: str, url: str) -> None:
    mine = ann("nights")[0].id
    with either(form, url, user="ann@next", password=PASSWORD) as neighbour:
        assert neighbour("nights") == []
        with pytest.raises(NotFoundError) as caught:
            neighbour("night", mine)
    assert caught.value.status == 404
    assert str(mine) in caught.value.message


def test_what_may_not_be_done_is_forbidden(form: str, url: str) -> None:
    with (
        either(form, url, user="vic@home", password=PASSWORD) as viewer,
        pytest.raises(ForbiddenError),
    ):
        viewer("acknowledge", 1)


def test_what_makes_no_sense_names_its_part(ann: Either) -> None:
    with pytest.raises(InvalidError) as caught:
        ann("trends", "bedroom", weeks=10_000)
    assert [it.pointer for it in caught.value.fields] == ["#/query/weeks"]
    assert "#/query/weeks" in caught.value.message
    with pytest.raises(NotFoundError, match="cellar"):
        ann("epochs", "cellar")
    with pytest.raises(NotFoundError):
        ann("night", uuid4())


def test_a_wrong_password_is_told_once_and_in_words(form: str, url: str) -> None:
    with (
        either(form, url, user="nobody@home", password="wrong") as nobody,
        pytest.raises(SignInError, match="does not let nobody@home in"),
    ):
        nobody("devices")


def test_nobody_there_is_told_within_the_deadline(form: str) -> None:
    where = f"http://127.0.0.1:{free_port()}"
    with (
        either(form, where, app="lamp@home", password=SECRET, seconds=1) as lamp,
        pytest.raises(UnavailableError, match="nobody answers"),
    ):
        lamp("devices")


def test_a_token_is_renewed_before_it_ends(ann: Either) -> None:
    assert ann("devices")
    first, refresh = ann.tokens._access, ann.tokens._refresh
    ann.tokens._ends_at = time.monotonic()
    assert ann("devices")
    assert ann.tokens._access != first
    assert ann.tokens._refresh not in {"", refresh}


def test_a_token_that_the_facade_refuses_is_renewed_midway(
    ann: Either, facade: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE", 5)
    assert ann("devices")
    who = Principal("user:ann@home", "home", frozenset({"recordings:read"}))
    keyring = Keyring(facade.var / "keys")
    ann.tokens._access = keyring.issue(who, now=time.time() - LIFETIME_S - 60)
    refresh = ann.tokens._refresh
    assert len(ann("nights")) == NIGHTS
    assert ann.tokens._refresh != refresh


def test_a_session_that_has_ended_is_begun_anew(ann: Either, facade: Facade) -> None:
    assert ann("devices")
    facade.client.post("/v1/auth/revoke", data={"token": ann.tokens._refresh})
    ann.tokens._ends_at = time.monotonic()
    assert ann("devices")


def test_threads_renew_a_token_once(url: str) -> None:
    with Noctis(url, user="ann@home", password=PASSWORD) as noctis:
        tokens = noctis._http.auth
        together = threading.Barrier(8)

        def ask() -> tuple[int, str]:
            together.wait(10)
            return len(list(noctis.devices())), tokens._access  # type: ignore[union-attr]

        for _ in range(3):
            tokens._ends_at = 0.0  # type: ignore[union-attr]
            with ThreadPoolExecutor(8) as pool:
                found = [it.result(30) for it in [pool.submit(ask) for _ in range(8)]]
            assert {count for count, _ in found} == {1}
            assert len({access for _, access in found}) == 1


def test_tasks_renew_a_token_once(url: str) -> None:
    async def all_at_once() -> None:
        async with AsyncNoctis(url, user="ann@home", password=PASSWORD) as noctis:
            tokens = noctis._http.auth
            seen: set[str] = set()

            async def ask() -> None:
                assert [it.name async for it in noctis.devices()] == ["bedroom"]
                seen.add(tokens._access)  # type: ignore[union-attr]

            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(ask)
            assert len(seen) == 1

    anyio.run(all_at_once)


@pytest.fixture
def throttled(database: Engine, url: str) -> Iterator[str]:
    """The URL of a facade that answers the neighbour once a second."""
    with transaction(database) as connection:
        quotas.put("next", connection, Quota(requests_per_second=1, burst=1))
    yield url
    with transaction(database) as connection:
        quotas.put("next", connection, Quota())


def ask_until_refused(client: Either) -> None:
    for _ in range(2000):
        client("devices")


def test_asking_too_often_is_told_where_there_is_no_time_to_wait(
    form: str, throttled: str
) -> None:
    neighbour = {"user": "ann@next", "password": PASSWORD}
    with (
        either(form, throttled, **neighbour, seconds=0.3) as hasty,
        pytest.raises(RateLimitedError) as caught,
    ):
        ask_until_refused(hasty)
    assert caught.value.retry_after_s >= 1
    with either(form, throttled, **neighbour) as patient:
        assert [len(patient("devices")) for _ in range(3)] == [1, 1, 1]


def test_sync_and_async_tell_the_same(url: str) -> None:
    told = []
    for each in ("sync", "async"):
        with either(each, url, user="ann@home", password=PASSWORD) as client:
            since = datetime(2026, 3, 12, 22, tzinfo=UTC)
            epochs = client("epochs", "bedroom", since, since + timedelta(hours=1))
            trends = client("trends", "bedroom", until=date(2026, 3, 16))
            told.append((client("devices"), client("nights"), trends, epochs.tobytes()))
    assert told[0] == told[1]
