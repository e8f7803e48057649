"""Fleets whose nights look like the training people's, stored as the platform stores them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import randrange

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from companion.keeper import keep
from noctis.epoch import Frame, Run
from noctis.features import COUNT, FEATURES
from noctis.histograms import PLACES
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import devices, marks, predictions, tenants
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.predictions import Prediction
from noctis.topics import SHARDS
from registry.fingerprint import Fingerprint

ALL = frozenset(range(SHARDS))
EPOCHS = 120
Codes = NDArray[np.int16]
Change = Callable[[Codes], Codes]


@dataclass(frozen=True)
class Fleet:
    """Devices of a tenant, each with so many nights up to last night, as one person each."""

    tenant: str
    people: Sequence[int]
    nights: int
    first_evening: datetime

    @classmethod
    def of(cls, tenant: str, people: Sequence[int], nights: int) -> "Fleet":
        today = datetime.now(UTC).replace(hour=22, minute=0, second=0, microsecond=0)
        return cls(tenant, people, nights, today - timedelta(days=nights))


def codes_of(
    fingerprint: Fingerprint, person: int, epochs: int, random: np.random.Generator
) -> Codes:
    """Draw epochs from a training person's histograms, channel by channel."""
    codes = np.empty((epochs, COUNT), np.int16)
    for channel, place in enumerate(PLACES):
        counts = fingerprint.subjects[person][place]
        codes[:, channel] = random.choice(len(counts), epochs, p=counts / counts.sum())
    return codes


def shifted(channel: int, by: float) -> Change:
    """Add so many units of a channel to each of its values."""

    def change(codes: Codes) -> Codes:
        moved = codes.copy()
        feature = FEATURES[channel]
        moved[:, channel] = feature.codes(feature.values(codes[:, channel]) + by)
        return moved

    return change


def settle(
    engine: Engine,
    fleet: Fleet,
    fingerprint: Fingerprint,
    model: tuple[str, str],
    *,
    change: Change | None = None,
    changed: int = 0,
) -> None:
    """Store a fleet's nights and stages; the last ``changed`` nights go through ``change``."""
    with transaction(engine, 60) as connection:
        tenants.add(connection, fleet.tenant)
        key = predictions.model_id(connection, *model)
    for number, person in enumerate(fleet.people):
        random = np.random.default_rng(person)
        who = DeviceId(fleet.tenant, f"bed-{number}")
        with transaction(engine, 60) as connection:
            device = devices.add(fleet.tenant, connection, who.device).id
            stream = randrange(1 << 64)  # noqa: S311 - not a secret
            for night in range(fleet.nights):
                codes = codes_of(fingerprint, person, EPOCHS, random)
                if change is not None and night >= fleet.nights - changed:
                    codes = change(codes)
                start = fleet.first_evening + timedelta(days=night)
                _store(connection, who, _frames(stream, night, start, codes))
                rows = _judged(device, stream, night, start)
                predictions.store(connection, key, rows)
    _find_nights(engine)


def _store(connection: Connection, who: DeviceId, frames: Sequence[Frame]) -> None:
    verdicts = ingest(connection, [Received(who, it, backlog=True) for it in frames])
    assert {it.code for it in verdicts} == {0}


def _frames(stream: int, night: int, start: datetime, codes: Codes) -> list[Frame]:
    run_seq = night * 1000
    run = Run(0, 0, night + 1, 0, int(start.timestamp()))
    in_bed = np.ones(len(codes), bool)
    return [
        Frame(stream, run_seq + 1 + at, run_seq, run, codes[at : at + 60], in_bed[at : at + 60])
        for at in range(0, len(codes), 60)
    ]


def _judged(device: int, stream: int, night: int, start: datetime) -> list[Prediction]:
    stages = [Stage(n // 8 % 4) for n in range(EPOCHS)]
    return [
        Prediction(
            device,
            stream,
            night * 1000 + 1 + n,
            start + timedelta(seconds=30 * n),
            stage,
            (*(0.7 if it == stage else 0.1 for it in Stage),),  # type: ignore[arg-type]
        )
        for n, stage in enumerate(stages)
    ]


def _find_nights(engine: Engine) -> None:
    is_more = True
    while is_more:
        with transaction(engine, 60) as connection:
            now = datetime.now(UTC) + timedelta(hours=1)  # nothing more is heard of a night
            stale = marks.stale_devices(connection, ALL)
            steps = [keep(connection, device, now) for device in stale]
        is_more = any(it.is_more for it in steps)
