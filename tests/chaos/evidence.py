"""What the checker goes by: the devices' own logs, ``noctis export``, stored predictions.

Nothing here asks a service what it thinks that it did.
"""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg

__all__ = ["Made", "Stored", "export", "made_by", "predictions_of"]

EXPORT_S: Final = 900
U64: Final = (1 << 64) - 1
PREDICTIONS: Final = """
    SELECT t.name || '/' || d.name, p.stream, p.seq, m.name || '@' || m.version
    FROM predictions p
    JOIN models m ON m.id = p.model_id
    JOIN devices d ON d.id = p.device_id
    JOIN tenants t ON t.id = d.tenant_id AND t.name = %s
    WHERE p.origin = 0
"""

Key = tuple[str, int, int]
"""Device, stream, seq."""


@dataclass(frozen=True, slots=True)
class Made:
    """An epoch by its device's own log; ``utc`` as the device stamped it, None: unknown."""

    key: Key
    boot: int
    record: str
    utc: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """An epoch as ``noctis export`` tells it; ``start`` is None unless it is the device's."""

    key: Key
    record: str
    start: float | None


def made_by(folder: Path) -> list[Made]:
    """Return all that the devices with logs in ``folder`` say they made, in its order."""
    found = []
    for log in sorted(folder.glob("log*")):
        with log.open(encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines if line.endswith("}\n")]
        for it in entries:
            key = f"{it['tenant']}/{it['device']}", int(it["stream"], 16), it["seq"]
            found.append(Made(key, it["boot"], it["record_hex"], it["utc"]))
    return found


def export(url: str, tenant: str, file: Path) -> list[Stored]:
    """Run ``noctis export``; return what it wrote, in its order."""
    program = [sys.executable, "-c", "from cli.main import main; main()"]
    subprocess.run(
        [*program, "export", tenant, "--output", file, "--var", file.parent / "none"],
        check=True,
        timeout=EXPORT_S,
        capture_output=True,
        env={**os.environ, "NOCTIS_DATABASE_URL": url, "NOCTIS_PROFILE": "local"},
    )
    with file.open(encoding="utf-8", newline="") as lines:
        return [_stored(row) for row in csv.DictReader(lines)]


def predictions_of(url: str, tenant: str) -> "Counter[tuple[Key, str]]":
    """Return how many stored predictions each epoch has of each version that served it."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        rows = connection.execute(PREDICTIONS, [tenant])
        return Counter(
            ((device, stream & U64, seq), model) for device, stream, seq, model in rows
        )


def _stored(row: dict[str, str]) -> Stored:
    key = row["device"], int(row["stream"], 16), int(row["seq"])
    timed = row["placement"] == "device"
    start = datetime.fromisoformat(row["epoch_start"]).timestamp() if timed else None
    return Stored(key, row["record_hex"], start)
