"""The chat template for models whose own shows them no tools, rendered as a server renders it."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

PATH = Path(__file__).parents[2] / "docs" / "chatml-tools.jinja"
ZOOM = {"type": "function", "function": {"name": "zoom", "parameters": {"type": "object"}}}
CALLS: list[dict[str, Any]] = [
    {"function": {"name": "zoom", "arguments": {"left": 0.5}}},
    {"function": {"name": "zoom", "arguments": '{"left": 0.25}'}},
]
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "<image>\nWhere?"},
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "content": "a sign"},
    {"role": "tool", "content": "a hill"},
    {"role": "user", "content": "Go on."},
]


# Servers differ in how they treat the white space around statements.
@pytest.fixture(params=[True, False])
def render(request: pytest.FixtureRequest) -> Any:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=request.param, lstrip_blocks=request.param
    )
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(PATH.read_text()).render


def test_tools_calls_and_results_are_shown(render: Any) -> None:
    shown = render(messages=CONVERSATION, tools=[ZOOM], add_generation_prompt=True)
    head, rest = shown.split("<|im_end|>\n", 1)
    assert head.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n")
    assert f"<tools>\n{json.dumps(ZOOM)}\n</tools>\n" in head
    assert rest == (
        "<|im_start|>user\n<image>\nWhere?<|im_end|>\n"
        "<|im_start|>assistant\n"
        '\n<tool_call>\n{"name": "zoom", "arguments": {"left": 0.5}}\n</tool_call>'
        '\n<tool_call>\n{"name": "zoom", "arguments": {"left": 0.25}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user"
        "\n<tool_response>\na sign\n</tool_response>"
        "\n<tool_response>\na hill\n</tool_response><|im_end|>\n"
        "<|im_start|>user\nGo on.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_tools_are_shown_where_nobody_wrote_a_system_message(render: Any) -> None:
    shown = render(messages=CONVERSATION[1:2], tools=[ZOOM], add_generation_prompt=False)
    assert shown.startswith("<|im_start|>system\nYou are a helpful assistant.\n\n# Tools")
    assert shown.endswith("<|im_start|>user\n<image>\nWhere?<|im_end|>\n")


def test_without_tools_it_is_plain_chatml(render: Any) -> None:
    shown = render(messages=CONVERSATION[1:2], tools=None, add_generation_prompt=True)
    assert shown == "<|im_start|>user\n<image>\nWhere?<|im_end|>\n<|im_start|>assistant\n"
