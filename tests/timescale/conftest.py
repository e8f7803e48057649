"""Each test has a TimescaleDB of its own, empty or with the newest schema."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from noctis.storage import migrate
from noctis.storage.engine import create
from tests.timescale import npm


@pytest.fixture
def timescale_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a database with TimescaleDB and without any table of ours."""
    with npm.running(tmp_path) as url:
        yield url


@pytest.fixture
def engine(timescale_url: str) -> Iterator[Engine]:
    """An engine of one connection, the most there is, on the newest schema."""
    migrate.upgrade(timescale_url)
    made = create(timescale_url, application="noctis-test", connections=1)
    yield made
    made.dispose()
