"""The ingestor killed at the worst moments."""

import signal

import pytest

from tests.integration.broker_fixtures import eventually
from tests.rig import Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(120)]
SEEN = 24


def test_the_ingestor_is_killed_again_and_again_between_commit_and_acknowledgement(
    platform: Rig,
) -> None:
    """Each life ends at another moment between COMMIT and the broker's PUBACK."""
    ingestor = platform.ingestor
    lives = [
        "ingestor.committed=kill@#2",
        "mqtt.acknowledge=kill@#5",
        "mqtt.send=kill@#3",
        "database.committed=kill@#1",
    ]
    with platform.fleet("killed-ingestor", hours=1.0) as fleet:
        fleet.wait_until_stored(SEEN)
        ingestor.stop()
        for spec in lives:
            ingestor.launch(NOCTIS_FAULTS="allowed", NOCTIS_FAULT_POINTS=spec)
            assert eventually(lambda: ingestor.child.exit_code is not None, within_s=40), spec
            assert ingestor.child.exit_code == -signal.SIGKILL, ingestor.child.tail()
        ingestor.start()
        fleet.finish()
    assert ingestor.metric("noctis_ingest_duplicates_total") > 0  # committed, never told
