import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.load import report
from tests.load.kpis import KPIS, Kpi, Verdict, judge
from tests.load.night import Window, due, missing_and_waits

GOOD = {it.name: it.bound for it in KPIS}
ENTRIES = [
    {
        "stream": f"{stream:016x}",
        "seq": seq,
        "boot": 1,
        "began_at": 1000.0 + 30 * seq,
        "published_at": 5000.0 + stream + 10 * seq + late,
    }
    for stream in (1, 2)
    for seq, late in ((1, 0.0), (2, 3.0), (3, 0.0))
]


def holds(measured: dict[str, float | None]) -> bool:
    return all(it.holds for it in judge(measured))


def test_a_run_at_its_bounds_holds_every_promise() -> None:
    assert holds(dict(GOOD))


@pytest.mark.parametrize("kpi", KPIS, ids=lambda it: it.name)
def test_each_promise_that_is_broken_is_told(kpi: Kpi) -> None:
    beyond = kpi.bound + (1 if kpi.kind == "most" else -1)
    assert not holds({**GOOD, kpi.name: beyond})


@pytest.mark.parametrize("kpi", KPIS, ids=lambda it: it.name)
def test_what_could_not_be_measured_holds_nothing(kpi: Kpi) -> None:
    assert not holds({**GOOD, kpi.name: None})
    assert not holds({name: value for name, value in GOOD.items() if name != kpi.name})


def test_what_a_run_leaves_out_is_not_judged() -> None:
    told = judge({**GOOD, "recovery": None}, skipped=("recovery",))
    assert all(it.holds for it in told)
    assert "recovery" not in [it.kpi.name for it in told]


def test_an_epoch_that_was_sent_late_waited_since_it_was_due() -> None:
    moments = due(ENTRIES, speed=3)
    arrivals = {key: 0.1 + it["published_at"] for it in ENTRIES for key in [_key(it)]}
    missing, row = missing_and_waits(moments, arrivals, Window(0, 1e9))
    assert (missing, row.count) == (0, 6)
    assert row.p50 == pytest.approx(100, rel=0.01)
    assert row.longest == pytest.approx(3100, rel=0.01)


def test_a_stage_that_never_came_is_missing() -> None:
    moments = due(ENTRIES, speed=3)
    arrivals = {key: moment for key, moment in moments.items() if key != (1, 2)}
    assert missing_and_waits(moments, arrivals, Window(0, 1e9))[0] == 1
    assert missing_and_waits(moments, arrivals, Window(0, 5000))[0] == 0


def test_the_report_says_the_same_to_people_and_to_programs(tmp_path: Path) -> None:
    verdicts = judge(dict(GOOD))
    report.write(tmp_path, {"devices": 3}, verdicts, {"epochs_made": 7})
    assert json.loads((tmp_path / "report.json").read_text())["holds"] is True
    assert "Every promise was kept" in (tmp_path / "report.md").read_text()
    broken = [replace(verdicts[0], value=None), Verdict(verdicts[1].kpi, 4.0)]
    report.write(tmp_path, {"devices": 3}, [*broken, *verdicts[2:]], {})
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["holds"] is False
    assert [it["name"] for it in told["kpis"] if not it["holds"]] == [
        it.kpi.name for it in broken
    ]
    assert (tmp_path / "report.md").read_text().count("**broken**") == 2


def _key(entry: dict[str, object]) -> tuple[int, int]:
    return int(str(entry["stream"]), 16), int(str(entry["seq"]))
