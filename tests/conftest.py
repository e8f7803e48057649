"""What integration tests and those on TimescaleDB share."""

from collections.abc import Iterator

import pytest

from tests.timescale import npm


@pytest.fixture(scope="session")
def npm_timescale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a TimescaleDB out of the npm registry: one database, one connection.

    Whoever uses it leaves it without a table of ours.
    """
    with npm.running(tmp_path_factory.mktemp("timescale")) as url:
        yield url
