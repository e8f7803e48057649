"""Reports of nights by the command, from this machine's database and from a facade."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from noctis import passphrases
from noctis.identity import DeviceId
from noctis.storage import devices, recordings, users
from noctis.storage.engine import transaction
from noctis.storage.recordings import Night
from tests.integration.consoles import Console
from tests.integration.facade_fixtures import Both, both, database, facade
from tests.integration.inference_fixtures import Night as NightSent
from tests.integration.inference_fixtures import store

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres

PASSWORD: Final = "correct horse battery staple"
START: Final = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
EPOCHS: Final = 1500
"""12.5 h: more than one question for what was measured is answered with."""
BED: Final = DeviceId("t1", "d1")


@pytest.fixture(scope="module")
def console(both: Both, tmp_path_factory: pytest.TempPathFactory) -> Console:
    """Somebody who knows a facade, and a bed with a night of which all was measured."""
    night = NightSent(EPOCHS, seed=1, utc_s=int(START.timestamp()))
    store(both[1], night.frames(), device=BED)
    codes = (np.arange(EPOCHS) // 50 % 4).astype(np.uint8)
    hashed = passphrases.hash_passphrase(PASSWORD)
    with transaction(both[1]) as connection:
        users.add("t1", connection, "ann", role="viewer", password_hash=hashed)
        made = Night(
            state="closed",
            evening=date(2026, 3, 1),
            time_zone="Europe/Berlin",
            started_at=START,
            ended_at=START + timedelta(seconds=30 * EPOCHS),
            hypnogram=codes.tobytes(),
            model_id=None,
            moved=0,
            closes_at=None,
        )
        key = devices.get("t1", connection, "d1").id
        for days, state in ((0, "closed"), (1, "closed"), (3, "open")):
            later = timedelta(days=days)
            ends = {"started_at": START + later, "ended_at": made.ended_at + later}
            evening = made.evening + later
            recordings.add(connection, key, replace(made, state=state, evening=evening, **ends))
    console = Console(both[0].database_url, tmp_path_factory.mktemp("console"))
    address = f"http://127.0.0.1:{both[0].port}"
    asked = ("login", address, "--user", "ann@t1", "--profile", "far")
    assert console(*asked, told=f"{PASSWORD}\n").returncode == 0
    assert console("profile", "use", "local").returncode == 0
    return console


@pytest.mark.parametrize("form", ["png", "svg", "html"])
def test_database_and_facade_give_the_same_report(
    console: Console, tmp_path: Path, form: str
) -> None:
    contents = []
    for where in ("local", "far"):
        file = tmp_path / f"{where}.{form}"
        told = console.value(
            *("night", "report", "t1/d1", "--date", "2026-03-01"),
            *("--output", str(file), "--profile", where),
        )
        assert (told["output"], told["format"]) == (str(file), form)
        assert (told["night"]["device"], told["night"]["evening"]) == ("t1/d1", "2026-03-01")
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_report_shows_what_was_measured_until_the_end_of_a_long_night(
    console: Console, tmp_path: Path
) -> None:
    assert console.value(
        *("night", "report", "t1/d1", "--date", "2026-03-01"),
        *("--output", str(tmp_path / "a.html")),
    )
    rows = (tmp_path / "a.html").read_text().split("tbody>")[1].split("</tr>")[:-1]
    measured = [it for it in rows if it.count("–</td>") < 3]  # noqa: RUF001 - nothing
    assert len(rows) == EPOCHS / 50
    assert len(measured) == len(rows)
    assert not [it for it in rows if it.endswith("–</td>")]  # noqa: RUF001 - of movement


def test_a_report_is_named_after_its_night_and_goes_through_a_pipe_as_well(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = console("night", "report", "t1/d1", "--date", "2026-03-01", "--format", "svg")
    assert (done.returncode, done.stdout) == (0, "")
    assert [it.name for it in tmp_path.iterdir()] == ["d1-2026-03-01.svg"]
    assert "d1-2026-03-01.svg" in done.stderr
    noctis = Path(sys.executable).with_name("noctis")
    asked = ("night", "report", "t1/d1", "--date", "2026-03-01", "--format", "svg")
    piped = subprocess.run(
        [noctis, *asked, "--output", "-"],
        env={**console.environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert piped.stdout == (tmp_path / "d1-2026-03-01.svg").read_bytes()


@pytest.mark.parametrize("form", ["svg", "html"])
def test_database_and_facade_give_the_same_week_with_its_absent_nights(
    console: Console, tmp_path: Path, form: str
) -> None:
    contents = []
    for where in ("local", "far"):
        file = tmp_path / f"{where}.{form}"
        told = console.value(
            *("night", "report", "t1/d1", "--week", "2026-W10"),
            *("--output", str(file), "--profile", where),
        )
        assert told["week"]["monday"] == "2026-03-02"
        assert (told["week"]["evenings"], told["week"]["nights"]) == (7, 1)
        contents.append(file.read_text())
    assert contents[0] == contents[1]
    shown = contents[0].lower()
    assert shown.count(">still open<") >= 1
    assert shown.count(">no night<") >= 5
    assert 'row-0-deep"' in contents[0]
    assert 'row-1-deep"' not in contents[0]
    older = ("night", "report", "t1/d1", "--week", "2026-03-01", "--output")
    assert console.value(*older, str(tmp_path / "a.svg"))["week"]["monday"] == "2026-02-23"


def test_the_evenings_of_a_week_that_are_to_come_are_said_to_be(
    console: Console, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    file = tmp_path / "week.svg"
    lately = f"{now - timedelta(days=1, hours=2):%Y-%m-%d}"
    told = console.value("night", "report", "t1/d1", "--week", lately, "--output", str(file))
    text = file.read_text()
    assert text.count(">not yet<") == 7 - told["week"]["evenings"]
    assert text.count(">no night<") == told["week"]["missing"] == told["week"]["evenings"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--date", "2026-03-03"), "no night of the evening of 2026-03-03"),
        (("--week", "2026-W99"), "'2026-W99' is no week"),
        (("--week", "2026-W10", "--date", "2026-03-01"), "of a week or of a night"),
        (("--week", "2400-01-01"), "no night of the week of 2399-12-27 is over"),
        (("--output", "night.pdf"), "'.pdf' is no format of a report"),
        (("--output", "-", "--json"), "name a file with --output"),
        (("--output", "nowhere/night.svg"), "cannot be written"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else None,
)
def test_a_report_that_cannot_be_made_says_why_and_leaves_nothing(
    console: Console,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = console("night", "report", "t1/d1", *more)
    assert done.returncode == 1
    assert told in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
