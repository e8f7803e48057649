"""Runs in processes of their own, never left behind, whoever ends what waits for them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

__all__ = ["BROKEN", "end_in_order", "verdict_of"]

BROKEN: Final = "broken"
"""What stands in place of a verdict where a run gave none."""

END_S: Final = 90.0
"""What a run that is told to end may take to end all that it started."""

ENDS: Final = (signal.SIGTERM, signal.SIGINT)


def end_in_order() -> None:
    """Let SIGTERM and Ctrl-C unwind all that was begun; a second one changes nothing."""

    def leave(number: int, _: FrameType | None) -> None:
        for each in ENDS:  # a function, not SIG_IGN: what is started now would inherit that
            signal.signal(each, lambda *_: None)
        sys.exit(128 + number)

    for each in ENDS:
        signal.signal(each, leave)


def verdict_of(
    command: Sequence[str | Path],
    *,
    within_s: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], bool]:
    """Run a command that prints a verdict; return it, and whether the command ended with 0.

    ``{"broken": 1}`` where it ended without one, or not in time: then it is told to end.
    """
    with _running(command, folder, environment) as process:
        try:
            told, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            return {BROKEN: 1}, False
    verdict: dict[str, Any] = json.loads(told) if told else {BROKEN: 1}
    return verdict, process.returncode == 0


@contextmanager
def _running(
    command: Sequence[str | Path], folder: Path | None, environment: Mapping[str, str] | None
) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C reaches us alone, and we end it
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
