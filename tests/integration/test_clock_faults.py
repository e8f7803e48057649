"""Whole virtual devices whose clocks fail, through a real broker and the real ingestor."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from broker.server import MosquittoServer
from noctis.storage.engine import transaction
from noctis.storage.runs import unsigned
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import password_of
from tests.integration.test_ingestor import broker, database, own_postgres, running

__all__ = ["broker", "database", "own_postgres"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

PROGRAM = Path(sys.executable).with_name("noctis-device")


@pytest.mark.skipif(not PROGRAM.exists(), reason="noctis-device is not built: make firmware")
def test_whatever_a_devices_clock_says_each_epoch_is_stored_once_where_it_said(
    broker: MosquittoServer, own_postgres: PostgresServer, database: Engine, tmp_path: Path
) -> None:
    with running(broker, own_postgres, tmp_path) as ingestor:
        for seed in ("3", "4"):
            _play(broker, tmp_path, seed)
        asked = ingestor.metric("noctis_ingest_time_requests_total")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    made = Counter(
        (int(it["stream"], 16), it["seq"], None if it["utc"] is None else float(it["utc"]))
        for it in lines
    )
    with transaction(database) as connection:
        rows = connection.execute(
            text(
                "SELECT e.stream, e.seq, r.utc_s + 30 * (e.seq - e.run_seq - 1), r.utc_s "
                "FROM (SELECT device_id, stream, seq, run_seq FROM epochs UNION ALL "
                "SELECT device_id, stream, seq, run_seq FROM epochs_untimed) e "
                "JOIN runs r USING (device_id, stream, run_seq)"
            )
        ).all()
        placed = connection.execute(
            text(
                "SELECT stream, seq, placement, extract(epoch FROM epoch_start) "
                "FROM epoch_timeline"
            )
        ).all()
    stored = Counter(
        (unsigned(stream), seq, float(utc) if utc_s else None)
        for stream, seq, utc, utc_s in rows
    )
    assert stored == made
    began = {(int(it["stream"], 16), it["seq"]): it for it in lines}
    right = 0
    for stream, seq, placement, start in placed:
        line = began[unsigned(stream), seq]
        if line["utc"] is not None and abs(line["utc"] - line["began_at"]) <= 3.2:
            assert placement == "device"
            assert float(start) == line["utc"]
            right += 1
    assert len(made) / 4 < right < len(made)  # the clocks did fail, and were right too
    assert any(line["utc"] is None for line in lines)
    assert asked > 0


def _play(broker: MosquittoServer, folder: Path, seed: str) -> None:
    """Play a made-up night of 8 hours whose clock fails as its seed says."""
    subprocess.run(
        [
            PROGRAM,
            "--tenant",
            "t1",
            "--device",
            f"d{int(seed) - 2}",
            "--port",
            str(broker.port),
            "--nor",
            folder / f"nor{seed}",
            "--log",
            folder / "log",
            "--seed",
            seed,
            "--hours",
            "8",
            "--speed",
            "max",
            "--once",
            "--clock-faults",
        ],
        env={**os.environ, "NOCTIS_DEVICE_PASSWORD": password_of(f"t1/d{int(seed) - 2}")},
        check=True,
        timeout=120,
    )
