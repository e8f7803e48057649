"""Python's collector of garbage, which stops a service for as long as it looks."""

import gc
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI

from api.checks import Readiness
from api.server import OPTIONS, Server
from noctis.garbage import look_seldom
from tests.integration.broker_fixtures import eventually


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave it as it was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_was_loaded_is_looked_through_no_more() -> None:
    loaded = [[] for _ in range(10_000)]
    look_seldom()
    assert gc.get_freeze_count() > len(loaded)
    assert len(gc.get_objects()) < len(loaded)


def test_a_facade_looks_seldom_from_the_moment_it_listens() -> None:
    before = gc.get_freeze_count()
    server = Server(
        uvicorn.Config(FastAPI(), port=0, log_config=None, **OPTIONS), Readiness({})
    )
    serving = threading.Thread(target=server.run)
    serving.start()
    try:
        assert eventually(lambda: gc.get_freeze_count() > before + 10_000, within_s=20)
    finally:
        server.should_exit = True
        serving.join(20)
