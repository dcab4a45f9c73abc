"""Prompt files load, render with exactly their variables, and have a stable identity."""

import re

import pytest

import prompts


@pytest.mark.parametrize("name", prompts.names())
def test_every_prompt_renders_with_its_own_variables(name: str) -> None:
    prompt = prompts.load(name)
    values = {variable: f"<{variable}>" for variable in prompt.variables}
    text = prompt.render(**values)
    assert all(value in text for value in values.values())
    assert "{{" not in text
    assert len(prompt.sha256) == 64


@pytest.mark.parametrize("name", prompts.names())
def test_no_template_holds_a_numeric_zero_that_a_model_could_echo(name: str) -> None:
    assert not re.search(r"\b0(\.0+)?\b", prompts.load(name).text)


def test_missing_and_unknown_variables_are_refused() -> None:
    with pytest.raises(ValueError, match="takes"):
        prompts.load("observe").render(photo_id="x", colour="red")


def test_values_are_data_not_template() -> None:
    prompt = prompts.load("observe")
    values = dict.fromkeys(prompt.variables, "{{ 7 * 7 }}")
    assert "49" not in prompt.render(**values)
