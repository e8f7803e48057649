from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from noctis.epoch import Frame, Run
from noctis.features import FEATURES, dequantise
from noctis.storage import (
    epochs,
    predictions,
)
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.ingest import Received, ingest
from tests.integration.settling_fixtures import (
    BED,
    frame,
    home,
    look,
    model,
    send,
    settle,
    start,
)

__all__ = ["home", "start"]

pytestmark = pytest.mark.postgres


def test_epochs_are_read_in_physical_units(home: Engine, start: datetime) -> None:
    sent = frame(1, 40, utc=start)
    send(home, sent)
    with transaction(home) as connection:
        rows = epochs.read("home", connection, "bed", start, start + timedelta(hours=1))
    values = np.array(
        [[np.nan if v is None else v for v in row.values.values()] for row in rows]
    )
    np.testing.assert_allclose(values, dequantise(sent.codes), rtol=1e-12, atol=1e-12)
    assert [row.in_bed for row in rows] == sent.in_bed.tolist()
    assert {row.placement for row in rows} == {"device"}
    assert rows[39].epoch_start == start + timedelta(seconds=30 * 39)


def test_pages_of_epochs_follow_each_other_without_gap_or_double(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 20, utc=start), frame(1, 20, utc=start, stream=3))
    pages, cursor = [], None
    with transaction(home) as connection:
        while page := epochs.read(
            "home", connection, "bed", start, start + timedelta(hours=1), limit=7, after=cursor
        ):
            pages.append(len(page))
            cursor = page[-1].cursor
        extent = epochs.extent("home", connection, "bed", start, start + timedelta(hours=1))
    assert pages == [7, 7, 7, 7, 7, 5]
    assert extent == epochs.Extent(40, start, start + timedelta(seconds=570))


def test_untimed_epochs_are_placed_by_a_later_clock_of_the_same_boot_or_estimated(
    home: Engine, start: datetime
) -> None:
    receipt = start + timedelta(minutes=20)
    with transaction(home) as connection:
        ingest(connection, [Received(BED, frame(1, 2, utc=None, tick_s=40))], now=receipt)
        span = (start - timedelta(hours=1), start + timedelta(hours=1))
        before = epochs.read("home", connection, "bed", *span)
        anchor = frame(4, 1, run_seq=3, utc=start + timedelta(seconds=100), tick_s=140)
        ingest(connection, [Received(BED, anchor)], now=receipt)
        after = epochs.read("home", connection, "bed", *span)
    assert [row.placement for row in before] == ["estimated", "estimated"]
    assert [row.epoch_start for row in before] == [
        receipt - timedelta(seconds=60),
        receipt - timedelta(seconds=30),
    ]
    assert [row.placement for row in after] == ["anchored", "anchored", "device"]
    assert [row.epoch_start for row in after] == [
        start,
        start + timedelta(seconds=30),
        start + timedelta(seconds=100),
    ]


def test_a_clock_that_becomes_implausible_is_replaced_by_the_earlier_one_of_its_boot(
    home: Engine, start: datetime
) -> None:
    receipt = start + timedelta(days=3)  # it was offline meanwhile
    frames = (
        frame(1, 2, utc=start, tick_s=100),
        frame(4, 2, run_seq=3, utc=start + timedelta(days=3650), tick_s=160),
    )
    with transaction(home) as connection:
        ingest(connection, [Received(BED, one) for one in frames], now=receipt)
        rows = epochs.read("home", connection, "bed", start, receipt)
    assert [row.placement for row in rows] == ["device", "device", "anchored", "anchored"]
    assert [row.epoch_start - start for row in rows] == [
        timedelta(seconds=30 * n) for n in range(4)
    ]


def test_the_statement_of_the_protocols_page_sets_a_wrong_clock_right(
    home: Engine, start: datetime
) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "protocol.md").read_text("utf-8")
    statement = page.partition("```sql\n")[2].partition("```")[0]
    wrong = frame(1, 2, utc=start - timedelta(hours=7), tick_s=100)
    good = frame(4, 1, run_seq=3, utc=start + timedelta(seconds=60), tick_s=160)
    send(home, wrong, good)
    with transaction(home) as connection:
        device = connection.scalar(text("SELECT device_id FROM runs LIMIT 1"))
        stream = connection.scalar(text("SELECT stream FROM runs LIMIT 1"))
        parameters = {"good": 3, "wrong": 0, "device": device, "stream": stream}
        connection.execute(text(statement), parameters)
        rows = epochs.read("home", connection, "bed", start, start + timedelta(hours=1))
    assert [row.placement for row in rows] == ["corrected", "corrected", "device"]
    assert [row.epoch_start - start for row in rows] == [
        timedelta(seconds=30 * n) for n in range(3)
    ]


def test_a_runs_shift_moves_its_epochs_in_the_view_alone(home: Engine, start: datetime) -> None:
    send(home, frame(1, 1, utc=start), frame(3, 1, run_seq=2, utc=start + timedelta(minutes=5)))
    with transaction(home) as connection:
        connection.execute(text("UPDATE runs SET shift = '90 s' WHERE run_seq = 0"))
        span = (start, start + timedelta(hours=1))
        rows = epochs.read("home", connection, "bed", *span)
        assert epochs.extent("home", connection, "bed", *span).count == 2
    assert [(row.seq, row.placement) for row in rows] == [(1, "corrected"), (3, "device")]
    assert rows[0].epoch_start == start + timedelta(seconds=90)


def test_another_tenant_sees_nothing(home: Engine, start: datetime) -> None:
    send(home, frame(1, 4, utc=start))
    settle(home, model(home), look(home, model(home)))
    span = (start, start + timedelta(hours=1))
    with transaction(home) as connection:
        assert epochs.read("away", connection, "bed", *span) == []
        assert predictions.read("away", connection, "bed", *span) == []
        assert epochs.extent("away", connection, "bed", *span).count == 0
        for tenant, device in (("away", "cot"), ("nobody", "bed")):
            with pytest.raises(NotFoundError):
                epochs.read(tenant, connection, device, *span)
            with pytest.raises(NotFoundError):
                predictions.read(tenant, connection, device, *span)


def test_the_view_of_values_knows_every_code_as_python_does(
    home: Engine, start: datetime
) -> None:
    numbers = np.arange(512)
    codes = np.stack([np.minimum(numbers, f.missing) for f in FEATURES], axis=1)
    run = Run(0, 0, 1, 10, int(start.timestamp()))
    parts = [
        Frame(5, 1 + k, 0, run, codes[k : k + 64].astype(np.int16), np.ones(64, np.bool_))
        for k in range(0, 512, 64)
    ]
    send(home, *parts)
    with transaction(home) as connection:
        rows = connection.execute(text("SELECT * FROM epoch_values ORDER BY seq")).mappings()
        values = np.array([[row[f.name] for f in FEATURES] for row in rows], np.float64)
    np.testing.assert_allclose(values, dequantise(codes), rtol=1e-12, atol=1e-12)


def test_pages_merge_epochs_of_every_placement(home: Engine, start: datetime) -> None:
    send(home, frame(1, 3, utc=start), frame(5, 2, run_seq=4, utc=None, tick_s=200))
    send(home, frame(8, 2, run_seq=7, utc=start + timedelta(minutes=5), tick_s=310))
    send(home, frame(11, 2, run_seq=10, utc=start + timedelta(minutes=8), tick_s=490))
    with transaction(home) as connection:
        connection.execute(text("UPDATE runs SET shift = '-2 min' WHERE run_seq = 10"))
        span = (start, start + timedelta(hours=1))
        whole = epochs.read("home", connection, "bed", *span)
        pages = [epochs.read("home", connection, "bed", *span, limit=1)]
        while pages[-1]:
            pages.append(
                epochs.read(
                    "home", connection, "bed", *span, limit=1, after=pages[-1][0].cursor
                )
            )
    assert [row for page in pages for row in page] == whole
    assert [(row.seq, row.placement) for row in whole] == [
        (1, "device"),
        (2, "device"),
        (3, "device"),
        (5, "anchored"),
        (6, "anchored"),
        (8, "device"),
        (9, "device"),
        (11, "corrected"),
        (12, "corrected"),
    ]
    begins = [row.epoch_start for row in whole]
    assert begins == sorted(begins)
