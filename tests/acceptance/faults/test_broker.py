"""The broker killed, with and without what it had saved."""

import time

import pytest

from tests.integration.broker_fixtures import eventually
from tests.rig import Rig, recovery, waiting

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(120)]
SEEN = 24


def kill(rig: Rig, *, saved: bool) -> None:
    """End the broker at once; without what it saved it knows neither sessions nor queues."""
    rig.broker.kill()
    if not saved:
        (rig.broker.folder / "mosquitto.db").unlink(missing_ok=True)
    assert eventually(lambda: not rig.ingestor.is_ready())


@pytest.mark.parametrize("saved", [True, False], ids=["with-sessions", "without"])
def test_the_broker_is_killed(rig: Rig, *, saved: bool) -> None:
    with rig.fleet(f"broker-{saved}".lower()) as fleet:
        fleet.wait_until_stored(SEEN)
        kill(rig, saved=saved)
        time.sleep(0.5)
        with recovery(rig, f"broker killed, {saved=}"):
            rig.broker.restart()
        fleet.finish()


def test_the_broker_forgets_what_the_ingestor_still_has_in_hand(rig: Rig) -> None:
    """What is acknowledged after that goes nowhere: the devices send it again."""
    with rig.fleet("both") as fleet:
        fleet.wait_until_stored(SEEN)
        rig.postgres.freeze()
        assert eventually(lambda: waiting(rig) > 10)
        kill(rig, saved=False)
        rig.broker.restart()
        with recovery(rig, "broker killed while the database was frozen"):
            rig.postgres.thaw()
        fleet.finish()
