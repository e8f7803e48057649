"""The command ``noctis``, run in the test's own process."""

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cli.main import main

__all__ = ["Console", "Done"]


@dataclass
class Done:
    """What a command printed, and what it ended with."""

    returncode: int
    stdout: str
    stderr: str


class Console:
    """The command ``noctis``, in this process, of somebody with a folder of his own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.environment = {
            "NOCTIS_DATABASE_URL": url,
            "NOCTIS_VAR": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "NOCTIS_PROFILE": "",
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str, told: str = "", **more: str) -> Done:
        out, err = StringIO(), StringIO()
        code: int | str | None = 0
        with (
            patch.dict(os.environ, {**self.environment, **more}),
            patch.object(sys, "argv", ["noctis", *arguments]),
            patch.object(sys, "stdin", StringIO(told)),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as ended:
                code = ended.code
        return Done(int(code or 0), out.getvalue(), err.getvalue())

    def value(self, *arguments: str) -> Any:  # noqa: ANN401 - any JSON value
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
