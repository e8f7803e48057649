import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from api.internal.histograms import between, grown
from api.internal.scraping import Scrape, _samples


class Process:
    """A process's own metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "work_seconds", "Work.", ["route"], buckets=(1, 2, 4), registry=self.registry
        )
        self.done = Counter("done", "Done.", registry=self.registry)

    def work(self, *seconds: float, route: str = "a") -> None:
        for each in seconds:
            self.seconds.labels(route).observe(each)
            self.done.inc()

    def told(self) -> Scrape:
        return Scrape(_samples(generate_latest(self.registry).decode()))


def test_percentiles_are_those_of_the_window_and_not_of_all_time() -> None:
    process = Process()
    process.work(*[0.5] * 1000)
    before = process.told()
    process.work(*[1.5] * 90, *[3.0] * 10)
    made = between("work_seconds", before, process.told())[()]
    assert made.count == 100
    assert made.total == pytest.approx(90 * 1.5 + 30)
    assert made.percentile(0.45) == pytest.approx(1.5)
    assert made.percentile(0.9) == pytest.approx(2.0)
    assert made.percentile(0.95) == pytest.approx(3.0)


def test_what_lies_above_the_highest_bound_has_no_percentile_and_neither_has_nothing() -> None:
    process = Process()
    process.work(1.5)
    before = process.told()
    assert between("work_seconds", before, before)[()].percentile(0.5) is None
    process.work(0.5, 9.0, 9.0)
    made = between("work_seconds", before, process.told())[()]
    assert made.percentile(0.3) is not None
    assert made.percentile(0.95) is None


def test_a_process_that_began_anew_counts_from_its_beginning() -> None:
    old, new = Process(), Process()
    old.work(*[1.5] * 50)
    new.work(1.5, 1.5)
    assert between("work_seconds", old.told(), new.told())[()].count == 2
    assert grown("done_total", old.told(), new.told()) == 2


def test_replicas_and_labels_are_put_together_where_nobody_asks_for_them_apart() -> None:
    process = Process()
    before = process.told()
    process.work(0.5, route="a")
    process.work(3.0, 3.0, route="b")
    after = process.told()
    together = between("work_seconds", before, after)[()]
    apart = between("work_seconds", before, after, ["route"])
    assert together.count == 3
    assert {key: it.count for key, it in apart.items()} == {("a",): 1, ("b",): 2}
    assert (apart["a",] + apart["b",]).counts == together.counts
