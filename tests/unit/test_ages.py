import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram

from ingestor.bridge import open_messages
from ingestor.store import _Done, _live_ends_s
from noctis import ages
from noctis.ack import REFUSED, STORED
from noctis.epoch import encode_frame
from noctis.identity import DeviceId
from noctis.mqtt import Message
from noctis.storage.ingest import Verdict
from noctis.topics import up
from tests.integration.settling_fixtures import frame

BED = DeviceId("home", "bed")
BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)


@pytest.mark.parametrize(
    ("age_s", "counted", "shown"),
    [(2.0, 1, 2.0), (-1.0, 1, 0.0), (-60.0, 0, 0.0), (86_400.0, 0, 0.0)],
)
def test_an_age_counts_unless_the_clock_behind_it_is_wrong(
    age_s: float, counted: int, shown: float
) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("age_seconds", "Of an epoch.", registry=registry, buckets=ages.AGES)
    ages.observe(histogram, [time.time() - age_s])
    assert registry.get_sample_value("age_seconds_count") == counted
    assert registry.get_sample_value("age_seconds_sum") == pytest.approx(shown, abs=0.5)


def ends(*sent: tuple[int, datetime | None, str, int]) -> list[float]:
    """Return the ends that are looked at of frames: (first, clock, channel, code)."""
    messages = [
        Message(
            up(BED, channel),
            encode_frame(frame(first, 2, utc=utc)),
            qos=1,
            retain=False,
            generation=1,
        )
        for first, utc, channel, _ in sent
    ]
    opened = open_messages(messages)
    assert not opened.rejections
    verdicts = [Verdict(code) for *_, code in sent]
    return list(_live_ends_s(_Done(opened, [None] * len(sent), verdicts, {})))


def test_an_epochs_end_is_its_start_and_half_a_minute() -> None:
    live = (1, BEGIN, "epochs", STORED)
    assert ends(live) == [BEGIN.timestamp() + 60]
    late = (1, BEGIN, "backlog", STORED)
    refused = (1, BEGIN, "epochs", REFUSED)
    unknown = (1, None, "epochs", STORED)
    assert not ends(late, refused, unknown)
    assert ends(late, live, unknown) == [BEGIN.timestamp() + 60]


def test_of_a_flood_some_epochs_are_looked_at_from_its_beginning_to_its_end() -> None:
    found = ends(*((1 + 2 * n, BEGIN, "epochs", STORED) for n in range(1000)))
    assert 16 <= len(found) <= 32
    assert np.ptp(found) > 0.9 * 60 * 1000
