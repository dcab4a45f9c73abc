"""Every command that starts vLLM, as documented, is one that this vLLM takes."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = "VLLM_TEST_PYTHON"
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
for command in json.loads(sys.argv[1]):
    parsed = parser.parse_args(command)
    validate_parsed_serve_args(parsed)
    print("took", parsed.tool_call_parser, json.dumps(parsed.limit_mm_per_prompt))
"""


def documented() -> list[list[str]]:
    """Return the arguments of every `vllm serve` of the documentation."""
    page = (ROOT / "docs" / "models.md").read_text()
    commands = re.findall(r"^vllm serve (.*?)(?<!\\)$", page, re.M | re.S)
    return [shlex.split(command.replace("\\\n", " ")) for command in commands]


def composed() -> list[str]:
    """Return those of the container, with the model that it takes by default."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    name, *flags = services["vllm"]["command"]
    return [re.sub(r"\$\{\w+:-(.*)\}", r"\1", name), *flags]


def test_documented_commands_are_found() -> None:
    commands = [*documented(), composed()]
    assert len(commands) == 4
    assert all("/" in command[0] for command in commands)
    assert all(any("limit-mm-per-prompt" in flag for flag in command) for command in commands)


def test_the_server_takes_every_documented_flag() -> None:
    if not (python := os.environ.get(VARIABLE, "")):
        pytest.skip(f"no vLLM: {VARIABLE} is not set; `make test-vllm` sets it")
    commands = [*documented(), composed()]
    done = subprocess.run(
        [python, "-c", PARSE, json.dumps(commands)],
        capture_output=True, text=True, cwd=ROOT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    took = re.findall(r"^took hermes (.*)$", done.stdout, re.M)
    assert took == ['{"image": 8, "video": 0}'] * len(commands)
