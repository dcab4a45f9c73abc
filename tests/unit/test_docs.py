"""What README.md and docs/ name is there: commands, options, settings, routes, files, limits."""

import ast
import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from agent.server_settings import ServerSettings
from agent.settings import Settings
from cli.main import cli
from server.app import make_app
from server.mcp_resources import MOST_LISTED
from tests.documented import (
    DRAWN,
    HERE,
    NOT_RUN,
    PAGES,
    PARSED,
    ROOT,
    SYNOPSES,
    Block,
    blocks,
    commands,
)

BLOCKS = blocks()
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
NO_SETTINGS = {
    "GRATICULE_PICTURES": "of the terminal alone: cli/terminal_pictures.py",
    "GRATICULE_ENCODER": "of docker-compose.yml",
}
"""Variables that are read elsewhere than in `agent.settings`."""
OTHERS = ("cp", "curl", "git", "printf", "python3", "unzip", "vllm", "~/vllm/bin/pip")
"""Programs of others, whose lines are not looked into here."""
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
FLAGS_OF_OTHERS = {"models.md": "vLLM's", "evaluation.md": "--queries is the bench's"}


def of(*languages: str) -> list[Any]:
    return [pytest.param(one, id=one.name) for one in BLOCKS if one.language in languages]


def shells() -> list[Any]:
    return [pytest.param(one, id=one.name) for one in BLOCKS if one.is_shell]


def test_every_block_is_dealt_with() -> None:
    known = {"", "sh", "bash", "python", "json", "yaml", "ini", "js"}
    odd = [one.name for one in BLOCKS if one.language not in known and not one.drawn]
    assert not odd, "list them in tests/documented.py, or write a test that runs them"


def test_what_is_listed_is_there() -> None:
    for table in (DRAWN, SYNOPSES, NOT_RUN, PARSED):
        for row in table:
            if isinstance(row, tuple):
                found = [one.name for one in BLOCKS if one.page == row[0]
                         and one.text.startswith(row[1])]  # fmt: skip
                assert len(found) == 1, f"{row} fits {found}"
            else:
                assert any(one.page == row and one.is_shell for one in BLOCKS), row


@pytest.mark.parametrize("block", shells())
def test_lines_of_the_shell_name_what_there_is(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli.paths import ExistingPath

    for kind in (click.Path, ExistingPath):  # no file of an example is here
        monkeypatch.setattr(kind, "convert", lambda self, value, *_: Path(value))
    monkeypatch.setattr("agent.named_traces.trace_named", lambda path: path)
    if block.listed(SYNOPSES):
        for line in re.split(r"\n(?=graticule)", block.text.strip()):
            named(shlex.split(re.sub(r"[\[\]|]", " ", line))[1:])
        return
    for words in commands(block.text):
        check(words)


def check(words: list[str]) -> None:
    """Check one command."""
    words = words[: words.index(">")] if ">" in words else words
    program, *rest = words
    if program == "graticule":
        parsed(rest)
    elif program == "export":
        assert all(setting(one.partition("=")[0]) for one in rest), words
    elif program == "make":
        assert f"\n{rest[0]}:" in (ROOT / "Makefile").read_text()
    elif program == "torchrun":
        parsed(rest[rest.index("cli.main") + 1 :])
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        (extra,) = re.findall(r"graticule\[(\w+)\]", " ".join(rest))
        assert extra in extras["optional-dependencies"]
    elif program == "docker":
        composed(rest)
    else:
        assert program in OTHERS, f"{program} is a program that no test knows"


def composed(words: list[str]) -> None:
    """Check profiles and services of `docker compose`, and what is run in ours."""
    assert words.pop(0) == "compose"
    services: dict[str, Any] = COMPOSE["services"]
    while words[0] == "--profile":
        assert any(words[1] in one.get("profiles", ()) for one in services.values()), words[1]
        del words[:2]
    verb, *rest = words
    if verb not in ("run", "exec"):
        assert verb in ("up", "build")
        return
    entry = "--entrypoint" in rest
    plain = [one for one in rest if one not in ("--rm", "--entrypoint")]
    service = next(one for one in plain if one in services)
    after = plain[plain.index(service) + 1 :]
    if verb == "run" and not entry and services[service]["image"].startswith("graticule:"):
        parsed(after)


def named(words: list[str]) -> click.Command:
    """Return the command that words begin with; every option among them is one of it."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, words
        command = found
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    given = {one.partition("=")[0] for one in words if one.startswith("--")}
    assert given <= known | {"--help"}, given - known
    return command


def parsed(words: list[str]) -> None:
    """Parse a line of `graticule` as the program does."""
    words = [re.sub(r"^\$\w+$", "5ef3bdd3", one) for one in words]
    command = named(rest := list(words))
    command.make_context("graticule", rest)


def fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield the variables that a model of settings is read from."""
    for name, field in model.model_fields.items():
        yield prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name.upper()}__")


SETTINGS = set(fields(Settings, "GRATICULE_"))


def setting(name: str) -> bool:
    return name in SETTINGS or name in NO_SETTINGS


@pytest.mark.parametrize("page", TEXTS)
def test_settings_that_pages_name_exist(page: str) -> None:
    found = set(re.findall(r"GRATICULE_[A-Z_]*[A-Z]", TEXTS[page]))
    assert all(map(setting, found)), [one for one in found if not setting(one)]


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_files_that_pages_name_are_there(page: str) -> None:
    folder = next(path.parent for path in PAGES if path.name == page)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", TEXTS[page]):
        assert target.startswith(("https://", "http://")) or (folder / target).exists(), target
    for target in re.findall(r"`((?:tests|docs|agent|server|cli|prompts)/[\w./-]+)`", TEXTS[page]):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", TEXTS)
def test_commands_and_options_in_the_text_exist(page: str) -> None:
    everywhere = set(options(cli))
    prose = re.sub(r"^```.*?^```", "", TEXTS[page], flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`\n]+)`", prose):
        if span.startswith("graticule "):
            named(re.sub(r"[\[\]|]", " ", span.replace("...", "")).split()[1:])
        elif span.startswith("--"):
            option = re.split(r"[ =]", span)[0]
            assert option in everywhere or page in FLAGS_OF_OTHERS, f"no command has {option}"


def options(command: click.Command) -> Iterator[str]:
    for one in command.params:
        yield from (*one.opts, *one.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from options(found)


@pytest.mark.parametrize("block", of("json"))
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_yaml(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", of("python"))
def test_python_compiles_and_what_it_imports_is_there(block: Block) -> None:
    tree = ast.parse(block.text)
    if block.listed(NOT_RUN):
        nodes: list[ast.stmt] = [
            one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom)
        ]
        exec(compile(ast.Module(nodes, []), block.name, "exec"), {})


@pytest.mark.parametrize("block", of("ini"))
def test_a_unit_starts_what_there_is(block: Block) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    path, *words = shlex.split(unit["Service"]["ExecStart"])
    assert path.endswith("/graticule")
    parsed(words)
    assert int(unit["Service"]["TimeoutStopSec"]) > 20 + 30, "runs and answers need their time"


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The routes of the application: pattern -> methods."""
    from agent.sessions import Sessions

    with Sessions(Settings(home=tmp_path_factory.mktemp("home"))) as sessions:
        paths = make_app(sessions).openapi()["paths"]
    return {path: {method.upper() for method in item} for path, item in paths.items()}


def methods_of(path: str, routes: dict[str, set[str]]) -> set[str]:
    """Return the methods of a path as pages write it, such as `/v1/photos/{id}?side=400`."""
    plain = re.sub(r"\?.*|\$\w+|\{\w+\}", lambda one: "" if one[0][0] == "?" else "x", path)
    found = set()
    for pattern, methods in routes.items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", pattern), plain):
            found |= methods
    return found


def test_routes_that_pages_name_exist(routes: dict[str, set[str]]) -> None:
    for page, text in TEXTS.items():
        for span in re.findall(r"`((?:(?:GET|POST|PATCH|DELETE)`?,? `?)*/v1/[^`]*)`", text):
            path = "/" + span.partition("/")[2]
            if path == "/v1/traces":  # of collectors
                continue
            there = methods_of(path, routes)
            assert there, f"{page}: {path}"
            asked = set(re.findall(r"GET|POST|PATCH|DELETE", span))
            assert asked <= there, f"{page}: {span}"
        for line in re.findall(rf"{HERE}(/[^\s\"'`]*)", text):
            if line not in ("/mcp", "/v1"):  # addresses that clients add to
                assert methods_of(line, routes), f"{page}: {line}"


def test_codes_of_problems_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| [\d, ]+ \| (.*?) \|", TEXTS["http.md"], re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    sources = "".join(path.read_text() for path in (ROOT / "server").glob("*.py"))
    assert told <= set(re.findall(r'"(\w+)"', sources))
    raised = set(re.findall(r'ProblemError\(\s*\d+,\s*"(\w+)"', sources))
    assert raised - told <= AGENT_PROTOCOL


AGENT_PROTOCOL = {"unknown_run", "thread_exists", "wrong_type"}
"""Codes that only LangGraph's routes have."""


def test_limits_are_those_of_the_settings() -> None:
    text, server = TEXTS["http.md"], ServerSettings()
    assert f"{server.body_bytes:,} bytes, {server.receive_s:g} s to arrive" in text
    assert f"| all bodies at once | {server.memory_bytes:,} bytes" in text
    assert f"{server.rate_per_minute} a minute" in text
    assert f"{server.fetch_bytes:,} bytes, {server.fetch_s:g} s, 3 redirects" in text
    proxy = TEXTS["deploy.md"]
    assert f"client_max_body_size  {server.body_bytes // 1_000_000}m;" in proxy
    assert f"client_body_timeout   {server.receive_s:g}s;" in proxy
    assert f"the latest {MOST_LISTED} sessions" in TEXTS["mcp.md"]


def test_services_of_profiles_are_those_of_the_compose_file() -> None:
    rows = re.findall(r"^\| `(cpu|gpu|cluster|cli)` \| (.*) \|$", TEXTS["deploy.md"], re.MULTILINE)
    assert len(rows) == 4
    for profile, told in rows:
        there = {name for name, one in COMPOSE["services"].items()
                 if profile in one.get("profiles", ())}  # fmt: skip
        shown = set(re.findall(r"`([a-z-]+)`", told))
        assert shown == there or (profile == "cluster" and "three" in told and len(there) == 3)
    volumes = re.findall(r"^\| (`[a-z`, ]+`) \| .* \| .* \|$", TEXTS["deploy.md"], re.MULTILINE)
    shown = {name for row in volumes for name in re.findall(r"`(\w+)`", row)}
    assert {"home", "postgres", "qdrant", "encoders", "weights", "compiled"} <= shown


@pytest.mark.parametrize(
    "line",
    [
        "graticule locate photo.jpg --no-such-option", "graticule nosuch", "make nosuch",
        "graticule sessions assess 5ef3bdd3 perhaps", "export GRATICULE_NO_SUCH=1", "nosuch --help",
        "docker compose --profile nosuch up", "docker compose run --rm graticule nosuch",
        "pip install 'graticule[nosuch]'",
    ],
)  # fmt: skip
def test_what_there_is_not_is_found(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises((AssertionError, click.UsageError)):
        check(words)
