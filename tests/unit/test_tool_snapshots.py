"""Every tool as a model sees it: name, description, schema of its arguments, word for word.

Update: `pytest tests/unit/test_tool_snapshots.py --snapshot-update`, then read the difference.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from agent.grounding import numbers_in
from agent.settings import Settings
from agent.toolbox import make_tools
from encoders.base import AlignedEncoder
from index_builder.gallery import Gallery
from tools.photos import PhotoStore
from tools.workbench import Workbench

DESCRIPTION_WORDS = 110
ARGUMENT_WORDS = 45
BOUNDED = ("maxLength", "enum", "pattern", "const")


def fitted(tools: tuple[BaseTool, ...]) -> dict[str, dict[str, Any]]:
    """Return what is sent of each tool, by name."""
    functions = [convert_to_openai_tool(tool)["function"] for tool in tools]
    return {function["name"]: function for function in functions}


@pytest.fixture
def sent(tmp_path: Path, settings: Settings) -> dict[str, dict[str, Any]]:
    """The tools of a run that has everything: galleries of each kind, an encoder."""
    galleries = [
        SimpleNamespace(name=kind, manifest=SimpleNamespace(kind=kind))
        for kind in ("photos", "cells")
    ]
    bench = Workbench(
        photos=PhotoStore(tmp_path),
        galleries=tuple(cast(Gallery, gallery) for gallery in galleries),
        open_encoder=lambda: cast(AlignedEncoder, None),
    )
    return fitted(make_tools(bench, settings))


def properties(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema inside a schema, with the path to it."""
    for key, inner in schema.items():
        if key in ("properties", "$defs"):
            for name, one in inner.items():
                yield f"{where}.{name}", one
                yield from properties(one, f"{where}.{name}")
        elif key in ("items", "additionalProperties") and isinstance(inner, dict):
            yield f"{where}[]", inner
            yield from properties(inner, f"{where}[]")
        elif key in ("anyOf", "oneOf", "allOf"):
            for one in inner:
                yield where, one
                yield from properties(one, where)


def test_every_tool_as_a_model_sees_it(
    sent: dict[str, dict[str, Any]], snapshot: SnapshotAssertion
) -> None:
    for name, function in sent.items():
        assert json.dumps(function, indent=1, ensure_ascii=False) == snapshot(name=name)


def test_tools_that_are_offered(
    sent: dict[str, dict[str, Any]], snapshot: SnapshotAssertion
) -> None:
    assert sorted(sent) == snapshot


def test_descriptions_are_short_and_every_argument_has_one(sent: dict[str, dict[str, Any]]) -> None:
    wrong = []
    for name, function in sent.items():
        if not 5 <= len(function["description"].split()) <= DESCRIPTION_WORDS:
            wrong.append(f"{name}: {len(function['description'].split())} words")
        for argument, schema in function["parameters"]["properties"].items():
            if not 1 <= len(schema.get("description", "").split()) <= ARGUMENT_WORDS:
                wrong.append(f"{name}.{argument}: {schema.get('description')!r}")
    assert not wrong


def test_no_description_holds_a_coordinate_or_a_zero_to_echo(
    sent: dict[str, dict[str, Any]],
) -> None:
    wrong = []
    for name, function in sent.items():
        inner = [one.get("description", "") for _, one in properties(function["parameters"])]
        for said in (function["description"], *inner):
            found = [number for number in numbers_in(said) if _coordinate(number)]
            wrong += [f"{name}: {number!r} in {said!r}" for number in found]
    assert not wrong


def _coordinate(number: str) -> bool:
    """Whether a model could take it for half a coordinate: two decimals or more, or a bare 0.0."""
    decimals = number.replace(",", "").partition(".")[2]
    return len(decimals) >= 2 or (decimals != "" and float(number.replace(",", "")) == 0)


def test_strings_are_bounded_and_objects_closed(sent: dict[str, dict[str, Any]]) -> None:
    """A server's constrained decoding needs an end to every string.

    LangChain leaves out that the whole is closed, unless it is sent as strict.
    """
    wrong = []
    for name, function in sent.items():
        for where, one in properties(function["parameters"]):
            if one.get("type") == "string" and not any(key in one for key in BOUNDED):
                wrong.append(f"{name}{where}: a string without end")
            if one.get("type") == "array" and "maxItems" not in one:
                wrong.append(f"{name}{where}: a list without end")
            if one.get("type") == "object" and one.get("additionalProperties") is not False:
                wrong.append(f"{name}{where}: an open object")
    assert not wrong


def test_evidence_is_named_by_its_id_alone(sent: dict[str, dict[str, Any]]) -> None:
    ids = sent["commit_location"]["parameters"]["properties"]["evidence_ids"]["items"]
    assert ids["pattern"] == "^e[0-9a-f]{10}$"
