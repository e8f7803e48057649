"""Replays on a real database: what a version would have said, kept once and shown to nobody."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.main import app
from inference.serving import active
from inference.settler import Settler
from inference.trials import Trials
from noctis.settings import Settings
from noctis.storage import census, predictions, replays
from noctis.storage.database import Database
from noctis.storage.engine import create, transaction
from noctis.storage.predictions import Origin
from noctis.storage.server import PostgresServer
from noctis.topics import SHARDS
from tests.integration.broker_fixtures import on_loop
from tests.integration.inference_fixtures import (
    D1,
    D2,
    OTHER,
    Night,
    Settled,
    add_devices,
    publish_model,
    seqs_of,
    settled,
    store,
    wait_settled,
)

pytestmark = pytest.mark.postgres

EVENING: Final = datetime(2026, 11, 1, 22, 0, tzinfo=UTC)
EPOCHS: Final = 120
SPAN: Final = ("--since", "2026-11-01", "--until", "2026-11-03")


class Site:
    """A database with a night of each of three devices, settled by the shipped model."""

    def __init__(self, url: str, var: Path) -> None:
        self.url, self.var = url, var
        self.engine = create(url, application="noctis-test")
        add_devices(self.engine)
        for version in ("two", "three", "four"):
            publish_model(var, version)
        self.nights = {
            who: Night(EPOCHS, seed=seed, utc_s=int(EVENING.timestamp()))
            for seed, who in enumerate((D1, D2, OTHER))
        }
        for who, night in self.nights.items():
            store(self.engine, night.frames(size=64), device=who, backlog=True)
        self._settle()

    def _settle(self) -> None:
        settings = Settings(var=self.var, database_url=self.url)
        there = Database(settings, application="noctis-test", connections=2)
        settler = Settler(there, Trials(active(settings)), frozenset(range(SHARDS)))

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(settler.run())
                for night in self.nights.values():
                    await asyncio.to_thread(
                        wait_settled, self.engine, night.stream, EPOCHS, within_s=100
                    )
                running.cancel()

        on_loop(main)
        there.close()

    def noctis(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - any JSON value
        """Return the one JSON value that a command prints."""
        done = CliRunner().invoke(
            app,
            [*arguments, "--var", str(self.var), "--json"],
            env={"NOCTIS_DATABASE_URL": self.url},
        )
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout) if done.stdout else done.exception

    def of(self, model: str) -> dict[str, list[tuple[object, ...]]]:
        """Return what a version said of each device's epochs."""
        return {
            str(who): [
                (row.seq, row.stage, row.probabilities)
                for row in settled(self.engine, night.stream)
                if row.model == model
            ]
            for who, night in self.nights.items()
        }

    def count(self, model: str) -> int:
        return sum(map(len, self.of(model).values()))

    def stale(self) -> list[object]:
        """Return the marks of nights to be found again."""
        with transaction(self.engine) as connection:
            rows = connection.execute(text("SELECT * FROM stale_nights ORDER BY 1, 2"))
            return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
def site(
    own_postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    made = Site(own_postgres.url, tmp_path_factory.mktemp("var"))
    yield made
    made.engine.dispose()


def shipped(site: Site) -> str:
    """Return the name of the version that served the nights."""
    rows: list[Settled] = settled(site.engine, site.nights[D1].stream)
    return rows[0].model


def test_a_replay_says_bit_for_bit_what_the_settler_said_and_shows_it_to_nobody(
    site: Site,
) -> None:
    served, marked = shipped(site), site.stale()
    with transaction(site.engine) as connection:
        counted = census.count("t1", connection, "d1")
    done = site.noctis("replay", "start", "--version", "two", "--tenant", "t1", *SPAN)
    assert (done["state"], done["epochs"], done["stored"]) == ("done", 2 * EPOCHS, 2 * EPOCHS)
    replayed = site.of("stager@two")
    assert replayed.pop("t2/d1") == []
    assert replayed == {who: rows for who, rows in site.of(served).items() if who != "t2/d1"}
    assert [row[0] for row in replayed["t1/d1"]] == seqs_of(site.nights[D1].frames())
    assert site.stale() == marked
    with transaction(site.engine) as connection:
        assert census.count("t1", connection, "d1") == counted
        span = EVENING, EVENING + timedelta(days=1)
        shown = predictions.read("t1", connection, "d1", *span)
    assert {row.model for row in shown} == {served}


def test_a_replay_ends_when_it_is_cancelled_and_goes_on_when_it_is_resumed(site: Site) -> None:
    begun = site.noctis("replay", "start", "--version", "four", "--device", "t1/d1", *SPAN)
    number = str(begun["replay"])
    with transaction(site.engine) as connection:
        connection.execute(
            text("UPDATE replays SET done_at = NULL WHERE id = :id"), {"id": number}
        )
        connection.execute(
            text("UPDATE replay_parts SET stored = NULL WHERE replay_id = :id"), {"id": number}
        )
    assert site.noctis("replay", "cancel", number)["state"] == "cancelled"
    again = site.noctis("replay", "resume", number)
    assert (again["state"], again["stored"]) == ("done", 0)
    assert site.count("stager@four") == EPOCHS


def test_a_part_that_two_have_done_counts_once(site: Site) -> None:
    number = site.noctis("replay", "list")[-1]["replay"]
    with transaction(site.engine) as connection:
        before = replays.get(connection, number)
        part = replays.parts(connection, number, is_open=False)[0]
        assert replays.finish(connection, number, part, []) == 0
        assert replays.get(connection, number) == before
    assert before.stored > 0


def test_a_replay_is_compared_with_what_was_served(site: Site) -> None:
    number = site.noctis("replay", "list")[-1]["replay"]
    shown = site.noctis("replay", "show", str(number), "--against", "served")
    report = shown["comparison"]
    assert report["kappa"] == report["agreement"] == 1.0
    assert report["own"] == report["other"]
    minutes = sum(report["own"]["minutes"].values())
    assert minutes == report["epochs"] / 2 > 0
    assert 0 < report["own"]["null_share"] < 1
    assert report["absent"] == 0
    key = number_of(site, "stager@two")
    with transaction(site.engine) as connection:
        changed = connection.execute(
            text(
                "UPDATE predictions SET stage = 1 - stage WHERE model_id = :key AND stage < 2"
            ),
            {"key": key},
        ).rowcount
    report = site.noctis("replay", "show", str(number), "--against", "served")["comparison"]
    assert report["agreement"] == pytest.approx(1 - changed / report["epochs"])
    assert report["kappa"] < 1


def number_of(site: Site, model: str) -> int:
    with transaction(site.engine) as connection:
        return predictions.known_model(connection, model)


def test_a_version_that_serves_what_it_replayed_takes_it_over_unchanged(site: Site) -> None:
    done = site.noctis("replay", "start", "--version", "three", *SPAN)
    assert done["stored"] == 3 * EPOCHS
    key = number_of(site, "stager@three")
    replayed = site.of("stager@three")
    with transaction(site.engine) as connection:
        found = predictions.unsettled(connection, key, hours=1e5)
        rows = [
            predictions.Prediction(it.device_id, it.stream, int(seq), begin, None, None)
            for it in found
            for seq, begin in zip(it.seq, it.epoch_start, strict=True)
        ]
        assert predictions.store(connection, key, rows, origin=Origin.REPLAY) == 0
        assert predictions.store(connection, key, rows) == 3 * EPOCHS
        assert predictions.store(connection, key, rows) == 0
        shown = predictions.read("t1", connection, "d1", EVENING, EVENING + timedelta(days=1))
    assert {row.model for row in shown} == {"stager@three"}
    assert site.of("stager@three") == replayed


def test_a_replay_of_a_version_or_a_device_that_is_not_there_is_refused(site: Site) -> None:
    error = site.noctis("replay", "start", "--version", "nine", *SPAN, code=1)
    assert "no version 'nine'" in str(error)
    error = site.noctis(
        "replay", "start", "--version", "two", "--device", "t1/d9", *SPAN, code=1
    )
    assert "d9" in str(error)
    assert "there is no replay 99" in str(site.noctis("replay", "show", "99", code=1))
