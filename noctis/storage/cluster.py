"""The files of a private PostgreSQL: its cluster, and the password of its only role."""

import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from noctis.childproc import User
from noctis.errors import ProcessError
from noctis.storage.binaries import Binaries

__all__ = ["ROLE", "Cluster"]

ROLE: Final = "noctis"
INITDB_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster below ``folder``; its files belong to ``user``, the password to us alone."""

    folder: Path
    user: User | None

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def major(self) -> int | None:
        """The major version that made the data; None while there are none."""
        try:
            return int((self.data / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    @property
    def password(self) -> str:
        """The role's password."""
        return (self.folder / "password").read_text().strip()

    def make(self, binaries: Binaries) -> None:
        """Make the cluster if there is none; raise ProcessError when initdb fails.

        It is built aside and renamed, so that one cut short is made anew.
        """
        if self.data.exists():
            return
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_private(self.folder / "password", secrets.token_urlsafe(24))
        handed = self.folder / "password.initdb"
        _write_private(handed, self.password)
        if self.user is not None:
            os.chown(handed, self.user.uid, self.user.gid)
        try:
            self._initdb(binaries, unfinished, handed)
        finally:
            handed.unlink()
        unfinished.rename(self.data)

    def _initdb(self, binaries: Binaries, data: Path, password: Path) -> None:
        arguments = [binaries.program("initdb"), "-D", str(data), "-U", ROLE]
        arguments += ["-A", "scram-sha-256", f"--pwfile={password}"]
        arguments += ["--encoding=UTF8", "--locale=C", "--data-checksums"]
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
            arguments,
            capture_output=True,
            text=True,
            cwd="/",
            timeout=INITDB_SECONDS,
            check=False,
            user=None if self.user is None else self.user.uid,
            group=None if self.user is None else self.user.gid,
            extra_groups=None if self.user is None else [],
        )
        if done.returncode:
            message = f"initdb of {data} failed: {done.stderr.strip()[-500:]}"
            raise ProcessError(message, hint="is there space, and may the user write there?")


def _write_private(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
