"""Frames that nobody wants any more: of closed streams, and past their tenant's retention."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from ingestor.store import DatabaseStore
from noctis import topics
from noctis.ack import DISPOSED, REFUSED, STORED
from noctis.epoch import encode_frame
from noctis.identity import DeviceId
from noctis.mqtt import Message
from noctis.settings import Settings
from noctis.storage import tenants
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, Verdict, ingest
from tests.integration.broker_fixtures import on_loop
from tests.integration.test_storage_ingest import BED, NOW, STREAM, count, frame, home, send

__all__ = ["home"]

pytestmark = pytest.mark.postgres
DAY = timedelta(days=1)


def close(engine: Engine, *, owner: bool) -> None:
    """Close the stream as an erasure does: in the end it belongs to nobody."""
    gone = "" if owner else ", tenant_id = NULL, device_id = NULL"
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE streams SET closed_at = now(){gone}"))  # noqa: S608


@pytest.mark.parametrize("owner", [True, False])
def test_what_a_closed_stream_sends_is_disposed_of_and_leaves_no_trace(
    home: Engine, *, owner: bool
) -> None:
    assert send(home, frame())[0].code == STORED
    close(home, owner=owner)
    for again in (frame(), frame(5), frame(20, run_seq=10, utc=None)):
        assert send(home, again) == [Verdict(DISPOSED)]
        assert send(home, again, backlog=True) == [Verdict(DISPOSED)]
    assert count(home, "epochs") == 4
    assert count(home, "epochs_untimed") == 0
    assert count(home, "runs") == 1
    assert send(home, frame(stream=1))[0].code == STORED


@pytest.mark.parametrize("sender", [DeviceId("home", "cot"), DeviceId("home", "gone")])
def test_a_closed_stream_is_closed_for_every_sender(home: Engine, sender: DeviceId) -> None:
    send(home, frame())
    assert send(home, frame(), device=sender)[0].code == REFUSED
    close(home, owner=False)
    assert send(home, frame(), device=sender) == [Verdict(DISPOSED)]


def test_a_revoked_device_s_closed_stream_is_disposed_of_too(home: Engine) -> None:
    send(home, frame())
    close(home, owner=True)
    with transaction(home) as connection:
        connection.execute(text("UPDATE devices SET revoked_at = now()"))
    assert send(home, frame()) == [Verdict(DISPOSED)]


def test_a_batch_stores_what_is_wanted_and_disposes_of_the_rest(home: Engine) -> None:
    send(home, frame(stream=5))
    close(home, owner=True)
    verdicts = send(home, frame(stream=5), frame(stream=6), frame(9, stream=5))
    assert [it.code for it in verdicts] == [DISPOSED, STORED, DISPOSED]


def test_a_frame_wholly_past_the_tenants_days_is_disposed_of(home: Engine) -> None:
    with transaction(home) as connection:
        tenants.set_retention("home", connection, 30)
    # Epochs 1 to 4 start at 0, 30, 60 and 90 s of the run.
    edge = NOW + 30 * DAY + timedelta(seconds=90)
    moment = timedelta(microseconds=1)
    assert send(home, frame(), now=edge + moment) == [Verdict(DISPOSED)]
    assert count(home, "runs") == 0
    assert send(home, frame(), now=edge) == [Verdict(STORED, stored=4)]
    assert send(home, frame(), now=edge + moment) == [Verdict(DISPOSED)]
    assert count(home, "epochs") == 4


def test_without_days_of_its_own_a_tenant_has_the_platforms(home: Engine) -> None:
    def verdict(kept: timedelta) -> int:
        with transaction(home) as connection:
            received = [Received(BED, frame())]
            return ingest(connection, received, now=NOW + 10 * DAY, kept=kept)[0].code

    assert verdict(9 * DAY) == DISPOSED
    with transaction(home) as connection:
        tenants.set_retention("home", connection, 11)
    assert verdict(9 * DAY) == STORED
    with transaction(home) as connection:
        tenants.set_retention("home", connection, None)
    assert verdict(9 * DAY) == DISPOSED


def test_an_epoch_without_a_time_is_never_too_old_at_its_receipt(home: Engine) -> None:
    with transaction(home) as connection:
        tenants.set_retention("home", connection, 1)
    assert send(home, frame(utc=None), now=NOW + 900 * DAY)[0].code == STORED


def test_what_is_disposed_of_is_acknowledged_as_such_and_is_no_dead_letter(
    home: Engine, database_url: str
) -> None:
    send(home, frame())
    close(home, owner=False)
    messages = [
        Message(topics.up(who, "backlog"), encode_frame(frame()), 1, retain=False, generation=1)
        for who in (BED, DeviceId("home", "gone"))
    ]

    async def main() -> None:
        database = Database(Settings(database_url=SecretStr(database_url)), application="test")
        try:
            outcomes = await DatabaseStore(database).commit(messages)
        finally:
            database.close()
        codes = [it and (it.stream, it.first, it.count, it.code) for it in outcomes]
        assert codes == [(STREAM, 1, 4, DISPOSED)] * 2

    on_loop(main)
    assert count(home, "dead_letters") == 0


@pytest.mark.usefixtures("home")
def test_the_ingestor_keeps_as_long_as_it_is_told(database_url: str) -> None:
    old = datetime.now(UTC).replace(microsecond=0) - 20 * DAY
    payload = encode_frame(frame(utc=old))
    message = Message(topics.up(BED, "epochs"), payload, 1, retain=False, generation=1)

    async def main() -> None:
        for days, code in ((10, DISPOSED), (30, STORED)):
            settings = Settings(database_url=SecretStr(database_url), retention_days=days)
            database = Database(settings, application="test")
            try:
                store = DatabaseStore(database, kept=settings.retention)
                [one] = await store.commit([message])
            finally:
                database.close()
            assert one is not None
            assert one.code == code

    on_loop(main)
