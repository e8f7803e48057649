"""Random lives of devices, the real core against the real ingest in a real database.

``noctis_schedules``, built with the firmware's tests, plays hundreds of devices in simulated
time: boots and power cuts, a clock that is unknown, wrong by seconds, hours or years, set back
and right again, a network that loses, delays, reorders and repeats messages and
acknowledgements. What they send is stored here; what they are told comes from here.

Another seed and more devices: ``NOCTIS_SEED=7 NOCTIS_SCHEDULES=3000 pytest ...``; a device's
own seed, which a failure names, repeats its life with ``NOCTIS_SCHEDULES=1``. Thousands take
longer than a test may: add ``--timeout=0``.
"""

import json
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, text

from ingestor import clock
from ingestor.acks import acknowledgements
from ingestor.batch import Outcome
from ingestor.bridge import open_messages
from ingestor.store import told
from noctis import topics
from noctis.identity import DeviceId
from noctis.mqtt import Message
from noctis.storage import devices, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import ingest
from tests.integration.conftest import fresh_database

__all__ = ["DEVICES", "Made", "Played", "played"]

BUILD: Final = Path(__file__).parents[2] / "build"
SEED: Final = int(os.environ.get("NOCTIS_SEED", "1"))
DEVICES: Final = int(os.environ.get("NOCTIS_SCHEDULES", "300"))
ROUNDS: Final = 60
LATE_DEVICES: Final = 0.15  # are registered when they have sent for a while
AWAY: Final = 0.05  # of the commits fail


def program() -> Path:
    built = sorted(BUILD.glob("*/noctis_schedules"), key=lambda path: path.stat().st_mtime)
    if not built:
        pytest.skip("noctis_schedules is not built: make firmware")
    return built[-1]


def moment(utc_ms: int) -> datetime:
    return datetime.fromtimestamp(utc_ms // 1000, UTC) + timedelta(milliseconds=utc_ms % 1000)


@dataclass(frozen=True)
class Made:
    """The truth of an epoch: when it began, and how wrong the device's clock was then."""

    device: int
    seed: int
    stream: int
    seq: int
    boot: int
    record: bytes
    began: datetime
    error: timedelta | None  # None: the clock was unknown


@dataclass(frozen=True)
class Played:
    """What the schedules left: the truth, the database, and how often it refused."""

    made: Sequence[Made]
    engine: Engine
    refused: int


@dataclass
class Platform:
    """The ingestor's work on a round's messages, in simulated time."""

    engine: Engine
    chance: random.Random
    late: dict[int, int] = field(default_factory=dict)  # device -> round of its registration
    messages: list[Message] = field(default_factory=list)
    refused: int = 0

    def register(self, number: int) -> None:
        with transaction(self.engine, 60) as connection:
            for device in [it for it, when in self.late.items() if when <= number]:
                devices.add("t1", connection, f"d{device}")
                del self.late[device]

    def take(self, message: dict[str, Any]) -> None:
        topic = topics.up(name_of(message["device"]), message["channel"])
        payload = bytes.fromhex(message["send"])
        self.messages.append(Message(topic, payload, 1, retain=False, generation=1))

    def commit(self, number: int, now: datetime) -> Iterator[str]:
        """Store the round's messages in a few transactions; yield what devices are told."""
        self.register(number)
        messages, self.messages = self.messages, []
        cuts = sorted(self.chance.randrange(len(messages) + 1) for _ in range(2))
        for part in (messages[: cuts[0]], messages[cuts[0] : cuts[1]], messages[cuts[1] :]):
            try:
                outcomes = self._store(part, now)
            except AwayError:
                continue
            self.refused += sum(it.code == 1 for it in outcomes)
            for topic, payload in acknowledgements(outcomes):
                yield f"{topic.split('/')[4][1:]} {payload.hex()}"

    def _store(self, messages: Sequence[Message], now: datetime) -> list[Outcome]:
        opened = open_messages(messages)
        assert not opened.rejections
        with transaction(self.engine, 60) as connection:
            verdicts = ingest(connection, opened.batch, now=now)
            if self.chance.random() < AWAY:
                raise AwayError
        return told(opened, verdicts)


class AwayError(Exception):
    """The database is away: the transaction is rolled back, nobody is told anything."""


def name_of(device: int) -> DeviceId:
    return DeviceId("t1", f"d{device}")


def made_of(line: dict[str, Any]) -> Made:
    error_ms = line["error_ms"]
    return Made(
        line["device"],
        line["seed"],
        line["stream"],
        line["seq"],
        line["boot"],
        bytes.fromhex(line["made"]),
        moment(line["began_ms"]),
        None if error_ms is None else timedelta(milliseconds=error_ms),
    )


def play(platform: Platform) -> list[Made]:
    """Play the schedules; return the truth of every epoch."""
    truth: list[Made] = []
    command = [program(), str(SEED), str(DEVICES), str(ROUNDS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as playing:
        assert playing.stdin is not None
        assert playing.stdout is not None
        for line in playing.stdout:
            message = json.loads(line)
            match message:
                case {"send": _}:
                    platform.take(message)
                case {"made": _}:
                    truth.append(made_of(message))
                case {"ask": request, "device": device, "utc_ms": utc_ms}:
                    told = clock.answer(
                        topics.up(name_of(device), "time"),
                        bytes.fromhex(request),
                        now_ns=lambda at=utc_ms: at * 1_000_000,
                    )
                    assert told is not None
                    playing.stdin.write(f"{told[1].hex()}\n")
                    playing.stdin.flush()
                case {"round": number, "utc_ms": utc_ms}:
                    for told_line in platform.commit(number, moment(utc_ms)):
                        playing.stdin.write(f"{told_line}\n")
                    playing.stdin.write(".\n")
                    playing.stdin.flush()
                case {"settled": settled}:
                    assert settled, "some device never got everything acknowledged"
    assert playing.returncode == 0
    return truth


# Whatever would move or replace what is stored once makes the schedules fail on the spot.
_FREEZE: Final = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% was to be changed', TG_TABLE_NAME; END $$;
CREATE TRIGGER fixed BEFORE UPDATE OR DELETE ON epochs FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER fixed BEFORE UPDATE OR DELETE ON epochs_untimed
   FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER fixed BEFORE DELETE OR UPDATE OF boot, tick_s, utc_s, utc, received_at ON runs
   FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture(scope="session")
def played(postgres: str, migrated: str) -> Iterator[Played]:
    """The schedules, played once into a database of their own."""
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(postgres, migrated))
        engine = create(url, application="noctis-test")
        stack.callback(engine.dispose)
        chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
        platform = Platform(engine, chance)
        with transaction(engine, 60) as connection:
            connection.execute(text(_FREEZE))
            tenants.add(connection, "t1")
            for device in range(DEVICES):
                if chance.random() < LATE_DEVICES:
                    platform.late[device] = chance.randrange(2, 30)
                else:
                    devices.add("t1", connection, f"d{device}")
        print(f"NOCTIS_SEED={SEED} NOCTIS_SCHEDULES={DEVICES}")  # noqa: T201 - to repeat it
        made = play(platform)
        yield Played(made, engine, platform.refused)
