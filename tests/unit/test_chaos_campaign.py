"""Verdicts of seeds add up, a campaign goes on where it was ended, the page shows all."""

import json
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

from tests.chaos.campaign import State, holds, total
from tests.chaos.nemesis import Happened, Nemesis
from tests.chaos.page import page
from tests.chaos.progress import Progress, Sample
from tests.chaos.run import Outcome
from tests.chaos.schedule import Event, Fault, draw
from tests.chaos.site import Asked, Site


def ran(seed: int, *, lost: int = 0, worst: float = 1.0) -> dict[str, Any]:
    verdict = {"faults": 50, "epochs": 100, "lost": lost, "worst_recovery_seconds": worst}
    return {"seed": seed, "holds": lost == 0, "verdict": verdict}


def test_counts_add_up_and_of_recoveries_the_worst_counts() -> None:
    both = [ran(1, worst=3.5), ran(2, lost=2, worst=1.5)]
    summed = {"faults": 100, "epochs": 200, "lost": 2, "worst_recovery_seconds": 3.5}
    assert total(both) == summed
    assert holds(both[:1])
    assert not holds(both)
    assert not holds([])


def test_a_campaign_goes_on_with_the_seeds_that_are_not_there(tmp_path: Path) -> None:
    first = State(tmp_path / "chaos")
    for seed in (1, 2, 4):
        first.add(ran(seed))
    again = State(tmp_path / "chaos")
    assert again.runs == [ran(1), ran(2), ran(4)]
    assert list(islice(again.next_seeds(1), 3)) == [3, 5, 6]


class Titles(HTMLParser):
    """What the shapes of a page are called."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._inside = tag == "title"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)
        self._inside = False


def test_the_page_shows_every_fault_each_recovery_and_the_verdict(tmp_path: Path) -> None:
    asked = Asked(7)
    site = Site(tmp_path, asked)
    events = draw(7, 40)
    happened = [Happened(it, 100.0 * n, 100.0 * n + 50, 2.5) for n, it in enumerate(events)]
    progress = Progress(site, [], samples=[Sample(0.0, 10, 4), Sample(10.0, 20, None)])
    outcome = Outcome(asked, 20, nemesis=Nemesis(site, happened), progress=progress)
    shown = page(outcome)
    titles = Titles(shown).found
    assert [it for it in titles if it != "2.5 s"][1:] == [
        str(fault) for event in events for fault in event.faults
    ]
    assert titles.count("2.5 s") == len(events)
    assert "The verdict holds" in shown
    assert "<b>40</b> faults" in shown
    assert json.dumps(outcome.verdict["epochs"]) in shown


def test_the_page_names_what_did_not_recover_but_not_where_nobody_waited(
    tmp_path: Path,
) -> None:
    asked = Asked(7)
    killed = (Fault("kill", "broker", 1.0),)
    stormy = Happened(Event(killed, pause_s=0.1, storm=True), 65.0, 66.0)
    waited = Happened(Event(killed, pause_s=0.1, storm=False), 70.0, 71.0)
    progress = Progress(Site(tmp_path, asked), [], samples=[Sample(0.0, 10, 4)])

    def shown(*happened: Happened) -> str:
        nemesis = Nemesis(Site(tmp_path, asked), [*happened])
        return page(Outcome(asked, 20, nemesis=nemesis, progress=progress))

    calm = Happened(waited.event, 70.0, 71.0, recovered_s=0.5)
    assert "not recovered" not in shown(stormy, calm)
    assert Titles(shown(stormy, waited, calm)).found.count("not recovered") == 1
    assert ">1:05<" in shown(stormy, calm)
