"""Each test has a TimescaleDB of its own, empty or with the newest schema.

``NOCTIS_TEST_TIMESCALE_URL`` names a server to make it on; else it comes by npm.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from noctis.storage import migrate
from noctis.storage.engine import create
from tests.integration.conftest import fresh_timescale, named_timescale


@pytest.fixture
def timescale_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with TimescaleDB and without any table of ours."""
    with fresh_timescale(request, named_timescale() or "npm") as url:
        yield url


@pytest.fixture
def engine(timescale_url: str) -> Iterator[Engine]:
    """An engine of one connection, the most there is, on the newest schema."""
    migrate.upgrade(timescale_url)
    made = create(timescale_url, application="noctis-test", connections=1)
    yield made
    made.dispose()
