import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.lazy import Deferred
from cli.main import COMMANDS, app

HEAVY = ("sqlalchemy", "numpy", "onnxruntime", "joblib", "pydantic", "alembic", "matplotlib")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: str(it.name))
def test_every_command_is_where_the_table_says_and_has_help(command: Deferred) -> None:
    result = CliRunner().invoke(app, [str(command.name), "--help"])
    assert result.exit_code == 0, result.output
    assert command.load().help


def test_the_list_of_commands_imports_none_of_them() -> None:
    program = (
        "import sys; from cli.main import main\n"
        "try: main()\n"
        f"finally: sys.stdout.write('loaded: ' + ' '.join(set({HEAVY}) & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "experiment" in told
    assert told.endswith("loaded: ")


def test_a_command_that_is_not_there_is_answered_with_the_next_one() -> None:
    result = CliRunner().invoke(app, ["tenent", "list"])
    assert result.exit_code == 2
    assert "'tenant'" in result.output
