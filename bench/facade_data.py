"""Nights and days of many devices, made in the database: what the facade's bench reads.

Written straight by SQL: how epochs get in is another bench's question (``bench.ingest``).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, text

from noctis.features import FEATURES
from noctis.storage import devices, recordings, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.predictions import model_id
from noctis.storage.recordings import Night

__all__ = ["DAY", "TENANT", "fill", "names"]

TENANT: Final = "home"
DAY: Final = 2880
NIGHT: Final = 960
SECONDS: Final = 600.0
_CODES: Final = ", ".join(f"(g * {7 + n} % {it.missing})" for n, it in enumerate(FEATURES))
_COLUMNS: Final = ", ".join(it.name for it in FEATURES)
_RUN: Final = text("""
INSERT INTO runs (device_id, stream, run_seq, tenant_id, reason, voids, boot, tick_s, utc_s,
                  utc, received_at)
SELECT d.id, d.id, 0, d.tenant_id, 0, 0, 1, 0, extract(epoch FROM CAST(:begin AS timestamptz)),
       :begin, now() FROM devices d
""")
_STREAMS: Final = text("""
INSERT INTO streams (stream, tenant_id, device_id, first_seen)
SELECT id, tenant_id, id, now() FROM devices
""")
_EPOCHS: Final = text(f"""
INSERT INTO epochs (tenant_id, device_id, epoch_start, stream, seq, run_seq, in_bed,
                    {_COLUMNS}, received_at)
SELECT d.tenant_id, d.id, CAST(:begin AS timestamptz) + make_interval(secs => 30 * (g - 1)),
       d.id, g, 0, (g - 1) % {DAY} < {NIGHT}, {_CODES}, now()
  FROM devices d CROSS JOIN generate_series(1, :count) g WHERE d.name = :device
""")  # noqa: S608 - every part is a constant
_PREDICTIONS: Final = text("""
INSERT INTO predictions (tenant_id, device_id, stream, seq, model_id, epoch_start, stage,
                         p_wake, p_light, p_deep, p_rem)
SELECT e.tenant_id, e.device_id, e.stream, e.seq, :model, e.epoch_start, e.seq / 20 % 4,
       0.1, 0.6, 0.2, 0.1
  FROM epochs e JOIN devices d ON d.id = e.device_id WHERE d.name = :device AND e.in_bed
""")


def names(count: int) -> list[str]:
    """Return the names of so many devices."""
    return [f"bed-{number}" for number in range(count)]


def fill(url: str, *, count: int, days: int) -> tuple[datetime, list[UUID]]:
    """Make devices with days of epochs, a third of them in bed and staged, and their nights.

    Return when the first day begins, and the nights' keys.
    """
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)
    engine = create(url, application="noctis-bench")
    try:
        with transaction(engine, SECONDS) as connection:
            tenants.add(connection, TENANT)
            for name in names(count):
                devices.add(TENANT, connection, name)
            connection.execute(_STREAMS)
            connection.execute(_RUN, {"begin": begin})
            model = model_id(connection, "stager", "bench")
        for name in names(count):
            with transaction(engine, SECONDS) as connection:
                about = {"device": name, "begin": begin, "count": days * DAY}
                connection.execute(_EPOCHS, about)
                connection.execute(_PREDICTIONS, {"device": name, "model": model})
        with transaction(engine, SECONDS) as connection:
            keys = _nights(connection, names(count), begin, days)
        with transaction(engine, SECONDS) as connection:
            connection.execute(text("ANALYZE"))
    finally:
        engine.dispose()
    return begin, keys


def _nights(
    connection: Connection, beds: Sequence[str], begin: datetime, days: int
) -> list[UUID]:
    codes = (np.arange(NIGHT) // 20 % 4).astype(np.uint8).tobytes()
    keys = []
    for bed in beds:
        owner = devices.get(TENANT, connection, bed).id
        for day in range(days):
            start = begin + timedelta(days=day)
            night = Night(
                state="closed",
                evening=start.date(),
                time_zone="UTC",
                started_at=start,
                ended_at=start + timedelta(seconds=30 * NIGHT),
                hypnogram=codes,
                model_id=None,
                moved=0,
                closes_at=None,
            )
            keys.append(recordings.add(connection, owner, night))
    return keys
