"""A disk whose power is cut: what was not flushed is torn, names not flushed are gone."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

CUT = 9


class Power:
    """Stands where ``registry.disk`` calls ``os``; ends the process before step ``steps``.

    With ``lose`` all that was not flushed is lost first: half of a file's new bytes, names
    that were given or taken. Without, the disk had written all of it by itself.
    """

    def __init__(self, steps: int, *, lose: bool) -> None:
        self._left = steps
        self._lose = lose
        self._paths: dict[int, Path] = {}
        self._unflushed: dict[Path, bytes] = {}
        self._names: list[tuple[Path, Callable[[], object]]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self._step()
            self._unflushed.setdefault(path, path.read_bytes() if path.exists() else b"")
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = path
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        self._step()
        return os.write(descriptor, content)

    def fsync(self, descriptor: int) -> None:
        self._step()
        path = self._paths[descriptor]
        self._unflushed.pop(path, None)
        self._names = [it for it in self._names if it[0].parent != path]

    def replace(self, source: Path, target: Path) -> None:
        self._step()
        before = target.read_bytes() if target.is_file() else None
        source.replace(target)
        for path in [path for path in self._unflushed if path.is_relative_to(source)]:
            moved = target / path.relative_to(source)
            self._unflushed[moved] = self._unflushed.pop(path)

        def undo() -> None:
            target.replace(source)
            if before is not None:
                target.write_bytes(before)

        self._names.append((target, undo))

    def mkdir(self, path: Path) -> None:
        self._step()
        path.mkdir()
        self._names.append((path, lambda: shutil.rmtree(path, ignore_errors=True)))

    def unlink(self, path: Path) -> None:
        self._step()
        before = path.read_bytes()
        path.unlink()
        self._names.append((path, lambda: path.write_bytes(before)))

    def _step(self) -> None:
        if self._left == 0:
            self._cut()
        self._left -= 1

    def _cut(self) -> NoReturn:
        if self._lose:
            for path, before in self._unflushed.items():
                content = path.read_bytes()
                kept = len(before) if content.startswith(before) else 0
                path.write_bytes(content[: (kept + len(content)) // 2])
            for _, undo in reversed(self._names):
                undo()
        os._exit(CUT)


def until_cut(power: Power, work: Callable[[Power], object]) -> bool:
    """Do the work in a child process; True where the power went before it was done."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(power)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, CUT}
    return status == CUT
