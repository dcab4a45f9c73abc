"""What the repository promises about itself: entry points, compose file, README, clean edges."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "geo", "prompts", "encoders", "index_builder", "tools", "agent", "server", "evaluation", "cli",
)  # fmt: skip
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


async def test_the_development_server_finds_a_graph_that_compiles() -> None:
    config = json.loads((ROOT / "langgraph.json").read_text())
    (target,) = config["graphs"].values()
    path, _, name = target.partition(":")
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    from agent.entry import graph

    compiled = await graph()
    assert {"observe", "decide", "act", "conclude"} <= set(compiled.get_graph().nodes)
    assert await graph() is compiled


def test_the_compose_file_holds_no_secret_and_no_floating_image() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["services"]
    for service in compose["services"].values():
        assert not service.get("image", "pinned:1").endswith(":latest")
        # What is handed on from the caller's environment, empty or demanded, is none of ours.
        handed = re.sub(r"\$\{\w+:(-|\?[^}]*)\}", "", json.dumps(service))
        written = re.sub(r'"\w+": ""', "", handed)
        assert not re.search(r"(?i)key|secret|password|token", written)


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *extras["dev"], *extras["encoders"], *extras["server"]]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    names = {re.split(r"[\[<>=;~ ]", name)[0].lower().replace("_", "-") for name in named}
    assert names <= pinned


def test_readme_names_commands_that_exist() -> None:
    from cli.main import COMMANDS

    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert f"\n{target}:" in makefile
    for command in re.findall(r"^graticule (\w+)", readme, re.MULTILINE):
        assert command in COMMANDS


def test_readme_code_compiles_and_its_picture_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        compile(block, "README.md", "exec")
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme):
        assert (ROOT / picture).is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_environment_is_read_only_where_settings_are_made(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() not in ("geo/paths.py", "agent/settings.py"):
        assert not re.search(r"os\.environ|getenv", path.read_text(encoding="utf-8"))
