"""What the devices are told: one message for each stream of a batch."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from ingestor.batch import Outcome
from noctis import topics
from noctis.ack import encode_ranges
from noctis.identity import DeviceId

__all__ = ["acknowledgements"]

MOST_RANGES: Final = 255


def acknowledgements(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of the messages that tell devices what was committed.

    Each frame is one range, as its device sent it; at most 255 go into one message.
    """
    ranges = defaultdict[tuple[DeviceId, int], list[tuple[int, int, int]]](list)
    for it in outcomes:
        ranges[it.device, it.stream].append((it.first, it.count, it.code))
    for (device, stream), told in ranges.items():
        for start in range(0, len(told), MOST_RANGES):
            yield topics.ack(device), encode_ranges(stream, told[start : start + MOST_RANGES])
