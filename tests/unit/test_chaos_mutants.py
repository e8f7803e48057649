"""Mutants of the product still fit the product, and are judged by what must be found."""

from pathlib import Path

import pytest

from tests.chaos.mutants import SCHEDULE, judge
from tests.chaos.mutations import MUTANTS, Mutant
from tests.chaos.schedule import as_text, from_text

ROOT = Path(__file__).parents[2]
SOUND = {"faults": 7, "epochs": 900, "lost": 0, "altered": 0, "worst_recovery_seconds": 4.2}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda it: it.rule.replace(" ", "-"))
def test_each_replacement_stands_once_in_its_file_and_changes_it(mutant: Mutant) -> None:
    for patch in mutant.patches:
        assert (ROOT / patch.file).read_text("utf-8").count(patch.old) == 1, patch
        assert patch.new != patch.old


def test_a_mutant_is_caught_by_its_own_kind_of_wrong_alone() -> None:
    mutant = Mutant("a rule", (), ("lost",))
    assert judge(mutant, {**SOUND, "lost": 3})
    assert not judge(mutant, SOUND)
    assert not judge(mutant, {**SOUND, "altered": 3})
    assert not judge(mutant, {"broken": 1})


def test_of_the_tree_as_it_is_nothing_may_be_found() -> None:
    unbroken = MUTANTS[0]
    assert not unbroken.patches
    assert judge(unbroken, SOUND)
    assert not judge(unbroken, {**SOUND, "altered": 1})
    assert not judge(unbroken, {"broken": 1})


def test_the_schedule_of_the_mutants_can_be_handed_over() -> None:
    assert tuple(from_text(as_text(SCHEDULE))) == SCHEDULE
