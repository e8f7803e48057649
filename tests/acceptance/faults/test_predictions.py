"""After all of it: what is stored is predicted, once."""

import pytest

from tests.integration.broker_fixtures import eventually
from tests.rig import Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(240)]
SETTLED_S = 150.0  # the settler looks at everything once a minute
NOT_ONCE = """
    SELECT t.name, d.name, e.stream, min(e.seq), max(e.seq), count(*), max(e.received_at)
    FROM (
        SELECT device_id, stream, seq, received_at FROM epochs
        UNION ALL SELECT device_id, stream, seq, received_at FROM epochs_untimed
    ) e
    JOIN devices d ON d.id = e.device_id
    JOIN tenants t ON t.id = d.tenant_id
    WHERE 1 <> (
        SELECT count(*) FROM predictions p
        WHERE (p.device_id, p.stream, p.seq) = (e.device_id, e.stream, e.seq)
    )
    GROUP BY 1, 2, 3
"""


def test_every_epoch_that_is_stored_gets_one_prediction(rig: Rig) -> None:
    with rig.fleet("predicted", count=2, hours=0.1) as fleet:
        fleet.finish()
    assert eventually(lambda: not rig.sql(NOT_ONCE), within_s=SETTLED_S), rig.sql(NOT_ONCE)
