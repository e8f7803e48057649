from datetime import UTC, datetime

import numpy as np
import pytest

from inference import agenda as module
from inference.agenda import REACH, Agenda, Job
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.storage.predictions import Stretch

BED, COT = DeviceId("home", "bed"), DeviceId("home", "cot")


def stretch(*seqs: int, device: int = 1) -> Stretch:
    count = len(seqs)
    zeros = np.zeros(count, np.int64)
    return Stretch(
        device,
        7,
        np.array(seqs, np.int64),
        (datetime(2026, 1, 1, tzinfo=UTC),) * count,
        zeros,
        zeros,
        np.ones(count, np.bool_),
        np.zeros((count, COUNT), np.int16),
    )


def test_hints_of_a_stream_become_one() -> None:
    agenda = Agenda()
    for seq in (5, 6, 4):
        agenda.note(BED, 7, seq)
    agenda.note(COT, 7, 1)
    assert [(it.device, it.first, it.last) for it in agenda.hints(10, epochs=100)] == [
        (BED, 4, 6),
        (COT, 1, 1),
    ]


def test_a_hint_ends_with_its_last_epoch() -> None:
    agenda = Agenda()
    agenda.note(BED, 7, 5)
    [hint] = agenda.hints(10, epochs=100)
    agenda.note(BED, 7, 6)
    agenda.follow(hint, 5)
    [hint] = agenda.hints(10, epochs=100)
    assert (hint.first, hint.last) == (6, 6)
    agenda.follow(hint, 6)
    assert agenda.hints(10, epochs=100) == []


def test_a_hint_that_is_not_stored_yet_lets_the_others_pass() -> None:
    agenda = Agenda()
    agenda.note(BED, 7, 5)
    agenda.note(COT, 7, 5)
    [hint] = agenda.hints(1, epochs=100)
    agenda.follow(hint, None)
    assert [it.device for it in agenda.hints(2, epochs=100)] == [COT, BED]


def test_hints_of_a_turn_lead_to_no_more_epochs_than_a_portion_and_one_hint_hold() -> None:
    agenda = Agenda()
    beds = [DeviceId("home", f"bed-{number}") for number in range(20)]
    for bed in beds:
        for seq in (1, 200):
            agenda.note(bed, 7, seq)
    order = []
    for _ in range(10):
        taken = agenda.hints(32, epochs=256)
        assert sum(len(hint.seqs) for hint in taken) == 400
        order += [hint.device for hint in taken]
        for hint in taken:
            agenda.follow(hint, 200)
    assert order == beds
    assert agenda.hints(32, epochs=256) == []


def test_a_hint_leads_to_the_epochs_of_one_job_at_a_time() -> None:
    agenda = Agenda()
    for seq in (1, 10_000):
        agenda.note(BED, 7, seq)
    [hint] = agenda.hints(32, epochs=1)
    assert hint.seqs == tuple(range(1, REACH + 1))
    agenda.follow(hint, REACH)
    [hint] = agenda.hints(32, epochs=1)
    assert hint.seqs == tuple(range(REACH + 1, 2 * REACH + 1))


def test_a_hint_that_nothing_comes_of_is_left_to_the_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agenda = Agenda()
    agenda.note(BED, 7, 5)
    monkeypatch.setattr(module, "HINT_S", 0.0)
    assert agenda.hints(10, epochs=100) == []


def test_what_a_look_finds_is_cut_so_that_no_job_spans_many_epochs() -> None:
    agenda = Agenda()
    agenda.add([stretch(1, 2, REACH, REACH + 1, REACH + 2, 10_000)])
    jobs = agenda.portion(epochs=1000, jobs=1000)
    assert jobs == [
        Job(1, 7, (1, 2, REACH)),
        Job(1, 7, (REACH + 1, REACH + 2)),
        Job(1, 7, (10_000,)),
    ]


def test_portions_are_bounded_and_come_in_order() -> None:
    agenda = Agenda()
    agenda.add([stretch(*range(1, 1000))])
    sizes = []
    while portion := agenda.portion(epochs=300, jobs=2):
        sizes.append([len(job.seqs) for job in portion])
    assert sizes == [[256, 256], [256, 231]]
    assert agenda.waiting == 0


def test_a_long_drain_and_a_lone_late_epoch_take_turns() -> None:
    agenda = Agenda()
    agenda.add([stretch(*range(1, 1000)), stretch(5, device=2), stretch(6, device=3)])
    order = []
    while portion := agenda.portion(epochs=1, jobs=1):
        order += [job.device_id for job in portion]
    assert order == [1, 2, 3, 1, 1, 1]
    assert agenda.waiting == 0


def test_jobs_that_could_not_be_done_come_first_again() -> None:
    agenda = Agenda()
    agenda.add([stretch(*range(1, 600))])
    taken = agenda.portion(epochs=300, jobs=9)
    assert len(taken) == 2
    agenda.put_back(taken)
    assert agenda.portion(epochs=300, jobs=9) == taken
