"""One platform for all faults, and what is asked of it after each.

``-s`` tells how long each recovery took.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.broker_fixtures import eventually
from tests.rig import RECOVERY_S, Rig


@pytest.fixture(scope="package")
def platform() -> Iterator[Rig]:
    with tempfile.TemporaryDirectory(prefix="noctis-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with Rig(Path(name)) as rig:
            yield rig


@pytest.fixture
def rig(platform: Rig) -> Iterator[Rig]:
    """The platform; after the test each service is the process that it was, and ready."""
    before = platform.pids
    assert len(before) == len(platform.parts)
    yield platform
    platform.heal()
    assert eventually(platform.is_ready, within_s=RECOVERY_S)
    assert platform.pids == before
