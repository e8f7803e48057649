"""What the devices are told: one message for each stream of a batch."""

from collections.abc import Iterable, Iterator
from typing import Final

from ingestor.batch import Outcome
from noctis import topics
from noctis.ack import join_ranges, pack_range
from noctis.identity import DeviceId

__all__ = ["acknowledgements"]

MOST_RANGES: Final = 255


def acknowledgements(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of the messages that tell devices what was committed.

    Each frame is one range, as its device sent it; at most 255 go into one message.
    """
    told = dict[tuple[int, int], tuple[DeviceId, list[bytes]]]()
    for it in outcomes:
        # The object will do for the device: hashing its names takes longer than all the rest.
        key = it.stream, id(it.device)
        if key not in told:
            told[key] = it.device, []
        told[key][1].append(pack_range(it.first, it.count, it.code))
    for (stream, _), (device, ranges) in told.items():
        topic = topics.ack(device)
        for start in range(0, len(ranges), MOST_RANGES):
            yield topic, join_ranges(stream, ranges[start : start + MOST_RANGES])
