"""What an epoch takes on disk: in plain PostgreSQL here, compressed where TimescaleDB is."""

from typing import Any

from bench.stage import Stage

__all__ = ["measure"]


def measure(stage: Stage) -> dict[str, Any]:
    """Return the bytes of an epoch in the table and in its key, after VACUUM.

    The compressed figure needs a TimescaleDB and is None here: README.md says what it was.
    """
    stage.run("VACUUM ANALYZE epochs")
    epochs = max(1, stage.count("SELECT count(*) FROM epochs"))
    table = stage.count("SELECT pg_relation_size('epochs')")
    key = stage.count("SELECT pg_indexes_size('epochs')")
    return {
        "table": round(table / epochs, 1),
        "key": round(key / epochs, 1),
        "compressed": None,
    }
