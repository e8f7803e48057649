"""Epochs as the database keeps them, turned into what a context takes."""

from collections.abc import Sequence

from inference.context import DEPTH, Moment, row_from_codes
from inference.contexts import Past
from inference.recall import Read
from noctis.identity import DeviceId
from noctis.storage import devices, predictions
from noctis.storage.database import Connection, Database
from noctis.storage.errors import NotFoundError
from noctis.storage.predictions import Stretch

__all__ = ["past_of", "reader"]


def past_of(stretch: Stretch) -> list[Past]:
    """Return stored epochs as contexts know them: at the same moments that frames tell."""
    past = []
    for index, start in enumerate(stretch.epoch_start):
        seq = int(stretch.seq[index])
        if start is None:
            boot = int(stretch.boot[index])
            moment = Moment(seq, float(stretch.tick_s[index]), boot)
        else:
            moment = Moment(seq, start.timestamp())
        past.append(Past(moment, row_from_codes(stretch.codes[index], stretch.in_bed[index])))
    return past


def reader(database: Database, *, within_s: float) -> Read:
    """Return a function that reads a device's stored epochs for the live worker."""

    async def read(device: DeviceId, stream: int, after: int, last: int) -> Sequence[Past]:
        def work(connection: Connection) -> list[Past]:
            try:
                key = devices.get(device.tenant, connection, device.device).id
            except NotFoundError:
                return []  # nothing is stored of a stranger
            count = min(DEPTH, last - after)
            found = predictions.context(connection, key, stream, last + 1, count)
            return [epoch for epoch in past_of(found) if epoch.moment.seq > after]

        return await database.call(work, within_s=within_s)

    return read
