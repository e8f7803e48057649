from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import Connection, text

from noctis.epoch import Frame, Run
from noctis.errors import StorageError
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.status import Result, Status
from noctis.storage import commands, devices, missing, reports, tenants
from noctis.storage.commands import Range
from noctis.storage.errors import NotFoundError
from noctis.storage.ingest import Received, ingest

pytestmark = pytest.mark.postgres

STREAM = 0xF00D_0000_0000_0001
D1 = DeviceId("t1", "d1")
YESTERDAY = int(datetime.now(UTC).timestamp()) - 86_400


@pytest.fixture(autouse=True)
def people(connection: Connection) -> None:
    for tenant in ("t1", "t2"):
        tenants.add(connection, tenant)
        for device in ("d1", "d2"):
            devices.add(tenant, connection, device)


def done(command: object, **detail: int) -> Result:
    return Result.model_validate({"id": command, "state": "done", "detail": detail})


def store(
    connection: Connection,
    *spans: tuple[int, int],
    run_seq: int = 0,
    voids: int = 0,
    stream: int = STREAM,
    utc_s: int = YESTERDAY,
) -> None:
    """Store epochs ``first`` to ``last`` of one run, in frames of at most 64."""
    run = Run(reason=0, voids=voids, boot=1, tick_s=30, utc_s=utc_s)
    frames = []
    for first, last in spans:
        for begin in range(first, last + 1, 64):
            count = min(64, last + 1 - begin)
            codes = np.zeros((count, COUNT), np.int16)
            frame = Frame(stream, begin, run_seq, run, codes, np.ones(count, np.bool_))
            frames.append(Received(D1, frame, backlog=True))
    ingest(connection, frames, now=datetime.now(UTC))


def report(connection: Connection, **said: object) -> None:
    status = {"state": "online", "stream": f"{STREAM:016x}", "oldest_seq": 0, "next_seq": 0}
    reports.store(connection, {D1: Status.model_validate(status | {"backlog": 0} | said)})


def test_a_command_is_open_until_its_own_device_answers(connection: Connection) -> None:
    [key] = commands.order_resend("t1", connection, "d1", [Range(STREAM, 5, 9)])
    [one] = commands.open_commands(connection)
    body = {"command": "resend", "stream": f"{STREAM:016x}", "from": 5, "to": 9}
    assert (one.id, one.device, one.body, one.attempts) == (key, D1, body, 0)
    assert not commands.answer("t1", connection, "d2", done(key))
    assert not commands.answer("t2", connection, "d1", done(key))
    assert not commands.answer("t1", connection, "d1", done(uuid4()))
    assert commands.answer("t1", connection, "d1", done(key, stored=5))
    assert not commands.answer("t1", connection, "d1", done(key, stored=0))
    assert commands.open_commands(connection) == []
    [told] = commands.list_of("t1", connection, "d1")
    assert (told.state, told.detail) == ("done", {"stored": 5})
    assert told.answered_at is not None


def test_a_device_gets_its_oldest_command_first_and_one_at_a_time(
    connection: Connection,
) -> None:
    ranges = [Range(STREAM, n, n + 1) for n in (30, 10, 20)]
    keys = commands.order_resend("t1", connection, "d1", ranges)
    other = commands.order_resend("t1", connection, "d2", ranges[:1])
    assert {one.id for one in commands.open_commands(connection)} == {keys[0], *other}
    commands.sent(connection, [keys[0]])
    commands.answer("t1", connection, "d1", done(keys[0]))
    [one] = [one for one in commands.open_commands(connection) if one.device == D1]
    assert (one.id, one.attempts, one.sent_at) == (keys[1], 0, None)


def test_a_range_that_is_ordered_and_open_is_not_ordered_twice(connection: Connection) -> None:
    [first] = commands.order_resend("t1", connection, "d1", [Range(STREAM, 1, 2)])
    again = commands.order_resend(
        "t1", connection, "d1", [Range(STREAM, 1, 2), Range(STREAM, 1, 3)]
    )
    assert again[0] == first
    assert again[1] != first
    commands.answer("t1", connection, "d1", done(first))
    assert commands.order_resend("t1", connection, "d1", [Range(STREAM, 1, 2)]) != [first]


def test_a_command_that_nobody_answers_in_a_week_expires(connection: Connection) -> None:
    keys = commands.order_resend(
        "t1", connection, "d1", [Range(STREAM, 1, 2), Range(STREAM, 3, 4)]
    )
    connection.execute(
        text("UPDATE commands SET created_at = now() - interval '8 days' WHERE id = :id"),
        {"id": keys[0]},
    )
    assert commands.expire(connection) == 1
    assert [one.id for one in commands.open_commands(connection)] == [keys[1]]
    assert not commands.answer("t1", connection, "d1", done(keys[0]))


def test_strangers_and_revoked_devices_are_not_commanded(connection: Connection) -> None:
    with pytest.raises(NotFoundError):
        commands.order_resend("t1", connection, "d9", [])
    commands.order_resend("t1", connection, "d1", [Range(STREAM, 1, 2)])
    devices.revoke("t1", connection, "d1")
    assert commands.open_commands(connection) == []
    with pytest.raises(StorageError, match="revoked"):
        commands.order_resend("t1", connection, "d1", [])


def test_nothing_is_missing_of_a_device_that_stored_all_it_made(connection: Connection) -> None:
    store(connection, (1, 279))
    store(connection, (284, 300), run_seq=283, voids=3)
    report(connection, next_seq=301)
    assert missing.find("t1", connection, "d1") == missing.Missing([], 0)
    assert missing.stored("t1", connection, "d1", [Range(STREAM, 270, 290)]) == 17


def test_holes_between_what_is_stored_are_missing_and_near_ones_are_asked_for_as_one(
    connection: Connection,
) -> None:
    store(connection, (1, 100), (102, 110), (115, 400), (700, 900))
    found = missing.find("t1", connection, "d1")
    assert found.ranges == [Range(STREAM, 101, 114), Range(STREAM, 401, 699)]
    assert found.overwritten == 0


def test_after_a_restore_all_that_the_device_made_since_is_missing(
    connection: Connection,
) -> None:
    store(connection, (1, 100))
    report(connection, next_seq=961)
    assert missing.find("t1", connection, "d1").ranges == [Range(STREAM, 101, 960)]
    store(connection, (955, 960), run_seq=900)
    # Its RUN at 900 is known and lies between: one question all the same.
    assert missing.find("t1", connection, "d1").ranges == [Range(STREAM, 101, 954)]


def test_a_stream_that_the_restored_database_never_saw_is_missing_as_a_whole(
    connection: Connection,
) -> None:
    store(connection, (1, 100))
    report(connection, stream="00000000000000ab", oldest_seq=280, next_seq=400)
    assert missing.find("t1", connection, "d1").ranges == [Range(0xAB, 280, 399)]


def test_what_lies_below_the_lowest_stored_is_missing_while_the_device_has_it(
    connection: Connection,
) -> None:
    store(connection, (600, 700), run_seq=560)
    report(connection, oldest_seq=280, next_seq=701)
    found = missing.find("t1", connection, "d1")
    assert found.ranges == [Range(STREAM, 280, 599)]


def test_what_the_spool_has_overwritten_is_told_and_not_asked_for(
    connection: Connection,
) -> None:
    store(connection, (1, 100), (700, 900))
    report(connection, oldest_seq=560, next_seq=901)
    found = missing.find("t1", connection, "d1")
    assert found == missing.Missing([Range(STREAM, 560, 699)], 459)


def test_epochs_without_a_time_count_as_stored(connection: Connection) -> None:
    store(connection, (1, 50), utc_s=0)
    report(connection, next_seq=51)
    assert missing.find("t1", connection, "d1").ranges == []


def test_a_device_of_which_nothing_is_known_misses_nothing(connection: Connection) -> None:
    assert missing.find("t2", connection, "d2") == missing.Missing([], 0)


def test_a_closed_stream_is_not_asked_for_though_the_device_still_writes_it(
    connection: Connection,
) -> None:
    store(connection, (1, 10), (500, 510))
    report(connection, next_seq=900)
    assert missing.find("t1", connection, "d1").ranges != []
    connection.execute(text("UPDATE streams SET closed_at = now()"))
    assert missing.find("t1", connection, "d1").ranges == []


def test_the_newest_status_of_a_device_is_kept_and_strangers_are_passed_over(
    connection: Connection,
) -> None:
    report(connection, next_seq=5)
    report(connection, next_seq=7)
    status = Status.model_validate(
        {"state": "lost", "stream": "0" * 16, "oldest_seq": 0, "next_seq": 1, "backlog": 0}
    )
    reports.store(connection, {DeviceId("t9", "d1"): status})
    last = reports.last("t1", connection, "d1")
    assert last is not None
    assert last[0].next_seq == 7
    assert reports.last("t2", connection, "d1") is None
