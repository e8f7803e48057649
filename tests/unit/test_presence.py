"""What processes say of the models that they serve."""

import os
import time
from os import getpid
from pathlib import Path
from socket import gethostname

import pytest

from registry.presence import EVERY_S, FORGOTTEN_S, FRESH_S, Holder, Presence, holders


def files(folder: Path) -> list[Path]:
    return list((folder / "serving").iterdir())


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_process_is_told_of_with_what_it_serves(tmp_path: Path) -> None:
    Presence(tmp_path, "api").tell("stager@1", None)
    Presence(tmp_path, "inference").tell(None, "it was changed")
    me = f"{gethostname()}/{getpid()}"
    assert holders(tmp_path) == [
        Holder(f"api {me}", "stager@1", None),
        Holder(f"inference {me}", None, "it was changed"),
    ]


def test_what_changed_is_said_at_once_and_the_rest_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    mine = Presence(tmp_path, "api")
    mine.tell("stager@1", None)
    [path] = files(tmp_path)
    age(path, FRESH_S + 1)
    mine.tell("stager@1", None)
    assert holders(tmp_path) == []
    mine.tell("stager@2", None)
    assert [it.model for it in holders(tmp_path)] == ["stager@2"]
    age(path, FRESH_S + 1)
    now += EVERY_S
    mine.tell("stager@2", None)
    assert [it.model for it in holders(tmp_path)] == ["stager@2"]
    path.unlink()
    now += EVERY_S
    mine.tell("stager@2", None)
    assert [it.model for it in holders(tmp_path)] == ["stager@2"]


def test_a_process_that_ended_is_told_of_no_more_and_forgotten(tmp_path: Path) -> None:
    Presence(tmp_path, "api").tell("stager@1", None)
    [path] = files(tmp_path)
    age(path, FRESH_S + 1)
    assert holders(tmp_path) == []
    age(path, FORGOTTEN_S + 1)
    Presence(tmp_path, "inference").tell("stager@1", None)
    assert [it.name.split("-")[0] for it in files(tmp_path)] == ["inference"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"odd": 1}', b"\xff"])
def test_a_file_that_is_none_is_passed_over(tmp_path: Path, content: bytes) -> None:
    Presence(tmp_path, "api").tell("stager@1", None)
    (tmp_path / "serving" / "odd.json").write_bytes(content)
    assert len(holders(tmp_path)) == 1


def test_who_may_not_write_there_serves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "serving").write_text("in the way")
    Presence(tmp_path, "api").tell("stager@1", None)
    assert holders(tmp_path) == []
