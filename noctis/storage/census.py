"""What is stored of a device, row by row: for whoever checks it against the device's log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, select, union_all

from noctis.features import NAMES
from noctis.slot import encode_slots
from noctis.storage.models import devices, epochs, epochs_untimed, predictions, tenants
from noctis.storage.origins import Origin

__all__ = ["Census", "count"]

_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Census:
    """All rows of a device.

    ``records``: (stream, seq, slot as hex digits) of each stored epoch, doubles included;
    ``stages``: (stream, seq, stage's number or None) of each served prediction.
    """

    records: list[tuple[int, int, str]]
    stages: list[tuple[int, int, int | None]]


def count(tenant: str, connection: Connection, device: str) -> Census:
    """Return every stored epoch and prediction of a tenant's device."""
    number = connection.scalar(
        select(devices.c.id)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(tenants.c.name == tenant, devices.c.name == device)
    )
    rows = connection.execute(_all_epochs(number)).all()
    stages = connection.execute(
        select(predictions.c.stream, predictions.c.seq, predictions.c.stage).where(
            predictions.c.device_id == number, predictions.c.origin == Origin.SERVED
        )
    ).all()
    return Census(
        [
            (row.stream & _U64, row.seq, record)
            for row, record in zip(rows, _hex(rows), strict=True)
        ],
        [(row.stream & _U64, row.seq, row.stage) for row in stages],
    )


def _all_epochs(number: int | None) -> Select[tuple[int, ...]]:
    tables = (epochs, epochs_untimed)
    parts = union_all(
        *(
            select(t.c.stream, t.c.seq, t.c.in_bed, *(t.c[name] for name in NAMES)).where(
                t.c.device_id == number
            )
            for t in tables
        )
    ).subquery()
    return select(parts).order_by(parts.c.stream, parts.c.seq)


def _hex(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[str]:
    if not rows:
        return []
    table = np.array([tuple(row) for row in rows], dtype=object)
    codes, in_bed = table[:, 3:].astype(np.int16), table[:, 2].astype(np.bool_)
    return [bytes(slot).hex() for slot in encode_slots(codes, in_bed)]
