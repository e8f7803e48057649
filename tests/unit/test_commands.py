"""What every command of ``noctis`` has in common."""

import shlex
from collections import defaultdict
from pathlib import Path

import pytest
from rich.console import Console
from typer._click import Command, Context
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from cli import output
from cli.examples import LINES, examples_of
from cli.main import COMMANDS, app
from scripts import generate_cli

ROOT = Path(__file__).parents[2]
ALL = {path: command for _, path, command in generate_cli.commands()}
WITHOUT_JSON = {"up", "cluster rabbitmq-definitions"}
"""What goes on until it is stopped, and what prints a file of another program."""
GIVEN = {"nights/", "bedroom.csv", "passwords.txt"}
"""What examples name and must be there."""


@pytest.mark.parametrize("path", ALL)
def test_every_command_says_what_it_does_what_it_takes_and_shows_an_example(path: str) -> None:
    command = ALL[path]
    line = (command.help or "").split("\n")[0]
    assert line[:1].isupper()
    assert any(mark in line for mark in ".;")
    wordless = [it.name for it in command.params if not getattr(it, "help", "")]
    assert wordless == []
    assert examples_of(path)
    assert examples_of(path)[0] in (command.epilog or "")


@pytest.mark.parametrize("path", sorted(set(ALL) - WITHOUT_JSON))
def test_every_command_can_answer_in_json(path: str) -> None:
    [json] = [it for it in ALL[path].params if it.name == "json"]
    assert json.opts == ["--json"]


def test_an_option_takes_a_value_or_none_over_all_commands() -> None:
    takes: dict[str, set[bool]] = defaultdict(set)
    for command in ALL.values():
        for each in command.params:
            for name in each.opts:
                if name.startswith("--"):
                    takes[name].add(bool(getattr(each, "is_flag", False)))
    assert {name for name, kinds in takes.items() if len(kinds) > 1} == AMBIGUOUS


AMBIGUOUS = {"--device", "--wait"}
"""Of `up`, whether there is a device; of `erase`, which takes its time, to wait at all."""


@pytest.mark.parametrize("line", LINES.splitlines())
def test_every_example_is_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in GIVEN:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    parsed(get_command(app), "noctis", shlex.split(line))


def parsed(
    command: Command, name: str, words: list[str], parent: Context | None = None
) -> None:
    """Have a command line understood by what would run it, down to the last word."""
    with command.make_context(name, words, parent=parent) as context:
        if isinstance(command, TyperGroup):
            rest = [*context._protected_args, *context.args]
            found, child, left = command.resolve_command(context, rest)
            assert found
            assert child
            parsed(child, found, left, context)


def test_the_list_of_commands_reads_like_a_table_of_contents() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).output
    places = [shown.index(f" {panel} ─") for panel in panels()]
    assert places == sorted(places)
    for command in COMMANDS:
        line = command.help or ""
        assert len(line) <= 60
        assert line in shown
        assert line[0].isupper()
        assert line[-1] == "."


def panels() -> list[str]:
    return list(dict.fromkeys(str(it.rich_help_panel) for it in COMMANDS))


def test_help_of_a_command_ends_with_its_examples() -> None:
    shown = CliRunner().invoke(app, ["device", "add", "--help"], env={"COLUMNS": "100"}).output
    assert "noctis device add home/bedroom --time-zone Europe/Berlin" in shown


@pytest.mark.parametrize(
    ("words", "meant"), [("devise list", "device"), ("device ad", "add"), ("night lst", "list")]
)
def test_a_slip_of_the_finger_is_answered_with_what_was_meant(words: str, meant: str) -> None:
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2
    assert f"'{meant}'" in result.output


def test_the_page_has_the_commands_that_there_are() -> None:
    known = (ROOT / generate_cli.PAGE).read_text("utf-8")
    assert known == generate_cli.page(known), "run python -m scripts.generate_cli"


def test_a_table_into_a_pipe_has_a_line_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "out", Console(highlight=False, width=40))
    rows = [{"device": "home/" + "b" * 32, "words": "many words " * 20}] * 3
    output.print_rows(rows, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert not any("\x1b" in line for line in lines)
