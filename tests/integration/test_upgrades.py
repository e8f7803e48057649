import pytest

from tests.integration.upgrades import REVISIONS, check_downgrades, check_upgrade

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_from_any_revision_keeps_every_row(
    empty_database_url: str, revision: str
) -> None:
    check_upgrade(empty_database_url, revision)


def test_going_back_one_by_one_and_up_again_keeps_what_both_sides_know(
    empty_database_url: str,
) -> None:
    check_downgrades(empty_database_url)


def test_the_revisions_are_one_line() -> None:
    assert sorted(REVISIONS) == REVISIONS
    assert REVISIONS[0] == "0001"
    assert len(REVISIONS) == len(set(REVISIONS)) >= 4
