"""Models, experiments, labels, replays and what is sent again: here, and over a facade."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from noctis import passphrases
from noctis.settings import Settings
from noctis.storage import users
from noctis.storage.engine import transaction
from runner.service import Runner
from tests.integration.consoles import Console
from tests.integration.facade_fixtures import Both, both
from tests.integration.inference_fixtures import D1, Night, store
from tests.models import copy_of_the_shipped

__all__ = ["both"]

pytestmark = pytest.mark.postgres

PASSWORD = "correct horse battery staple"
FAR = ("--profile", "far")
LOOKER = ("--profile", "looker")
BEGIN = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
EPOCHS = 20


@pytest.fixture(scope="module")
def console(both: Both, tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A console on the platform's machine, which knows its facade as an operator's, too."""
    facade, engine = both
    hashed = passphrases.hash_passphrase(PASSWORD)
    with transaction(engine) as connection:
        for name, role in (("ops", "platform"), ("vic", "viewer")):
            users.add("t1", connection, name, role=role, password_hash=hashed)
    night = Night(EPOCHS, seed=2, utc_s=int(BEGIN.timestamp()))
    store(engine, night.frames(), device=D1)
    made = Console(facade.database_url, tmp_path_factory.mktemp("console"))
    made.environment["NOCTIS_VAR"] = str(facade.var)
    address = f"http://127.0.0.1:{facade.port}"
    for login, name in (("ops@t1", "far"), ("vic@t1", "looker")):
        done = made("login", address, "--user", login, "--profile", name, told=f"{PASSWORD}\n")
        assert done.returncode == 0, done.stderr
    assert made("profile", "use", "local").returncode == 0
    return made


@pytest.fixture
def running(both: Both) -> Iterator[None]:
    """A runner takes what is ordered."""
    url = SecretStr(both[0].database_url)
    runner = Runner(Settings(var=both[0].var, database_url=url))
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            if not runner.turn():
                ending.wait(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ending.set()
    thread.join(30)
    runner.close()


@pytest.fixture(scope="module")
def versions(console: Console, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two versions: one published here, one uploaded from elsewhere."""
    folder = tmp_path_factory.mktemp("trained")
    here = console.value("model", "upload", str(copy_of_the_shipped(folder, version="here")))
    there = copy_of_the_shipped(folder, version="there")
    far = console.value("model", "upload", str(there), *FAR)
    assert far == here | {"version": "there"}
    again = console("model", "upload", str(there), *FAR)
    assert again.returncode == 1
    assert "there" in again.stderr
    return "here", "there"


@pytest.mark.parametrize(
    "command",
    [
        ("model", "list"),
        ("model", "show", "shipped"),
        ("model", "show", "there"),
        ("labels", "list", "t1"),
        ("experiment", "list"),
    ],
    ids=" ".join,
)
def test_database_and_facade_tell_the_same_of_models(
    console: Console,
    versions: tuple[str, str],  # noqa: ARG001 - they are to be there
    command: tuple[str, ...],
) -> None:
    here = console.value(*command)
    assert console.value(*command, *FAR) == here
    assert console(*command, *FAR).stdout == console(*command).stdout


def test_a_version_is_promoted_and_taken_back_over_a_facade(
    console: Console, versions: tuple[str, str]
) -> None:
    here, there = versions
    why = ("--approver", "Ada", "--override", "a rig of tests", *FAR)
    assert console.value("model", "promote", here, *why)["version"] == here
    switch = console.value("model", "promote", there, *why)
    assert (switch["previous"], switch["version"], switch["approver"]) == (here, there, "Ada")
    assert console.value("model", "show", "champion")["version"] == there
    assert console.value("model", "show", "champion", *FAR)["version"] == there
    back = console.value("model", "rollback", "--approver", "Ada", *FAR)
    assert (back["action"], back["version"]) == ("rollback", here)
    watched = console.value("model", "promote", there, "--alias", "shadow", *FAR)
    assert (watched["alias"], watched["version"]) == ("shadow", there)
    assert console.value("model", "list")[-1]["aliases"] == ["shadow"]


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("model", "promote", "here", *FAR), 1, "--approver"),
        (("model", "promote", "here", "--approver", "Ada", *FAR), 1, "holds its own"),
        (("model", "promote", "here", "--tenant", "t1", *FAR), 1, "--report FILE"),
        (("model", "rollback", "--approver", "Ada", *LOOKER), 4, "another role"),
        (("model", "drift", "--acknowledge", "t1", *FAR), 1, "NOCTIS_PROFILE=local"),
        (("experiment", "show", "nobody", *FAR), 1, "nobody"),
        (("erase", "t1", "--yes", *FAR), 1, "NOCTIS_PROFILE=local"),
        (("erasure", *FAR), 1, "noctis erasure NUMBER"),
        (("erase", "t2/d1", "--yes", *FAR), 1, "sees the tenant t1 alone"),
        (("device", "resend", "t1/d1", "--missing", *LOOKER), 4, "another role"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else None,
)
@pytest.mark.usefixtures("versions")
def test_what_a_facade_cannot_do_is_told_with_where_it_is_done(
    console: Console, command: tuple[str, ...], code: int, told: str
) -> None:
    done = console(*command)
    assert done.returncode == code, done.stderr
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_experiment_is_started_shown_and_stopped_over_a_facade(
    console: Console,
    versions: tuple[str, str],
    running: None,  # noqa: ARG001 - the report is an operation
) -> None:
    of = ("--version", versions[1], "--name", "eyes", "--tenant", "t1")
    started = console.value("experiment", "start", "--kind", "shadow", *of, *FAR)
    assert (started["kind"], started["model"], started["tenant"]) == (
        "shadow",
        "stager@there",
        "t1",
    )
    assert console.value("experiment", "list") == [started]
    shown = console.value("experiment", "show", "eyes", *FAR)
    assert shown == console.value("experiment", "show", "eyes")
    assert shown["report"]["comparison"]["epochs"] == 0
    assert console("experiment", "show", "eyes", *FAR).returncode == 0
    stopped = console.value("experiment", "stop", "eyes", *FAR)
    assert stopped["stopped_at"] is not None
    assert console.value("experiment", "list", *FAR) == [stopped]


def test_labels_are_kept_and_a_version_replayed_and_held_against_them(
    console: Console,
    versions: tuple[str, str],
    running: None,  # noqa: ARG001 - it does both
    tmp_path: Path,
) -> None:
    file = tmp_path / "stages.csv"
    rows = "".join(f"{30 * at},{('W', 'N2')[at % 2]}\n" for at in range(EPOCHS))
    file.write_text(f"t_s,stage\n{rows}")
    start = ("--start", f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}")
    kept = ("labels", "import", str(file), "--device", "t1/d1", "--source", "diary", *start)
    assert console.value(*kept, *FAR)["replaced"] == 0
    assert console.value(*kept, *FAR)["replaced"] == EPOCHS
    [told] = console.value("labels", "list", "t1", *FAR)
    [known] = console.value("labels", "list", "t1/d1")
    nobody = {"imported_by": None, "imported_at": None}
    assert told == known | nobody
    span = ("--since", "2026-03-01", "--until", "2026-03-03")
    of = ("--version", versions[1], "--tenant", "t1")
    done = console.value("replay", "start", *of, *span, *FAR)
    assert (done["state"], done["result"]["epochs"]) == ("done", EPOCHS)
    held = ("model", "evaluate", *of, "--source", "diary")
    assert console.value(*held, *FAR) == console.value(*held)
    gone = console.value("labels", "remove", "--device", "t1/d1", *FAR)
    assert gone["removed"] == EPOCHS
    assert console.value("labels", "list", "t1") == []


def test_drift_is_told_over_a_facade_as_it_is_kept(console: Console) -> None:
    kept = console("model", "drift", "--json")
    assert console("model", "drift", "--json", *FAR) == kept
    now = console("model", "drift", "--tenant", "t1", "--json")
    far = console("model", "drift", "--tenant", "t1", "--json", *FAR)
    assert (far.returncode, far.stdout) == (now.returncode, now.stdout)
    shown = console("model", "drift", "--tenant", "t1", *FAR)
    assert shown.stdout == console("model", "drift", "--tenant", "t1").stdout


def test_a_device_is_told_to_send_again_and_erased_over_a_facade(console: Console) -> None:
    stream = "00f1e2d3c4b5a697"
    wanted = ("--stream", stream, "--from", "3", "--to", "9")
    ordered = console.value("device", "resend", "t1/d2", *wanted, *FAR)
    here = console.value("device", "resend", "t1/d2", *wanted)
    for made in (ordered, here):
        [command] = made["commands"]
        assert (command["state"], command["body"]["from"], command["body"]["to"]) == (
            "pending",
            3,
            9,
        )
    assert "nothing is missing" in console("device", "resend", "t1/d2", "--missing").stdout
    made = console.value("erase", "t1/d2", "--keep-device", "--yes", *FAR)
    assert (made["state"], made["subject"]) == ("requested", "t1/d2")
    number = str(made["erasure"])
    told = console.value("erasure", number, *FAR)
    known = console.value("erasure", number)
    assert told == known | {"subject": None, "requested_by": None}
