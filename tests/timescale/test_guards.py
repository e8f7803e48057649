"""What the facade's role sees of compressed chunks, which have no row-level security."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from noctis.storage import guards
from tests.integration.upgrades import fill

pytestmark = pytest.mark.postgres


def test_compressed_epochs_are_shown_to_their_tenant_alone_by_no_way_round(
    engine: Engine, timescale_url: str
) -> None:
    engine.dispose()  # it is the only connection, and filling takes one
    fill(timescale_url)
    chunk = "SELECT format('%I.%I', chunk_schema, chunk_name)"
    with engine.begin() as connection:
        connection.execute(text("SELECT compress_chunk(it) FROM show_chunks('epochs') it"))
        inside = connection.scalar(text(f"{chunk} FROM timescaledb_information.chunks LIMIT 1"))
    for tenant, count in {"home": 1, "inn": 1, "": 0, "nobody": 0}.items():
        with engine.connect() as connection:
            guards.enter(connection, tenant)
            assert connection.scalar(text("SELECT count(*) FROM epochs")) == count
            assert connection.scalar(text("SELECT count(*) FROM epoch_values")) == 2 * count
            connection.rollback()
    for relation in ("public.epochs", "public.epochs_hourly", inside):
        with engine.connect() as connection:
            guards.enter(connection, "home")
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(f"SELECT FROM {relation}"))
