"""Versions beside the champion, on a real platform with real devices."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from cli.main import app
from inference.model import DEFAULT_FOLDER
from noctis import topics
from noctis.identity import DeviceId
from noctis.storage import accounts, experiments
from noctis.storage.engine import transaction
from registry.manifest import read_manifest
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.integration.inference_fixtures import publish_model
from tests.rig import FLEET_PASSWORD, Fleet, Rig

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

TENANT: Final = "trial"
PHONE: Final = f"phone@{TENANT}"
DEVICES: Final = [DeviceId(TENANT, f"bed-{number:04d}") for number in range(1, 9)]
CHAMPION: Final = read_manifest(DEFAULT_FOLDER).full_name
SPEED: Final = 240
HOURS: Final = 0.1
PROGRAM: Final = "import sys; from cli.main import main; sys.argv[0] = 'noctis'; main()"

Shown = dict[str, set[str]]
"""The versions that the app was told of, by device."""


class Site:
    """A platform, eight devices of one tenant, and an app that hears of all of them."""

    def __init__(self, rig: Rig, phone: Client) -> None:
        self.rig, self.phone = rig, phone
        self.var = rig.folder / "var"
        folder = rig.folder / TENANT
        folder.mkdir()
        self._fleet = Fleet(rig, TENANT, folder)
        self._hours = 0.0

    def play(self) -> Shown:
        """Let the devices make some epochs each, until all is stored and settled."""
        self.phone.topics(0.1)
        with self.playing() as fleet:
            fleet.finish()
        assert eventually(lambda: not self.unsettled(), within_s=90)
        return self.told()

    @contextmanager
    def playing(self) -> Iterator[Fleet]:
        """Let the devices go on with their night."""
        self._hours += HOURS
        night = ("--devices", str(len(DEVICES)), "--hours", f"{self._hours:.1f}")
        self._fleet.start(*night, speed=SPEED)
        try:
            yield self._fleet
        finally:
            self._fleet.end()

    def told(self, quiet_s: float = 0.5) -> Shown:
        """Return what the app heard, once nothing has come for a while."""
        shown: Shown = defaultdict(set)
        while True:
            try:
                message = self.phone.next(quiet_s)
            except queue.Empty:
                return dict(shown)
            if not message.retain:
                device = message.topic.split("/")[-2]
                shown[device].add(json.loads(message.payload)["model"])

    def unsettled(self) -> list[tuple[object, ...]]:
        """Return the epochs that nobody has served."""
        return self.rig.sql(
            "SELECT e.seq FROM epochs e WHERE NOT EXISTS (SELECT FROM predictions p "
            "WHERE p.device_id = e.device_id AND p.stream = e.stream AND p.seq = e.seq "
            "AND p.origin = 0)"
        )

    def stored(self, since: int = 0) -> dict[str, dict[str, int]]:
        """Return how many epochs each version judged, by device and "version origin"."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for device, version, origin, seq in self.rig.sql(
            "SELECT d.name, m.name || '@' || m.version, p.origin, p.seq "
            "FROM predictions p JOIN devices d ON d.id = p.device_id "
            "JOIN models m ON m.id = p.model_id JOIN epochs e ON e.device_id = p.device_id "
            "AND e.stream = p.stream AND e.seq = p.seq"
        ):
            if int(str(seq)) > since:
                counts[str(device)][f"{version} {origin}"] += 1
        return {device: dict(count) for device, count in counts.items()}

    def newest(self) -> int:
        [(newest,)] = self.rig.sql("SELECT coalesce(max(seq), 0) FROM epochs")
        return int(str(newest))

    def noctis(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - any JSON value
        done = CliRunner().invoke(
            app,
            [*arguments, "--var", str(self.var), "--json"],
            env={"NOCTIS_DATABASE_URL": self.rig.postgres.url},
        )
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)

    def follows(self, running: int) -> bool:
        """Tell whether the worker comes to run so many experiments."""
        worker = self.rig.parts["inference"]
        return eventually(lambda: worker.metric("noctis_experiments") == running, within_s=90)

    def restart(self) -> None:
        """Kill the worker, and start another one."""
        self.rig.parts["inference"].kill()
        self.rig.parts["inference"].start()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="noctis-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with Rig(Path(name)) as rig:
            for version in ("watched", "bird", "broken", "replayed"):
                publish_model(rig.folder / "var", version)
            rig.enrol(*DEVICES, password=FLEET_PASSWORD)
            with transaction(rig.engine, 60) as connection:
                accounts.add(TENANT, connection, PHONE, "app", password_of(PHONE))
                known = accounts.active(connection)
            rig.broker.reload(known)
            with Client(rig.broker.port, PHONE) as phone:
                phone.subscribe(topics.stages(TENANT))
                yield Site(rig, phone)


def all_of(version: str) -> Shown:
    return {it.device: {version} for it in DEVICES}


def test_a_shadow_judges_every_epoch_and_nobody_is_told(site: Site) -> None:
    started = site.noctis(
        *("experiment", "start", "--kind", "shadow", "--version", "watched", "--name", "eyes")
    )
    assert (started["kind"], started["model"]) == ("shadow", "stager@watched")
    assert site.follows(1)
    assert site.play() == all_of(CHAMPION)
    for counts in site.stored().values():
        assert counts.keys() == {f"{CHAMPION} 0", "stager@watched 1"}
        assert len(set(counts.values())) == 1
    shown = site.noctis("experiment", "show", "eyes")
    assert shown["report"]["devices"] == len(DEVICES)
    assert shown["report"]["comparison"]["agreement"] in {1.0, None}
    assert shown["report"]["comparison"]["absent"] == 0
    assert site.noctis("experiment", "stop", "eyes")["stopped_at"]
    assert site.follows(0)


def test_a_canary_serves_the_same_devices_until_it_is_stopped(site: Site) -> None:
    site.noctis(
        *("experiment", "start", "--kind", "canary", "--version", "bird", "--share", "0.4"),
        *("--name", "bird"),
    )
    assert site.follows(1)
    with transaction(site.rig.engine) as connection:
        trial = experiments.get(connection, "bird")
    expected = {it.device: {"stager@bird" if trial.picks(it) else CHAMPION} for it in DEVICES}
    assert {"stager@bird"} in expected.values()
    assert {CHAMPION} in expected.values()
    begun = site.newest()
    assert site.play() == expected
    site.restart()
    assert site.follows(1)
    assert site.play() == expected
    for device, counts in site.stored(begun).items():
        assert set(counts) == {f"{model} 0" for model in expected[device]}
    report = site.noctis("experiment", "show", "bird")["report"]
    picked = sum(served == {"stager@bird"} for served in expected.values())
    assert report["version"]["devices"] == picked
    assert report["champion"]["devices"] == len(DEVICES) - picked
    site.noctis("experiment", "stop", "bird")
    assert site.follows(0)
    begun = site.newest()
    assert site.play() == all_of(CHAMPION)
    for counts in site.stored(begun).values():
        assert set(counts) == {f"{CHAMPION} 0"}


def test_a_broken_version_is_refused_and_the_champion_serves_on(site: Site) -> None:
    folder = site.var / "models" / "stager" / "versions" / "broken"
    site.noctis(
        *("experiment", "start", "--kind", "ab", "--version", "broken", "--name", "ab"),
        *("--tenant", TENANT),
    )
    assert site.follows(1)
    site.noctis("experiment", "stop", "ab")
    (folder / "card.md").write_text("another card")
    with transaction(site.rig.engine) as connection:
        key = site.rig.sql("SELECT id FROM models WHERE version = 'broken'")[0][0]
        experiments.start(TENANT, connection, "ab-2", "ab", model_id=int(str(key)), share=0.5)

    def refusal() -> str:
        with transaction(site.rig.engine) as connection:
            return experiments.get(connection, "ab-2").refusal or ""

    assert eventually(lambda: "was changed after publication" in refusal(), within_s=90)
    assert site.play() == all_of(CHAMPION)
    site.noctis("experiment", "stop", "ab-2")


def test_a_replay_that_is_killed_is_resumed_and_nothing_of_it_is_published(site: Site) -> None:
    site.told()
    epochs = len(site.rig.stored(TENANT))
    running = subprocess.Popen(
        [
            *(sys.executable, "-c", PROGRAM, "replay", "start", "--version", "replayed"),
            *("--since", "2020-01-01", "--until", "2100-01-01", "--var", str(site.var)),
        ],
        env={**os.environ, "NOCTIS_DATABASE_URL": site.rig.postgres.url},
    )
    counted = "SELECT count(*), count(DISTINCT (stream, seq)) FROM predictions WHERE origin = 2"
    try:
        assert eventually(lambda: site.rig.sql(counted)[0][0] != 0, within_s=60)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait(10)
    [(cut, _)] = site.rig.sql(counted)
    assert 0 < int(str(cut)) < epochs
    assert eventually(lambda: site.noctis("replay", "list")[0]["state"] == "stopped")
    number = str(site.noctis("replay", "list")[0]["replay"])
    done = site.noctis("replay", "resume", number, "--jobs", "2")
    assert (done["state"], done["stored"]) == ("done", epochs)
    assert site.rig.sql(counted) == [(epochs, epochs)]
    assert site.told() == {}


def test_the_experiments_that_were_known_go_on_while_the_database_is_away(
    site: Site,
) -> None:
    site.noctis(
        *("experiment", "start", "--kind", "canary", "--version", "bird", "--share", "0.4"),
        *("--name", "bird-2"),
    )
    assert site.follows(1)
    with transaction(site.rig.engine) as connection:
        trial = experiments.get(connection, "bird-2")
    picked = {it.device for it in DEVICES if trial.picks(it)}
    with site.playing() as fleet:
        site.rig.postgres.freeze()
        try:
            assert eventually(lambda: site.phone.received.qsize() >= 60, within_s=90)
        finally:
            site.rig.postgres.thaw()
        fleet.finish()
    shown = site.told()
    assert {device for device, models in shown.items() if models == {"stager@bird"}} == picked
    assert shown.keys() == {it.device for it in DEVICES}
    site.noctis("experiment", "stop", "bird-2")
