"""What the devices made, held against what was stored and what the app heard."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from bench.latency import TENANT, Row
from cli.verdict import Entry, Key, key_of, read_log
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import NoctisError
from noctis.storage.engine import transaction
from tests.truth import differences, read_database, read_logs

__all__ = ["Window", "due", "entries_of", "missing_and_waits", "predicted", "stored", "wrong"]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the run, in unix seconds."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        """Whether a moment lies in it."""
        return self.begin <= moment < self.end


def entries_of(folder: Path) -> list[Entry]:
    """Return all that the devices logged."""
    return [entry for log in sorted(folder.glob("log*")) for entry in read_log(log)]


def due(entries: Sequence[Entry], speed: float) -> dict[Key, float]:
    """Return when each epoch was due on the wall clock, whenever it was sent.

    A device's night runs ``speed`` times as fast as the clock, without a stop; where that night
    began on the wall clock its promptest publish tells.
    """
    boots: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        boots[entry["stream"], entry["boot"]].append(entry)
    moments: dict[Key, float] = {}
    for mine in boots.values():
        played = {key_of(it): (it["began_at"] + EPOCH_SECONDS) / speed for it in mine}
        sent = [it["published_at"] - played[key_of(it)] for it in mine if it["published_at"]]
        if sent:
            moments |= {key: min(sent) + moment for key, moment in played.items()}
    return moments


def missing_and_waits(
    moments: Mapping[Key, float], arrivals: Mapping[Key, float], window: Window
) -> tuple[int, Row]:
    """Return how many epochs of a window no app heard of, and the waits of the others."""
    mine = [key for key, moment in moments.items() if window.holds(moment)]
    waits = [arrivals[key] - moments[key] for key in mine if key in arrivals]
    return len(mine) - len(waits), Row.of("stage", waits)


def wrong(folder: Path, engine: Engine) -> tuple[int, int]:
    """Return how many epochs are lost, and how many are otherwise not what was made."""
    found = differences(read_logs(folder), read_database(engine, TENANT))
    lost = len(found.pop("lost", []))
    return lost, sum(len(epochs) for epochs in found.values())


def stored(engine: Engine) -> int | None:
    """Return how many epochs are stored; None while nobody at the database answers."""
    return _count(engine, "SELECT count(*) FROM epochs")


def predicted(engine: Engine) -> int | None:
    """Return how many epochs have a stage that was served; None as above."""
    return _count(
        engine,
        "SELECT count(*) FROM (SELECT DISTINCT device_id, stream, seq FROM predictions) p",
    )


def _count(engine: Engine, query: str) -> int | None:
    try:
        with transaction(engine, seconds=5) as connection:
            return int(connection.scalar(text(query)) or 0)
    except NoctisError:
        return None
