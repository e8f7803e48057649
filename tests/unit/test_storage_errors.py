import psycopg
import pytest
from psycopg.errors import lookup
from sqlalchemy.exc import DBAPIError

from noctis.errors import StorageUnavailableError
from noctis.storage.engine import translated


@pytest.mark.parametrize(
    ("state", "passes"),
    [
        ("40P01", True),  # deadlock
        ("40001", True),  # serialization failure
        ("53100", True),  # disk full
        ("57P01", True),  # shutdown
        ("57014", True),  # statement timeout
        ("08006", True),  # connection failure
        ("58030", True),  # input or output error
        ("25006", True),  # read-only, as during a failover
        ("55P03", True),  # lock not available
        ("23505", False),  # unique violation
        ("42P01", False),  # no such table
        ("22003", False),  # out of range
        ("28P01", False),  # wrong password
        ("25001", False),  # active transaction
    ],
)
def test_errors_that_pass_are_told_from_those_that_stay(state: str, *, passes: bool) -> None:
    error = lookup(state)("something\nDETAIL: more")
    wrapped = DBAPIError("SELECT 1", {}, error)
    for each in (error, wrapped):
        found = translated(each)
        assert isinstance(found, StorageUnavailableError) == passes
        assert "something" in str(found)
        assert "DETAIL" not in str(found)


def test_a_lost_connection_passes() -> None:
    lost = psycopg.OperationalError("server closed the connection unexpectedly")
    assert isinstance(translated(lost), StorageUnavailableError)
    invalidated = DBAPIError("x", {}, psycopg.DatabaseError(), connection_invalidated=True)
    assert isinstance(translated(invalidated), StorageUnavailableError)
