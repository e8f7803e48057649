"""What devices made, by their own logs, held against what is stored: the tests' checker."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import Engine, text

from noctis.features import NAMES
from noctis.slot import encode_slots
from noctis.storage.engine import transaction

U64: Final = (1 << 64) - 1
APART_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch as a device's log or the database has it; times in unix seconds."""

    device: str
    stream: int
    seq: int
    record: str
    began_at: float | None

    @property
    def key(self) -> tuple[str, int, int]:
        return self.device, self.stream, self.seq


def differences(made: Sequence[Epoch], stored: Sequence[Epoch]) -> dict[str, list[Epoch]]:
    """Return what is wrong with what is stored, by kind; only kinds that there are."""
    truth = {epoch.key: epoch for epoch in made}
    times = Counter(epoch.key for epoch in stored)
    owners = {epoch.stream: epoch.device for epoch in made}
    known = [epoch for epoch in stored if epoch.key in truth]
    found = {
        "made twice": [e for e, n in _repeated(made).items() if n > 1],
        "lost": [e for key, e in truth.items() if key not in times],
        "never made": [e for e in stored if e.key not in truth],
        "stored twice": [e for e in stored if times[e.key] > 1],
        "of another device": [e for e in stored if owners.get(e.stream) != e.device],
        "altered": [e for e in known if e.record != truth[e.key].record],
        "at another time": [e for e in known if _apart_s(e, truth[e.key]) > APART_S],
    }
    return {kind: epochs for kind, epochs in found.items() if epochs}


def _repeated(made: Sequence[Epoch]) -> dict[Epoch, int]:
    counts = Counter(epoch.key for epoch in made)
    return {epoch: counts[epoch.key] for epoch in made}


def _apart_s(one: Epoch, other: Epoch) -> float:
    if one.began_at is None or other.began_at is None:
        return 0.0
    return abs(one.began_at - other.began_at)


def read_logs(folder: Path) -> list[Epoch]:
    """Return what the devices say they made: the truth."""
    made = []
    for log in sorted(folder.glob("log*")):
        for line in log.read_text("utf-8").splitlines():
            entry = json.loads(line)
            stream = int(entry["stream"], 16)
            record, began_at = entry["record_hex"], entry["began_at"]
            made.append(Epoch(entry["device"], stream, entry["seq"], record, began_at))
    return made


def read_database(engine: Engine, tenant: str | None = None) -> list[Epoch]:
    """Return every row of epochs there is, doubles included; of one tenant or of all."""
    codes = ", ".join(NAMES)
    whose = (
        "JOIN tenants t ON t.id = d.tenant_id "
        "AND (CAST(:tenant AS text) IS NULL OR t.name = :tenant)"
    )
    query = f"""
        SELECT d.name, stream, seq, extract(epoch FROM epoch_start)::float8, in_bed, {codes}
        FROM epochs e JOIN devices d ON d.id = e.device_id {whose}
        UNION ALL
        SELECT d.name, stream, seq, NULL, in_bed, {codes}
        FROM epochs_untimed e JOIN devices d ON d.id = e.device_id {whose}
    """  # noqa: S608 - the names are our own
    with transaction(engine, seconds=60) as connection:
        rows = connection.execute(text(query), {"tenant": tenant}).all()
    values = np.array([row[4:] for row in rows], np.int16).reshape(-1, 1 + len(NAMES))
    slots = encode_slots(values[:, 1:], values[:, 0].astype(np.bool_))
    return [
        Epoch(row[0], row[1] & U64, row[2], bytes(slot).hex(), row[3])
        for row, slot in zip(rows, slots, strict=True)
    ]
