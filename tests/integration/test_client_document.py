"""What README and docs/client.md show of the client works."""

import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.server import MosquittoServer
from noctis.client import Noctis
from tests.integration.broker_fixtures import Client, broker, password_of
from tests.integration.client_fixtures import (
    BEDROOM,
    EPOCHS,
    NIGHTS,
    PASSWORD,
    SECRET,
    furnish,
)
from tests.integration.facade_fixtures import (
    Both,
    Facade,
    both,
    database,
    facade,
    running_facade,
)
from tests.integration.test_stages_stream import tell

__all__ = ["both", "broker", "database", "facade"]

pytestmark = pytest.mark.postgres
PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs/client.md"


@pytest.fixture(scope="module")
def home(both: Both) -> Both:
    """A facade whose home has nights."""
    furnish(both[1])
    return both


def blocks_of(document: Path, kind: str) -> list[str]:
    """Return a document's blocks of a kind, one after another."""
    block = re.compile(rf"^```{kind}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    blocks = block.findall(document.read_text("utf-8"))
    assert blocks
    return blocks


def run(kind: str, said: dict[str, Any]) -> None:
    """Run the document's blocks of a kind on what was said before."""
    for number, text in enumerate(blocks_of(DOCUMENT, kind)):
        exec(compile(text, f"client.md, {kind} {number}", "exec"), said)  # noqa: S102


def test_the_readme_prints_a_median_for_each_week(
    home: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    [text] = blocks_of(PROJECT / "README.md", "python")
    here = text.replace("http://localhost:8000", f"http://127.0.0.1:{home[0].port}")
    assert here != text
    exec(compile(here, "README.md", "exec"), {"PASSWORD": PASSWORD})  # noqa: S102
    weeks = capsys.readouterr().out.splitlines()[1:-1]
    assert [it.split()[1] for it in weeks] == ["200.0"] * 3


def test_the_document_does_what_it_says(
    home: Both,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    said: dict[str, Any] = {"URL": f"http://127.0.0.1:{home[0].port}", "PASSWORD": PASSWORD}
    run("python", said)
    try:
        assert said["names"] == ["bedroom"]
        assert len(said["frame"]) == NIGHTS
        assert said["frame"]["tst_min"].notna().all()
        assert len(said["hypnogram"]) == len(said["resting"]) + 8 == EPOCHS
        assert len(said["medians"]) == 4
        assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")
        assert capsys.readouterr().out.startswith("404 ")
    finally:
        said["noctis"].close()


class Lamp:
    """Counts how often it was switched on."""

    times = 0

    async def on(self) -> None:
        self.times += 1


@contextmanager
def sleeper(port: int) -> Iterator[None]:
    """Have a bedroom's stages come, twenty a second: light, deep, wake, and again."""
    ended = threading.Event()

    def sleep() -> None:
        with Client(port, "svc-live-0") as worker:
            for seq, stage in enumerate(itertools.cycle(["light", "deep", "wake"]), 1):
                tell(worker, BEDROOM, seq, claims={"stage": stage})
                if ended.wait(0.05):
                    return

    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


@pytest.mark.broker
def test_the_document_hears_live_stages_and_a_lamp_is_lit_by_one(
    broker: MosquittoServer,
    home: Both,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NOCTIS_BROKER_PASSWORD", password_of("svc-api-0"))
    beside = Facade(broker.port, home[0].database_url, tmp_path)
    lamp = Lamp()
    with running_facade(beside) as it, sleeper(broker.port):
        url = f"http://127.0.0.1:{it.port}"
        with Noctis(url, user="ann@home", password=PASSWORD) as noctis:
            said = {"noctis": noctis, "URL": url, "SECRET": SECRET, "lamp": lamp}
            run("python live", said)
    assert capsys.readouterr().out.strip().endswith("deep None")
    assert lamp.times == 1
