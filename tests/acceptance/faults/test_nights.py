"""A night from the device's core to the companion: staged live, and anew once it is over."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.routes.recordings import shown
from cli.service import device_program
from evaluation.datasets import describe, parse, play
from inference.context import IN_BED
from inference.night import NIGHT_FOLDER, NightModel, codes_of, stage_whole_night
from noctis import topics
from noctis.hypnogram import OUT_OF_BED, UNSTAGED
from noctis.identity import DeviceId
from noctis.storage import accounts, recordings
from noctis.storage.engine import transaction
from noctis.storage.recordings import Recording
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.nights import write_night
from tests.rig import Fleet, Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(120)]

TENANT = "sleepers"
PHONE = f"phone@{TENANT}"
LATE = 115
PREDICTED = """
    SELECT p.stream, p.seq, p.stage, p.p_wake, p.origin, m.name, p.created_at
    FROM predictions p
    JOIN models m ON m.id = p.model_id
    JOIN tenants t ON t.id = p.tenant_id AND t.name = 'sleepers'
    ORDER BY p.stream, p.seq
"""
BEATS = 6  # heart rates an epoch


def one_night(folder: Path, *, asleep: int, epochs: int, seed: int) -> list[int]:
    """Write a night whose sleeper leaves; return its hypnogram by the shipped night-stager."""
    write_night(folder, seed=seed, epochs=epochs)
    lines = (folder / "heart_rate.csv").read_text().splitlines()
    (folder / "heart_rate.csv").write_text("\n".join(lines[: 1 + asleep * BEATS]) + "\n")
    rows = parse(play(folder, Path(device_program())), describe(folder)).rows
    rows = rows[codes_of(rows)[0]]
    stages = stage_whole_night(NightModel.load(NIGHT_FOLDER), rows).stages
    hypnogram = np.where(stages < 0, UNSTAGED, stages)
    hypnogram[rows[:, IN_BED] == 0] = OUT_OF_BED
    return hypnogram.tolist()


def night_of(rig: Rig) -> Recording | None:
    with transaction(rig.engine, 10) as connection:
        found = recordings.list_of(TENANT, connection, "bed")
    return found[0] if len(found) == 1 else None


def is_revised(rig: Rig, epochs: int) -> bool:
    """Tell whether the night lasts so long, and is closed and staged anew."""
    night = night_of(rig)
    if night is None or len(night.night.codes) != epochs:
        return False
    return (night.night.state, night.night.staged_by) == ("closed", "night")


def predicted(rig: Rig) -> list[tuple[object, ...]]:
    """Return what was told live of the tenant's epochs."""
    return rig.sql(PREDICTED)


def play_late(rig: Rig, fleet: Fleet, night: Path, start: int) -> None:
    """Let epochs of an hour earlier come from a chip of its own."""
    chip = ["--nor", str(fleet.folder / "late.nor"), "--log", str(fleet.folder / "late.log")]
    before = len(predicted(rig))
    fleet.start("--night", str(night), "--start", str(start), *chip, "--speed", "max")
    assert fleet.process.wait(60) == 0
    assert eventually(lambda: len(predicted(rig)) > before, within_s=30)


@contextmanager
def listening(rig: Rig) -> Iterator[Client]:
    """An app of the sleeper's, which hears of the last night."""
    with transaction(rig.engine, 10) as connection:
        accounts.add(TENANT, connection, PHONE, "app", password_of(PHONE))
        known = accounts.active(connection)
    rig.broker.reload(known)
    with Client(rig.broker.port, PHONE) as client:
        client.subscribe(topics.night(DeviceId(TENANT, "bed")))
        yield client


def until_told(phone: Client, night: Recording) -> list[dict[str, Any]]:
    """Return what an app hears until it is what the facade tells of the night."""
    told = shown(night).model_dump(mode="json")
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1]["revision"] != night.revision:
        heard.append(json.loads(phone.next(30.0).payload))
    last = dict(heard[-1])
    assert last.pop("night") == told["evening"]
    assert last == {name: told[name] for name in last}
    return heard


def test_a_closed_night_is_the_night_stagers_and_late_epochs_revise_it(
    platform: Rig, tmp_path: Path
) -> None:
    meant = one_night(tmp_path / "night", asleep=150, epochs=320, seed=1)
    start = int(time.time()) - 86_400
    begin = ("--night", str(tmp_path / "night"), "--start", str(start), "--speed", "max")
    with platform.fleet(TENANT, *begin, count=1) as fleet, ExitStack() as ends:
        phone = ends.enter_context(listening(platform))
        assert fleet.process.wait(60) == 0
        assert eventually(lambda: is_revised(platform, len(meant)), within_s=40)
        assert eventually(lambda: len(predicted(platform)) == 320, within_s=30)
        first, live = night_of(platform), predicted(platform)
        assert first is not None
        heard = until_told(phone, first)
        assert first.night.state == "closed"
        assert first.night.codes.tolist() == meant
        assert (first.model or "").startswith("night-stager@")
        assert {row[5] for row in live} == {"stager"}
        assert {row[4] for row in live} == {0}

        one_night(tmp_path / "late", asleep=112, epochs=112, seed=2)
        play_late(platform, fleet, tmp_path / "late", start - LATE * 30)
        assert eventually(lambda: is_revised(platform, len(meant) + LATE), within_s=40)
        second = night_of(platform)
        assert second is not None
        assert (second.id, second.model) == (first.id, first.model)
        assert second.revision > first.revision
        assert set(live) < set(predicted(platform))
        heard += until_told(phone, second)
        revisions = [it["revision"] for it in heard]
        assert revisions == sorted(set(revisions)), "an older one after a newer one"
        assert {it["id"] for it in heard} == {str(first.id)}
