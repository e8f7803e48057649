"""Last nights on their way from a real database through a real broker to an app."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from api.routes.recordings import shown
from broker.server import MosquittoServer
from companion.last_nights import LastNights
from noctis import topics
from noctis.mqtt import Session
from noctis.settings import Settings
from noctis.storage import night_news, recording_changes
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from tests.integration.broker_fixtures import (
    Client,
    accounts,
    forgetful_broker,
    link,
    on_loop,
    until,
)
from tests.integration.night_lives import RECEIVED, Life
from tests.integration.night_turns import (
    arrive,
    asleep,
    home,
    nights_of,
    of,
    settle_down,
    turn,
)

__all__ = ["forgetful_broker", "home"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(300)]
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def empty(home: Engine) -> None:
    with transaction(home) as connection:
        connection.execute(text("DELETE FROM night_news"))


@pytest.fixture
def phone(broker: MosquittoServer) -> Iterator["Phone"]:
    broker.reload(accounts("phone@home"))
    with Phone(broker.port) as made:
        yield made


class Phone(Client):
    """An app that reads what it is told of nights."""

    def __init__(self, port: int) -> None:
        super().__init__(port, "phone@home")

    def follow(self, life: Life) -> None:
        self.subscribe(topics.night(life.device))

    def heard(self) -> dict[str, Any] | None:
        """Return the next message, None for an empty one."""
        body = self.next(10.0).payload
        found: dict[str, Any] | None = json.loads(body) if body else None
        return found

    def silent(self) -> bool:
        return self.topics() == []


def url_of(engine: Engine) -> str:
    with engine.connect() as connection:
        info = connection.connection.driver_connection.info  # type: ignore[union-attr]
        place = f"host={info.host}&port={info.port}&user={info.user}&password={info.password}"
        return f"postgresql:///{info.dbname}?{place}"


@asynccontextmanager
async def telling(broker: MosquittoServer, engine: Engine) -> AsyncIterator[LastNights]:
    """The companion's part, connected; it is up to the test when it takes its turns."""
    database = Database(Settings(database_url=SecretStr(url_of(engine))), application="test")
    session = Session(link(broker, "svc-companion-0"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(session.run())
        try:
            await until(lambda: session.ready)
            yield LastNights(database, session, frozenset(range(64)))
        finally:
            await session.stop()
            running.cancel()
            database.close()


def tell(broker: MosquittoServer, engine: Engine, *, turns: int = 1) -> None:
    """Let a companion start, take so many turns and end."""

    async def main() -> None:
        async with telling(broker, engine) as part:
            for _ in range(turns):
                await part.turn()

    on_loop(main)


def slept(engine: Engine, *, minutes: float = 0) -> Life:
    """Return a device with one night that has closed."""
    run = asleep(0, 60, minutes=minutes)
    life = of(engine, run)
    arrive(engine, life, run)
    turn(engine, life, RECEIVED + HOUR)
    return life


def told_of(engine: Engine, life: Life) -> dict[str, Any]:
    """Return what the facade tells of a device's newest night."""
    night = nights_of(engine, life)[-1]
    told: dict[str, Any] = shown(night).model_dump(mode="json")
    return told


def test_an_app_is_told_what_the_facade_tells(
    home: Engine, broker: MosquittoServer, phone: Phone
) -> None:
    life = slept(home)
    phone.follow(life)
    tell(broker, home)
    heard = phone.heard() or {}
    told = told_of(home, life)
    assert heard.pop("night") == told["evening"]
    assert heard == {name: told[name] for name in heard}
    persons = {"kind", "declared_by", "note", "tags", "excluded", "replaced_by"}
    assert told.keys() - heard.keys() == persons


def test_the_message_is_kept_for_an_app_that_comes_later(
    home: Engine, broker: MosquittoServer, phone: Phone
) -> None:
    life = slept(home)
    phone.follow(life)
    tell(broker, home)
    phone.heard()
    with Phone(broker.port) as other:
        other.follow(life)
        message = other.next()
        assert message.retain
        assert message.qos == 1


def test_the_revision_rises_as_late_epochs_come_and_nothing_is_told_twice(
    home: Engine, broker: MosquittoServer, phone: Phone
) -> None:
    life = slept(home)
    phone.follow(life)
    heard = []

    async def main() -> None:
        async with telling(broker, home) as part:
            await part.turn()
            heard.append(phone.heard())
            await part.turn()
            for late in range(3):
                run = asleep(1000 * (late + 1), 20, minutes=40 + 12 * late)
                life.stretches.append(run)
                await asyncio.to_thread(arrive, home, life, run)
                await asyncio.to_thread(turn, home, life, RECEIVED)
                await part.turn()
                heard.append(phone.heard())
                await part.turn()

    on_loop(main)
    assert [it and it["revision"] for it in heard] == [1, 2, 3, 4]
    assert len({it and it["id"] for it in heard}) == 1
    assert heard[-1] is not None
    assert heard[-1]["figures"] == told_of(home, life)["figures"]
    assert phone.silent()


def test_a_night_is_told_once_it_has_closed_and_one_under_way_is_not(
    home: Engine, broker: MosquittoServer, phone: Phone
) -> None:
    run = asleep(0, 60, minutes=0)
    life = of(home, run)
    phone.follow(life)
    arrive(home, life, run)
    turn(home, life, RECEIVED)
    assert nights_of(home, life)[0].night.state == "open"
    tell(broker, home)
    assert phone.silent()
    turn(home, life, RECEIVED + HOUR)
    tell(broker, home)
    heard = phone.heard() or {}
    assert (heard["state"], heard["revision"]) == ("closed", 2)


def test_a_month_of_nights_that_comes_late_is_one_message(
    home: Engine, broker: MosquittoServer, phone: Phone
) -> None:
    runs = [asleep(41 * day, 40, minutes=1440 * (day - 30)) for day in range(30)]
    life = of(home, *runs)
    phone.follow(life)
    arrive(home, life, *runs, now=RECEIVED - HOUR)
    settle_down(home, life)
    tell(broker, home, turns=3)
    heard = phone.heard() or {}
    assert heard["night"] == str(nights_of(home, life)[-1].night.evening)
    assert phone.silent()


def test_no_revision_is_lost_by_a_companion_that_ends_before_it_notes_what_it_told(
    home: Engine, broker: MosquittoServer, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.follow(slept(home))

    def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(night_news, "told", die)
        with pytest.raises(asyncio.CancelledError):
            tell(broker, home)
    first = phone.heard()
    tell(broker, home)
    assert phone.heard() == first


def test_a_broker_that_forgot_everything_is_told_again(
    home: Engine, forgetful_broker: MosquittoServer
) -> None:
    forgetful_broker.reload(accounts("phone@home"))
    lives = [slept(home) for _ in range(3)]

    async def main() -> None:
        async with telling(forgetful_broker, home) as part:
            await part.turn()
            await part.turn()
            await asyncio.to_thread(forgetful_broker.kill)
            await asyncio.to_thread(
                forgetful_broker.start, forgetful_broker.port, accounts("phone@home")
            )
            await until(lambda: part._apps.generation > 1 and part._apps.ready)
            await part.turn()

    on_loop(main)
    with Phone(forgetful_broker.port) as phone:
        phone.subscribe("noctis/v1/app/home/+/night")
        found = {(phone.heard() or {})["device"] for _ in lives}
        assert found == {it.device.device for it in lives}
        assert phone.silent()


def test_a_night_that_a_person_takes_away_gives_way_to_the_one_before_and_then_to_nothing(
    home: Engine, broker: MosquittoServer, phone: Phone
) -> None:
    life = slept(home)
    phone.follow(life)
    later = asleep(1000, 60, minutes=1440)
    life.stretches.append(later)
    arrive(home, life, later)
    turn(home, life, RECEIVED + HOUR)
    first, second = nights_of(home, life)
    heard = []

    async def main() -> None:
        async with telling(broker, home) as part:
            await part.turn()
            heard.append(await asyncio.to_thread(phone.heard))
            for gone in (second, first):
                with transaction(home) as connection:
                    recording_changes.delete("home", connection, gone.id)
                await part.turn()
                heard.append(await asyncio.to_thread(phone.heard))

    on_loop(main)
    assert [it and it["id"] for it in heard] == [str(second.id), str(first.id), None]
    with Phone(broker.port) as other:
        other.follow(life)
        assert other.silent()
