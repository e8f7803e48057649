"""Where a table goes: a file that appears once it is whole, or standard output."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from noctis.errors import ConfigurationError

__all__ = ["STDOUT", "sink"]

STDOUT: Final = Path("-")


@contextmanager
def sink(output: Path) -> Iterator[IO[bytes]]:
    """Yield where the table goes; a file has its name, and its content, only at the end.

    Nobody but its owner can read it. What an error cuts short is removed.
    """
    if output == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = output.with_name(f"{output.name}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        message = f"{unfinished} cannot be written: {error.strerror}"
        raise ConfigurationError(message, hint="name another file with --output") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(output)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
