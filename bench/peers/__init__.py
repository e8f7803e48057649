"""The peers: what else people bring MQTT into PostgreSQL with, on the same servers and loads.

Each takes the topics with QoS 1 and stores topic and payload, or the payload alone, under a key
that keeps what is delivered twice stored once: less than the ingestor does, which decodes,
checks, knows its devices, compares and tells its device. Each has a folder of its own below
build/bench. One is measured without the key, too.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from bench.load import Fleet, Load
from bench.native import Publisher
from bench.peers.install import KEYLESS, PEERS, Peer, UnavailableError
from bench.rounds import Runs, bind
from bench.stage import PEER, Stage, say
from noctis.childproc import Child
from noctis.errors import ProcessError

__all__ = ["Beside", "measure"]

TABLE: Final = """
CREATE TABLE peer_frames (
    topic text, payload bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now(){key}
)
"""
KEY: Final = """,
    epoch bytea GENERATED ALWAYS AS (substr(payload, 5, 16)) STORED PRIMARY KEY"""
"""Stream, run and number of a frame's first epoch."""
READY_S: Final = 45.0
DONE_S: Final = 120.0
OUTAGE_S: Final = 3.0
QUIET_S: Final = 12.0
POLL_S: Final = 0.02


@dataclass(slots=True)
class Beside:
    """The ingestor and its peers on the same loads; ``ratios`` is ours by theirs."""

    ingestor: Runs
    rates: dict[str, list[float]] = field(default_factory=dict)
    outages: dict[str, int | None] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float | None]:
        """How many times a peer's rate ours is; None where the peer could not be set up."""
        ours = self.ingestor.rates["ingestor"]
        return {
            name: round(median(a / b for a, b in zip(ours, rates, strict=True)), 2)
            if (rates := self.rates.get(name))
            else None
            for name in PEERS
        }

    @property
    def keyed(self) -> dict[str, float | None]:
        """The ratios to those that store under a key."""
        return {name: it for name, it in self.ratios.items() if name not in KEYLESS}

    @property
    def told(self) -> dict[str, Any]:
        """Return all of it for people."""
        return {
            "ingestor_per_second": round(median(self.ingestor.rates["ingestor"])),
            "ratio_to_keyless": {name: self.ratios[name] for name in KEYLESS},
            "per_second": {name: round(median(it)) for name, it in self.rates.items()},
            "lost_in_an_outage_of_the_database": self.outages,
        }


def measure(stage: Stage, fleet: Fleet, warm: Fleet, *, messages: int, rounds: int) -> Beside:
    """Let the ingestor and each peer that can be set up take the same loads, in turns."""
    beside = Beside(Runs(bound=bind(stage, fleet)))
    first = fleet.load(fleet.devices)  # stored by the peers alone
    peers = _installed(stage)
    for number in range(rounds):
        load = fleet.load(messages)
        say(f"peers, round {number + 1} of {rounds}")
        beside.ingestor.take(stage, load, warm)
        for name, peer in peers.items():
            with _running(stage, peer, first):
                beside.rates.setdefault(name, []).append(load.messages / _taken(stage, load))
    load = fleet.load(messages)
    for name, peer in peers.items():
        say(f"{name} while the database is away")
        with _running(stage, peer, first) as child:
            beside.outages[name] = _lost_in_an_outage(stage, load, peer, child)
    return beside


def _installed(stage: Stage) -> Mapping[str, Peer]:
    peers = {}
    for name, make in PEERS.items():
        try:
            peers[name] = make(stage)
        except UnavailableError as error:
            say(f"{name} is left out: {error}")
    return peers


@contextmanager
def _running(stage: Stage, peer: Peer, warm: Load) -> Iterator[Child]:
    """Run a peer whose subscription is proved by what it stores; then empty the table."""
    stage.run("DROP TABLE IF EXISTS peer_frames")
    stage.run(TABLE.format(key=KEY if peer.keyed else ""))
    child = _start(stage, peer)
    try:
        deadline = time.monotonic() + READY_S
        while not _stored(stage):
            if time.monotonic() > deadline or child.exit_code is not None:
                message = f"a peer stores nothing; its log ends: {child.tail()}"
                raise ProcessError(message)
            Publisher(stage.broker.port, warm.path).go()
            time.sleep(1.0)
        _wait_quiet(stage, 1.0)
        stage.run("TRUNCATE peer_frames")
        yield child
    finally:
        child.stop()
        stage.forget(PEER)


def _taken(stage: Stage, load: Load) -> float:
    """Return the seconds until every message of a load is stored."""
    stage.settle()
    publisher = Publisher(stage.broker.port, load.path)
    started = time.perf_counter()
    publisher.go()
    while (count := _stored(stage)) < load.messages:
        if time.perf_counter() - started > DONE_S:
            message = f"a peer stored {count} of {load.messages} messages in {DONE_S:g} s"
            raise ProcessError(message)
        time.sleep(POLL_S)
    seconds = time.perf_counter() - started
    publisher.result()
    return seconds


def _start(stage: Stage, peer: Peer) -> Child:
    log = stage.folder / "peer.log"
    return Child(peer.command, log=log, environment=peer.environment)


def _lost_in_an_outage(stage: Stage, load: Load, peer: Peer, child: Child) -> int:
    """Return how many messages are never stored of a load sent while the database is away.

    A peer that ends of it is started again, as a supervisor would; the broker has kept its
    session.
    """
    port = stage.postgres.port
    stage.postgres.kill()
    publisher = Publisher(stage.broker.port, load.path)
    publisher.go()
    publisher.result()
    time.sleep(OUTAGE_S)
    stage.postgres.start(port)
    again = None if child.exit_code is None else _start(stage, peer)
    _wait_quiet(stage, QUIET_S, enough=load.messages)
    if again is not None:
        again.stop()
    return max(0, load.messages - _stored(stage))


def _wait_quiet(stage: Stage, seconds: float, *, enough: int = 1 << 62) -> None:
    """Wait until nothing has been stored for so long, or enough has."""
    count, since = _stored(stage), time.monotonic()
    while count < enough and time.monotonic() - since < seconds:
        time.sleep(0.1)
        if (now := _stored(stage)) != count:
            count, since = now, time.monotonic()


def _stored(stage: Stage) -> int:
    return stage.count("SELECT count(*) FROM peer_frames")
