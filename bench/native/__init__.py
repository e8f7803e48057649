"""The bench's programs in C: a publisher that outruns what is measured, and the bare limit."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from noctis.errors import ProcessError

__all__ = ["Publisher", "Subscriber", "build"]

SOURCES: Final = Path(__file__).parent
BUILT: Final = SOURCES.parents[1] / "build" / "bench"
READY_S: Final = 60.0


@cache
def build(name: str) -> Path:
    """Compile one of the programs where it is older than its source; return it."""
    source, program = SOURCES / f"{name}.c", BUILT / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        message = "there is no C compiler"
        raise ProcessError(message, hint="scripts/bootstrap installs one")
    BUILT.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", str(source), "-o", str(program), "-lmosquitto"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    if done.returncode:
        message = f"{source.name} does not compile: {done.stderr.strip()[-500:]}"
        raise ProcessError(message, hint="scripts/bootstrap installs libmosquitto's headers")
    return program


@dataclass(slots=True)
class _Program:
    """A running program that says "ready" and then works."""

    child: "subprocess.Popen[str]"

    @classmethod
    def start(cls, name: str, arguments: list[str]) -> "_Program":
        """Start a program; return when it is ready."""
        child = subprocess.Popen(  # noqa: S603 - our own
            [str(build(name)), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        it = cls(child)
        if it.line() != "ready":
            child.kill()
            message = f"{name} did not get ready"
            raise ProcessError(message)
        return it

    def line(self) -> str:
        """Return the next line that the program prints."""
        if self.child.stdout is None:
            return ""
        return self.child.stdout.readline().strip()


class Publisher:
    """Publishes a load's packets, from as many connections as it has.

    Evenly over ``seconds``, or as fast as the broker takes them.
    """

    def __init__(self, port: int, load: Path, *, epochs: int = 0, seconds: float = 0.0) -> None:
        arguments = [str(port), str(load), str(epochs), str(seconds)]
        self._program = _Program.start("publish", arguments)

    def go(self) -> None:
        """Start to publish."""
        stdin = self._program.child.stdin
        if stdin is not None:
            stdin.write("\n")
            stdin.close()

    def result(self) -> dict[str, Any]:
        """Return what was taken and acknowledged, and when, as publish.c says."""
        line = self._program.line()
        self._program.child.wait(10)
        if not line:
            message = "the publisher failed"
            raise ProcessError(message, hint="its reason is above")
        result: dict[str, Any] = json.loads(line)
        return result


class Subscriber:
    """Takes messages with QoS 1, and drops them."""

    def __init__(
        self, port: int, user: str, password: str, *, messages: int, filters: list[str]
    ) -> None:
        arguments = [str(port), user, password, str(messages), *filters]
        self._program = _Program.start("subscribe", arguments)

    def wait(self) -> None:
        """Return when the last message has come."""
        if self._program.line() != "done":
            message = "the bare subscriber lost its connection"
            raise ProcessError(message)

    def close(self) -> None:
        """Wait until the program has ended."""
        self._program.child.wait(10)
