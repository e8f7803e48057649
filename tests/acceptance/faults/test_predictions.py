"""After all of it: what is stored is predicted, once."""

import pytest

from tests.integration.broker_fixtures import eventually
from tests.rig import Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(120)]
NOT_ONCE = """
    SELECT t.name, d.name, e.stream, min(e.seq), max(e.seq), count(*)
    FROM (
        SELECT device_id, stream, seq FROM epochs
        UNION ALL SELECT device_id, stream, seq FROM epochs_untimed
    ) e
    JOIN devices d ON d.id = e.device_id
    JOIN tenants t ON t.id = d.tenant_id AND t.name <> 'flood'
    WHERE 1 <> (
        SELECT count(*) FROM predictions p
        WHERE (p.device_id, p.stream, p.seq) = (e.device_id, e.stream, e.seq)
    )
    GROUP BY 1, 2, 3
"""


def unpredicted(rig: Rig, tenant: str = "") -> list[tuple[object, ...]]:
    return [row for row in rig.sql(NOT_ONCE) if tenant in {"", row[0]}]


def test_every_epoch_that_is_stored_gets_one_prediction(platform: Rig) -> None:
    with platform.fleet("predicted", count=2, hours=0.1) as fleet:
        fleet.finish()
    assert eventually(lambda: not unpredicted(platform, "predicted"), within_s=30)
    platform.parts["inference"].stop()
    platform.parts["inference"].start()  # it looks at everything then, not once a minute
    assert eventually(lambda: not unpredicted(platform), within_s=60), unpredicted(platform)
