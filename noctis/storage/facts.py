"""What the database knows of a batch's devices, streams and runs, as arrays.

One statement for a whole batch, asked anew for each: so a revoked device, a stream bound
elsewhere, a run written down by another ingestor count at once. What is seen for the first
time is written down, and then asked for again: what is stored is the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection, text

from noctis.epoch import Run
from noctis.frames import EPOCH_SECONDS, Frames
from noctis.identity import DeviceId
from noctis.slot import RUN
from noctis.storage.arrays import Kind, array, fetch
from noctis.storage.runs import UNKNOWN, microseconds, verdict, verdicts

__all__ = ["EPOCH_US", "Facts", "Keys", "learn"]

EPOCH_US: Final = 1_000_000 * EPOCH_SECONDS


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """The k distinct (device, stream, run) of n frames, in the order of their first frames.

    ``of`` (n,) is each frame's key.
    """

    devices: Sequence[DeviceId]
    stream: NDArray[np.int64]
    run_seq: NDArray[np.int64]
    of: NDArray[np.int64]

    @classmethod
    def among(cls, devices: Sequence[DeviceId], frames: Frames) -> "Keys":
        """Return the keys of frames and the devices that they came from."""
        stream = frames.stream.view(np.int64)
        numbers: dict[tuple[DeviceId, int, int], int] = {}
        named = zip(devices, stream.tolist(), frames.run_seq.tolist(), strict=True)
        of = [numbers.setdefault(key, len(numbers)) for key in named]
        index = np.array(of, np.int64)
        _, first = np.unique(index, return_index=True)
        senders = [device for device, _, _ in numbers]
        return cls(senders, stream[first], frames.run_seq[first], index)


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known of k keys; arrays of shape (k,).

    ``device_id``, ``tenant_id`` and ``owner`` (the device that the stream is bound to) are 0
    where there is none. ``kept`` is how long the tenant's epochs stay, in microseconds;
    ``bound`` and ``closed`` speak of the stream, ``known`` of the run. ``utc`` is the run's
    time base in microseconds since 1970, or UNKNOWN; ``next_run`` is where the stream's next
    stored run begins.
    """

    device_id: NDArray[np.int64]
    tenant_id: NDArray[np.int64]
    kept: NDArray[np.int64]
    revoked: NDArray[np.bool_]
    owner: NDArray[np.int64]
    bound: NDArray[np.bool_]
    closed: NDArray[np.bool_]
    known: NDArray[np.bool_]
    run: NDArray[np.void]
    utc: NDArray[np.int64]
    next_run: NDArray[np.int64]

    @property
    def may_send(self) -> NDArray[np.bool_]:
        """Which keys' devices exist and are not revoked."""
        may: NDArray[np.bool_] = (self.device_id > 0) & ~self.revoked
        return may

    @property
    def own(self) -> NDArray[np.bool_]:
        """Which keys' devices may send, on streams that are theirs."""
        own: NDArray[np.bool_] = self.may_send & (self.owner == self.device_id)
        return own


def learn(
    connection: Connection, keys: Keys, frames: Frames, now: datetime, kept: timedelta
) -> tuple[Facts, NDArray[np.bool_]]:
    """Return what is known of keys, once what is new of them is written down.

    And which frames (n,) are wholly older than what their tenants keep: ``kept``, where a
    tenant says nothing. A free stream is bound to the first device that claims it; a new run of
    a device's own stream is stored with the verdict on its clock, but not for such frames.
    """
    facts = _look(connection, keys, kept)
    free = facts.may_send & ~facts.bound
    if free.any():
        _bind(connection, keys, facts, free, now)
        facts = _look(connection, keys, kept)
    of = keys.of
    utc = np.where(facts.known[of], facts.utc[of], verdicts(frames.run, now))
    last_start = utc + EPOCH_US * (frames.last - frames.run_seq - 1)
    past = (utc != UNKNOWN) & (last_start < microseconds(now) - facts.kept[of])
    news = (facts.own & ~facts.closed & ~facts.known)[of] & ~past
    if news.any():
        _write_runs(connection, _runs(keys, facts, np.flatnonzero(news), frames), now)
        facts = _look(connection, keys, kept)
    return facts, past


_KINDS: Final[tuple[Kind, ...]] = (
    *("integer", "integer", "bigint", "boolean"),
    *("integer", "boolean", "boolean", "boolean"),
    *("bigint", "bigint", "bigint", "bigint", "bigint"),  # the run's fields
    *("timestamptz", "bigint"),
)
_RUN: Final = slice(8, -2)
# LIMIT keeps the planner to the keys: with a join it would read the tables of a large fleet.
_LOOK: Final = sql.SQL("""
SELECT array_agg(device_id), array_agg(tenant_id), array_agg(kept), array_agg(revoked),
       array_agg(owner), array_agg(bound), array_agg(closed), array_agg(known),
       array_agg(reason), array_agg(voids), array_agg(boot), array_agg(tick_s),
       array_agg(utc_s), array_agg(utc), array_agg(next_run)
  FROM (SELECT coalesce(d.id, 0) AS device_id, coalesce(d.tenant_id, 0) AS tenant_id,
               coalesce(t.retention_days * 86400000000, %b::bigint) AS kept,
               d.revoked_at IS NOT NULL AS revoked, coalesce(s.device_id, 0) AS owner,
               s.stream IS NOT NULL AS bound, s.closed_at IS NOT NULL AS closed,
               r.run_seq IS NOT NULL AS known, coalesce(r.reason, 0)::bigint AS reason,
               coalesce(r.voids, 0)::bigint AS voids, coalesce(r.boot, 0) AS boot,
               coalesce(r.tick_s, 0)::bigint AS tick_s, coalesce(r.utc_s, 0) AS utc_s,
               coalesce(r.utc, '-infinity') AS utc,
               coalesce((SELECT min(x.run_seq) FROM runs x
                          WHERE x.device_id = d.id AND x.stream = w.stream
                            AND x.run_seq > w.run_seq), 9223372036854775807) AS next_run
          FROM unnest(string_to_array(%b::text, ' '), string_to_array(%b::text, ' '),
                      %b::bigint[], %b::bigint[]) WITH ORDINALITY
               AS w(tenant, device, stream, run_seq, place)
          LEFT JOIN tenants t ON t.name = w.tenant
          LEFT JOIN LATERAL (SELECT * FROM devices
                              WHERE tenant_id = t.id AND name = w.device LIMIT 1) d ON true
          LEFT JOIN LATERAL (SELECT * FROM streams WHERE stream = w.stream LIMIT 1) s ON true
          LEFT JOIN LATERAL (SELECT * FROM runs
                              WHERE device_id = d.id AND stream = w.stream
                                AND run_seq = w.run_seq LIMIT 1) r ON true
         ORDER BY w.place) AS found
""")
_BIND: Final = text("""
INSERT INTO streams (stream, tenant_id, device_id, first_seen)
SELECT s.*, :now FROM unnest(CAST(:streams AS bigint[]), CAST(:tenants AS integer[]),
                             CAST(:devices AS integer[])) s
    ON CONFLICT DO NOTHING
""")
_WRITE_RUN: Final = text("""
INSERT INTO runs (device_id, stream, run_seq, tenant_id, reason, voids, boot, tick_s, utc_s,
                  utc, received_at)
VALUES (:device_id, :stream, :run_seq, :tenant_id, :reason, :voids, :boot, :tick_s, :utc_s,
        :utc, :now)
ON CONFLICT DO NOTHING
""")


def _look(connection: Connection, keys: Keys, kept: timedelta) -> Facts:
    asked = [
        kept // timedelta(microseconds=1),
        " ".join([it.tenant for it in keys.devices]),  # names hold no spaces
        " ".join([it.device for it in keys.devices]),
        array(keys.stream, "bigint"),
        array(keys.run_seq, "bigint"),
    ]
    found = fetch(connection, _LOOK, asked, _KINDS)
    run = np.empty(len(keys.devices), RUN)
    for name, values in zip(RUN.names or (), found[_RUN], strict=True):
        run[name] = values
    device_id, tenant_id, kept_us, revoked, owner, bound, closed, known = found[: _RUN.start]
    return Facts(
        device_id=device_id.astype(np.int64),
        tenant_id=tenant_id.astype(np.int64),
        kept=kept_us.astype(np.int64),
        revoked=revoked.astype(np.bool_),
        owner=owner.astype(np.int64),
        bound=bound.astype(np.bool_),
        closed=closed.astype(np.bool_),
        known=known.astype(np.bool_),
        run=run,
        utc=found[-2].astype(np.int64),
        next_run=found[-1].astype(np.int64),
    )


def _bind(
    connection: Connection, keys: Keys, facts: Facts, which: NDArray[np.bool_], now: datetime
) -> None:
    """Bind streams, each to the first that claims it.

    In order of the key, so that two ingestors never wait for each other in a circle.
    """
    claims = np.flatnonzero(which)
    streams, first = np.unique(keys.stream[claims], return_index=True)
    chosen = claims[first]
    connection.execute(
        _BIND,
        {
            "streams": array(streams, "bigint"),
            "tenants": array(facts.tenant_id[chosen], "integer"),
            "devices": array(facts.device_id[chosen], "integer"),
            "now": now,
        },
    )


def _runs(
    keys: Keys, facts: Facts, which: NDArray[np.int64], frames: Frames
) -> list[dict[str, int]]:
    """Return the runs of frames, each as its first frame tells it, in order of the key."""
    names = RUN.names or ()
    keyed, first = np.unique(keys.of[which], return_index=True)
    rows = [
        {
            "device_id": int(facts.device_id[key]),
            "stream": int(keys.stream[key]),
            "run_seq": int(keys.run_seq[key]),
            "tenant_id": int(facts.tenant_id[key]),
            **dict(zip(names, frames.run[frame].item(), strict=True)),
        }
        for key, frame in zip(keyed.tolist(), which[first].tolist(), strict=True)
    ]
    return sorted(rows, key=itemgetter("device_id", "stream", "run_seq"))


def _write_runs(connection: Connection, rows: Sequence[dict[str, int]], now: datetime) -> None:
    """Store runs, each with the verdict on its clock."""
    names = RUN.names or ()
    connection.execute(
        _WRITE_RUN,
        [
            {**row, "utc": verdict(Run(*(row[name] for name in names)), now), "now": now}
            for row in rows
        ],
    )
