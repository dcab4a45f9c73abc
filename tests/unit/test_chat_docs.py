"""The page on conversations says what the program does."""

import re
import shlex

import click
import pytest

from cli.chat_commands import COMMANDS
from cli.main import cli
from tests.chat_transcript import PAGE, SAID, essence, held, in_page

TEXT = PAGE.read_text(encoding="utf-8")


def test_every_command_is_listed_with_its_help() -> None:
    listed = dict(re.findall(r"^\| `/(\w+)[^`]*` \| (.*) \|$", TEXT, re.MULTILINE))
    assert listed == {name: one.help for name, one in COMMANDS.items()}


@pytest.mark.parametrize(
    "line", re.findall(r"^(?:printf .*\| )?graticule (.*)$", TEXT, re.MULTILINE)
)
def test_every_line_of_the_shell_can_be_parsed(line: str) -> None:
    words = shlex.split(line, comments=True)
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    command.make_context("graticule", words)


def test_the_transcript_says_what_is_said() -> None:
    said = re.findall(r"^you> (.*)$", in_page(), re.MULTILINE)
    assert tuple(said) == SAID


@pytest.mark.slow
def test_the_transcript_is_what_the_program_says(tmp_path: object) -> None:
    from pathlib import Path

    assert essence(held(Path(str(tmp_path)))) == essence(in_page())
