"""Where epochs belong: streams bound to their first device, and the verdict on each run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection, text

from noctis.epoch import Frame, Run
from noctis.storage.arrays import array

__all__ = ["Device", "KnownRun", "RunBook", "bind_streams", "signed", "unsigned", "verdict"]

EARLIEST: Final = datetime(2025, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(days=1)
# Twice what a device's flash holds: an older time is a wrong clock's, not an old epoch's, and
# believing it would dispose of an epoch that was just made.
BEHIND: Final = timedelta(days=400)


def signed(stream: int) -> int:
    """Return a stream's 64 bits as the database keeps them."""
    return stream - (1 << 64) if stream >= 1 << 63 else stream


def unsigned(stream: int) -> int:
    """Return a stream's 64 bits as devices and people write them."""
    return stream & ((1 << 64) - 1)


@dataclass(frozen=True, slots=True)
class Device:
    """A device's surrogate keys, whether it may still send, and how long its epochs stay."""

    id: int
    tenant_id: int
    revoked: bool
    kept: timedelta


def bind_streams(
    connection: Connection,
    claims: Iterable[tuple[int, Device]],
    strange: Iterable[int],
    now: datetime,
) -> tuple[dict[int, int | None], set[int]]:
    """Bind each claimed stream to the first device that claims it.

    Return stream -> device, and the streams that are closed, ``strange`` ones too: those sent
    by somebody who may not claim any. A stream that is bound already stays where it is.
    """
    first: dict[int, Device] = {}
    for stream, device in claims:
        first.setdefault(stream, device)
    known = _streams(connection, {*first, *strange})
    new = sorted(stream for stream in first if stream not in known)
    if new:
        # In order of the key, so that two ingestors never wait for each other in a circle.
        connection.execute(
            text(
                "INSERT INTO streams (stream, tenant_id, device_id, first_seen) "
                "VALUES (:stream, :tenant_id, :device_id, :now) ON CONFLICT DO NOTHING"
            ),
            [
                {
                    "stream": stream,
                    "tenant_id": first[stream].tenant_id,
                    "device_id": first[stream].id,
                    "now": now,
                }
                for stream in new
            ],
        )
        known |= _streams(connection, new)
    owners = {stream: device for stream, (device, _) in known.items()}
    return owners, {stream for stream, (_, is_closed) in known.items() if is_closed}


def _streams(
    connection: Connection, streams: Collection[int]
) -> dict[int, tuple[int | None, bool]]:
    """Return the owner of each known stream, and whether the stream is closed."""
    select = text(
        "SELECT stream, device_id, closed_at IS NOT NULL FROM streams "
        "WHERE stream = ANY(CAST(:streams AS bigint[]))"
    )
    rows = connection.execute(select, {"streams": array(list(streams), "bigint")})
    return {stream: (device, is_closed) for stream, device, is_closed in rows}


def verdict(run: Run, now: datetime) -> datetime | None:
    """Return the time base of a run that is first received ``now``; None: no usable clock."""
    if run.utc_s == 0:
        return None
    utc = datetime.fromtimestamp(run.utc_s, UTC)
    return utc if max(EARLIEST, now - BEHIND) <= utc <= now + AHEAD else None


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as it is stored: what the device said, and the verdict on its clock."""

    run: Run
    utc: datetime | None


@dataclass(slots=True)
class RunBook:
    """The stored runs around a batch's frames."""

    _runs: dict[tuple[int, int], dict[int, KnownRun]] = field(default_factory=dict)

    def of(self, device: Device, frame: Frame) -> KnownRun | None:
        """Return the stored run that a frame names."""
        return self._runs.get((device.id, frame.stream), {}).get(frame.run_seq)

    def interrupts(self, device: Device, frame: Frame) -> bool:
        """Tell whether another run begins inside the frame, which cannot be."""
        last = frame.first + frame.count - 1
        known = self._runs.get((device.id, frame.stream), {})
        return any(frame.run_seq < run_seq <= last for run_seq in known)

    def load(self, connection: Connection, frames: Sequence[tuple[Device, Frame]]) -> None:
        """Read the runs of these frames, and any that begin inside them."""
        last: dict[tuple[int, int, int], int] = {}
        for device, frame in frames:
            key = (device.id, signed(frame.stream), frame.run_seq)
            last[key] = max(last.get(key, 0), frame.first + frame.count - 1)
        keys = np.array(list(last), np.int64).reshape(-1, 3)
        rows = connection.execute(
            _LOAD,
            {
                "devices": array(keys[:, 0], "integer"),
                "streams": array(keys[:, 1], "bigint"),
                "low": array(keys[:, 2], "bigint"),
                "high": array(list(last.values()), "bigint"),
            },
        )
        for row in rows:
            run = Run(row.reason, row.voids, row.boot, row.tick_s, row.utc_s)
            known = self._runs.setdefault((row.device_id, unsigned(row.stream)), {})
            known[row.run_seq] = KnownRun(run, row.utc)

    def settle(
        self, connection: Connection, frames: Sequence[tuple[Device, Frame]], now: datetime
    ) -> None:
        """Store the verdict on each run that is seen for the first time."""
        new: dict[tuple[int, int, int], tuple[Device, Frame]] = {}
        for device, frame in frames:
            if self.of(device, frame) is None:
                key = (device.id, signed(frame.stream), frame.run_seq)
                new.setdefault(key, (device, frame))
        if not new:
            return
        rows = [_row(*new[key], now) for key in sorted(new)]
        connection.execute(_STORE, rows)
        # Another ingestor may have been first: what is stored is the verdict.
        self.load(connection, list(new.values()))


_LOAD: Final = text("""
SELECT DISTINCT r.device_id, r.stream, r.run_seq, r.reason, r.voids, r.boot, r.tick_s, r.utc_s,
       r.utc
  FROM unnest(CAST(:devices AS integer[]), CAST(:streams AS bigint[]),
              CAST(:low AS bigint[]), CAST(:high AS bigint[])) f(device_id, stream, low, high)
  JOIN runs r ON r.device_id = f.device_id AND r.stream = f.stream
             AND r.run_seq BETWEEN f.low AND f.high
""")
_STORE: Final = text("""
INSERT INTO runs (device_id, stream, run_seq, tenant_id, reason, voids, boot, tick_s, utc_s,
                  utc, received_at)
VALUES (:device_id, :stream, :run_seq, :tenant_id, :reason, :voids, :boot, :tick_s, :utc_s,
        :utc, :now)
ON CONFLICT DO NOTHING
""")


def _row(device: Device, frame: Frame, now: datetime) -> Mapping[str, object]:
    run = frame.run
    return {
        "device_id": device.id,
        "stream": signed(frame.stream),
        "run_seq": frame.run_seq,
        "tenant_id": device.tenant_id,
        "reason": run.reason,
        "voids": run.voids,
        "boot": run.boot,
        "tick_s": run.tick_s,
        "utc_s": run.utc_s,
        "utc": verdict(run, now),
        "now": now,
    }
