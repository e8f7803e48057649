import pytest
from sqlalchemy import Engine, text

from noctis.storage.engine import transaction
from tests.integration.rollup_life import Life, before, catch_up, compare, direct_hours, stored_hours

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("seed", range(2))
def test_whatever_comes_late_twice_or_corrected_hours_are_what_the_epochs_are(
    engine: Engine, seed: int
) -> None:
    life = Life(engine, seed)
    for turn in range(100):
        life.turn()
        if turn % 10 == 0:
            life.check_reading()
    mark = catch_up(engine, life.now)
    life.check_reading()
    assert mark is not None
    with transaction(engine) as connection:
        assert not connection.execute(text("SELECT FROM rollup_notes")).all()
        wanted = direct_hours(connection, "epochs")
        found = stored_hours(connection)
    compare(before(found, mark), before(wanted, mark))
