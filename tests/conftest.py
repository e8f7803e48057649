"""What integration tests and those on TimescaleDB share."""

import os
import sys
from collections.abc import Iterator
from typing import Final

import pytest
import structlog

from tests.timescale import npm

UNCOMPILED: Final = "PYTHONDONTWRITEBYTECODE"


def pytest_configure() -> None:
    """Let the many processes that tests start find compiled what they import."""
    os.environ.pop(UNCOMPILED, None)
    sys.dont_write_bytecode = False
    os.environ["NOCTIS_PROFILE"] = "local"  # whatever facade whoever runs the tests uses


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Keep log lines out of the standard output of commands that run in this process.

    A command that sets logging up for itself leaves nothing of it to the next test.
    """
    structlog.reset_defaults()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@pytest.fixture(scope="session")
def npm_timescale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a TimescaleDB out of the npm registry: one database, one connection.

    Whoever uses it leaves it without a table of ours.
    """
    with npm.running(tmp_path_factory.mktemp("timescale")) as url:
        yield url
