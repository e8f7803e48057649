"""A device that brings a week at once, beside devices that publish live."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from bench import drain

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(290)]

EPOCHS: Final = 20_160
"""A week around the clock: the newest chunk and a part of the one before."""


def test_live_epochs_are_acknowledged_while_a_device_drains_and_nothing_is_lost_or_doubled(
    folder: Path,
) -> None:
    found = asyncio.run(drain.measure(folder, epochs=EPOCHS, live=10, pace_s=0.5, alone_s=1.0))
    assert (found.lost, found.doubled, found.unanswered()) == (0, 0, 0)
    # None of those that came while the drain was in full swing had to wait for its end.
    middle = (found.began + found.ended) / 2
    during = [
        one.acked[seq]
        for one in found.live
        for seq, sent in one.sent.items()
        if found.began <= sent < middle
    ]
    assert len(during) >= len(found.live)
    assert max(during) < found.ended
