"""Mutants of the product still fit the product, and are judged by what must be found."""

from pathlib import Path

import pytest

from tests.chaos.mutants import SCHEDULE, UNCONFIRMED, Kept, judge
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


def test_a_commit_is_made_known_to_nobody_before_the_link_that_would_tell_is_lost() -> None:
    silent, lost = UNCONFIRMED.faults
    assert (silent.kind, silent.way, lost.kind) == ("one-way", "requests", "reset")
    assert {(it.target, it.link) for it in UNCONFIRMED.faults} == {("ingestor", "broker")}
    assert 0 < lost.after_s < silent.lasts_s
    assert SCHEDULE.count(UNCONFIRMED) > 1


def test_verdicts_are_kept_for_the_tree_that_they_are_of(tmp_path: Path) -> None:
    folder = tmp_path / "mutants"
    for rule, verdict in (("one rule", SOUND), ("another", {**SOUND, "lost": 2})):
        Kept(folder, "this tree").add(rule, verdict)
    assert list(Kept(folder, "this tree").verdicts) == ["one rule", "another"]
    assert Kept(folder, "this tree").verdicts["another"]["lost"] == 2
    assert Kept(folder, "another tree").verdicts == {}
