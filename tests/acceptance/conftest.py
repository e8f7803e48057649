"""What acceptance tests share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the servers' own user can enter where root runs the tests.

    pytest's are closed to others: there the servers' files would go elsewhere, and stay.
    """
    with tempfile.TemporaryDirectory(prefix="noctis-test-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
