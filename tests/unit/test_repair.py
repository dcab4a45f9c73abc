"""Replies as models send them: read, answered or rejected, and none raises."""

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from agent.repair import MAXIMUM_CALLS, read_calls
from tests.unit.call_samples import PHOTO, TOOLS, ZOOM, broken, called, kinds, written

FIND = {"name": "Paris", "countries": ["FR"]}
HERMES = json.dumps({"name": "find_place", "arguments": FIND})
LLAMA = json.dumps({"name": "find_place", "parameters": FIND})
STRUCTURED = json.dumps(
    {"thought": "A sign.", "calls": [{"tool": "find_place", "arguments": FIND}]}
)
OPENAI = json.dumps(
    {
        "tool_calls": [
            {
                "id": "call_7",
                "type": "function",
                "function": {"name": "find_place", "arguments": json.dumps(FIND)},
            }
        ]
    }
)
XML = (
    "<function=find_place>\n<parameter=name>\nParis\n</parameter>\n"
    '<parameter=countries>\n["FR"]\n</parameter>\n</function>'
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"<tool_call>\n{HERMES}\n</tool_call>", "text-call repaired"),
        (f"<tool_call>\n{HERMES}", "text-call repaired"),
        (f"<tool_call>{HERMES}}}</tool_call>", "text-call repaired"),
        (f"<tool_call>```json\n{HERMES}\n```</tool_call>", "text-call repaired"),
        (f"<tool_call>{HERMES[:-1]}</tool_call>", "broken-json repaired"),
        (f"<tool_call>\n{XML}\n</tool_call>", "text-call repaired"),
        (XML, "text-call repaired"),
        (f"<function=find_place>{json.dumps(FIND)}</function>", "text-call repaired"),
        (f"[TOOL_CALLS] [{HERMES}]", "text-call repaired"),
        (f"[TOOL_CALLS]find_place[ARGS]{json.dumps(FIND)}", "text-call repaired"),
        (f"<|python_tag|>{LLAMA}<|eom_id|>", "text-call repaired"),
        (f"<|action_start|><|plugin|>\n{LLAMA}<|action_end|>", "text-call repaired"),
        (LLAMA, "text-call repaired"),
        (OPENAI, "text-call repaired"),
        (f"```json\n{HERMES}\n```", "fenced-json repaired"),
        (f"```\n[{HERMES}]\n```", "fenced-json repaired"),
        (HERMES.replace('"', "'"), "broken-json repaired"),
        (json.dumps({"tool": "find_place", **FIND}), "text-call repaired"),
        (json.dumps({"find_place": FIND}), "text-call repaired"),
        (HERMES.replace("find_place", "Find-Place"), "tool-name repaired"),
        (f"I look.\n<|im_start|>{HERMES}<|im_end|>", "text-call repaired"),
        (f"<think>Hm.{HERMES}</think>{HERMES}", "text-call repaired"),
        (f"<think>Hm.\n<tool_call>{HERMES}</tool_call>", "text-call repaired"),
    ],
)
def test_calls_in_the_text_are_read(text: str, problem: str) -> None:
    read = written(text)
    assert [(call["name"], call["args"]) for call in read.calls] == [("find_place", FIND)]
    assert any(kind.startswith(problem) for kind in kinds(read))
    assert not any(problem.action == "answered" for problem in read.problems)
    assert read.text in ("", "I look.")
    assert read.calls[0]["id"]


def test_the_structured_form_is_no_fault() -> None:
    read = written(STRUCTURED)
    assert [call["args"] for call in read.calls] == [FIND]
    assert (read.text, read.problems) == ("A sign.", ())
    assert written('{"thought": "Done.", "calls": []}').text == "Done."


def test_several_calls_keep_their_order_and_have_ids_of_their_own() -> None:
    other = HERMES.replace("Paris", "Rome")
    read = written(f"<tool_call>{HERMES}</tool_call> and\n<tool_call>{other}</tool_call>")
    assert [call["args"]["name"] for call in read.calls] == ["Paris", "Rome"]
    assert len({call["id"] for call in read.calls}) == 2
    assert read == written(f"<tool_call>{HERMES}</tool_call> and\n<tool_call>{other}</tool_call>")


@pytest.mark.parametrize(
    "text",
    [
        'The place is {"name": "Paris", "arguments": {"size": 1}}, I think.',
        "I could zoom(left=0.1) here.",
        '{"latitude": 48.85, "longitude": 2.29}',
        "A sign says <tool>.",
    ],
)
def test_prose_stays_prose(text: str) -> None:
    read = written(text)
    assert (read.calls, read.problems, read.text) == ((), (), text)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "google", "arguments": {}}</tool_call>',
        '{"thought": "", "calls": [{"tool": "google", "arguments": {}}]}',
        "<function=google><parameter=q>x</parameter></function>",
    ],
)
def test_unknown_tools_in_the_text_are_answered_with_those_there_are(text: str) -> None:
    read = written(text)
    assert read.calls == ()
    assert kinds(read) == ["unknown-tool answered"]
    assert "find_place" in read.problems[0].detail


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{HERMES[:40]}",
        f"<tool_call>{HERMES[:40]}</tool_call>",
        f"[TOOL_CALLS] [{HERMES[:40]}",
        "<function=find_place><parameter=name>Par",
        STRUCTURED[:-20],
        f"```json\n{HERMES[:40]}",
    ],
)
def test_a_call_without_an_end_is_answered_never_completed(text: str) -> None:
    read = written(text, finish="length")
    assert read.calls == ()
    assert kinds(read) == ["truncated answered"]
    assert "find_place" in read.problems[0].detail
    assert "{" not in read.text


def test_whole_calls_before_a_cut_one_are_taken() -> None:
    both = {
        "calls": [{"tool": "find_place", "arguments": FIND}, {"tool": "zoom", "arguments": ZOOM}]
    }
    read = written(json.dumps(both)[:-30], finish="length")
    assert [call["name"] for call in read.calls] == ["find_place"]
    assert "truncated answered" in kinds(read)
    assert read.text == ""


def test_langchain_completes_what_was_cut_and_is_not_believed() -> None:
    cut = '{"evidence_ids": [], "reason": "", "latitude": 48.8'
    message = AIMessageChunk(
        content="", tool_call_chunks=[tool_call_chunk(name="commit_location", args=cut, id="a")]
    )
    assert message.tool_calls[0]["args"]["latitude"] == 48.8  # why the text must be read
    read = read_calls(message, TOOLS, finish="length")
    assert (read.calls, kinds(read)) == ((), ["truncated answered"])


def test_a_call_without_arguments_at_the_limit_was_cut() -> None:
    call = {"name": "find_place", "args": {}, "id": "a", "type": "tool_call"}
    read = read_calls(AIMessage(content="", tool_calls=[call]), TOOLS, finish="length")
    assert (read.calls, kinds(read)) == ((), ["truncated answered"])


@pytest.mark.parametrize(
    "text",
    [
        "{'name': 'Paris', 'countries': ['FR'],}",
        "```json\n" + json.dumps(FIND) + "\n```",
        json.dumps(json.dumps(FIND)),
        json.dumps(FIND) + "}",
        '{"name": "Paris", "countries": ["FR"], "limit": None}',
    ],
)
def test_broken_arguments_with_one_reading_are_repaired(text: str) -> None:
    read = broken(text)
    assert [call["args"] for call in read.calls] == [FIND]
    assert read.calls[0]["id"] == "c1"
    assert not any(problem.action == "answered" for problem in read.problems)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"name": "Par', "truncated"),
        ('{"name": "Paris", "limit": 1', "truncated"),
        ('{"name": "a"}{"name": "b"}', "broken-json"),
        ('{"name": "a", "limit": 1,5}', "broken-json"),
        ("name=Paris", "broken-json"),
        ("[1, 2]", "wrong-type"),
    ],
)
def test_broken_arguments_with_several_readings_are_answered(text: str, kind: str) -> None:
    read = broken(text)
    assert f"{kind} answered" in kinds(read)
    assert [call["args"] for call in read.calls] in ([], [{}])


def test_null_for_arguments_is_none_at_all_and_told() -> None:
    read = broken("null", "zoom")
    (first, *_) = read.problems
    assert (first.kind, first.action) == ("wrong-type", "repaired")
    assert first.detail == "zoom: 'null' read as no arguments"
    assert not [problem for problem in broken("{}", "zoom").problems if problem == first]


def test_an_unknown_tool_that_was_really_called_stays_for_its_answer() -> None:
    read = called("google", {"q": "x"})
    assert [call["name"] for call in read.calls] == ["google"]
    assert kinds(read) == ["unknown-tool answered"]


@pytest.mark.parametrize("name", ["Find-Place", "find place", "functions.find_place", "findPlace"])
def test_a_misspelt_name_means_the_only_tool_it_can(name: str) -> None:
    read = called(name, dict(FIND))
    assert [call["name"] for call in read.calls] == ["find_place"]
    assert kinds(read) == ["tool-name repaired"]


@pytest.mark.parametrize("identity", [None, "", "x" * 65, "a b", "\ud800"])
def test_ids_that_no_server_takes_are_replaced(identity: str | None) -> None:
    read = called("find_place", dict(FIND), identity)
    assert kinds(read) == ["call-id repaired"]
    assert read.calls[0]["id"]
    assert read.calls == called("find_place", dict(FIND), identity).calls


def test_ids_of_earlier_calls_are_not_used_again() -> None:
    call = {"name": "find_place", "args": FIND, "id": "call_0", "type": "tool_call"}
    message = AIMessage(content="", tool_calls=[call])
    taken = [str(read_calls(message, TOOLS).calls[0]["id"])]
    assert taken == ["call_0"]
    for _ in range(3):
        taken.append(str(read_calls(message, TOOLS, taken=taken).calls[0]["id"]))
    assert len(set(taken)) == 4


def test_the_same_call_twice_is_one_and_too_many_are_some() -> None:
    read = written(f"<tool_call>{HERMES}</tool_call>" * 3)
    assert len(read.calls) == 1
    assert kinds(read).count("repeated-call rejected") == 2
    many = [{"name": "find_place", "arguments": {"name": str(n)}} for n in range(100)]
    read = written(json.dumps(many))
    assert len(read.calls) == MAXIMUM_CALLS
    assert "too-many-calls rejected" in kinds(read)


@pytest.mark.parametrize(
    ("message", "finish", "problem", "text"),
    [
        (AIMessage(""), "stop", ["empty answered"], ""),
        (AIMessage(" \n"), "length", ["empty answered"], ""),
        (AIMessage("<think>Hm</think>"), "stop", ["empty answered"], ""),
        (AIMessage("<think>Hm, "), "length", ["endless-thinking answered"], ""),
        (AIMessage("<think>Hm, "), "time", ["endless-thinking answered"], ""),
        (
            AIMessage("", additional_kwargs={"reasoning_content": "Hm"}),
            "length",
            ["endless-thinking answered"],
            "",
        ),
        (
            AIMessage([{"type": "thinking", "thinking": "Hm"}]),
            "length",
            ["endless-thinking answered"],
            "",
        ),
        (AIMessage("I see a"), "length", ["truncated answered"], "I see a"),
        (AIMessage("I see a sign."), "stop", [], "I see a sign."),
        (AIMessage("Hm.</think>A sign."), "stop", [], "A sign."),
        (AIMessage("Sorry, I can't."), "stop", ["refusal answered"], "Sorry, I can't."),
        (AIMessage("x"), "content_filter", ["refusal answered"], "x"),
        (AIMessage("", additional_kwargs={"refusal": "No."}), "stop", ["refusal answered"], ""),
        (AIMessage([{"type": "refusal", "refusal": "No."}]), "stop", ["refusal answered"], ""),
    ],
)
def test_replies_without_calls(
    message: AIMessage, finish: str, problem: list[str], text: str
) -> None:
    read = read_calls(message, TOOLS, finish=finish)
    assert (read.calls, kinds(read), read.text) == ((), problem, text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with identifying locations.",
        "I cannot help with that.",
        "Unfortunately, I cannot determine where this is.",
        "I am unable to identify the place.",
        "抱歉，我无法回答。",
    ],
)
def test_refusals_are_known_by_how_they_begin(text: str) -> None:
    assert kinds(written(text)) == ["refusal answered"]


def test_regrets_before_an_answer_are_no_refusal() -> None:
    assert kinds(written("I cannot determine the spot, but I see this: " + "a sign; " * 100)) == []


def test_calls_in_fields_that_langchain_does_not_read() -> None:
    old = AIMessage(
        "",
        additional_kwargs={"function_call": {"name": "find_place", "arguments": json.dumps(FIND)}},
    )
    assert [call["args"] for call in read_calls(old, TOOLS).calls] == [FIND]


PIECES = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<function=zoom>", "<parameter=left>", "</parameter>", "NaN",
     "</function>", "[TOOL_CALLS]", "<|python_tag|>", '{"name": "zoom", "arguments": {', "]", "}",
     '{"thought": "x", "calls": [', "{", "[", "```json\n", '"', "\\", "'", "<think>", "</think>",
     "zoom", "[ARGS]", '"left": 0.1', ",", "\ud800", "\0", '"photo_id": "photo"', "1e999", HERMES]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["photo_id", "left", "latitude", "longitude", "candidates", "name", "countries", "limit",
     "evidence_ids", "undetermined", "box", "unit"]
)  # fmt: skip
NAMES = st.sampled_from([tool.name for tool in TOOLS]) | st.text(max_size=5)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=20).map("".join)
CONTENT = TEXTS | st.lists(
    st.text() | st.dictionaries(st.sampled_from(["type", "text", "reasoning"]), ANYTHING),
    max_size=3,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "args": st.dictionaries(FIELDS | st.text(max_size=4), ANYTHING, max_size=5),
            "id": st.none() | st.text(max_size=4),
        }
    ),
    max_size=3,
)
BROKEN = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | NAMES,
            "args": st.none() | TEXTS,
            "id": st.none() | st.text(max_size=4),
            "error": st.none(),
        }
    ),
    max_size=2,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CONTENT, CALLS, BROKEN, st.sampled_from(["", "stop", "length", "time"]))
def test_nothing_raises_and_what_is_read_can_be_written_and_read_again(
    content: Any, calls: Any, invalid: Any, finish: str
) -> None:
    message = AIMessage(content=content, tool_calls=calls, invalid_tool_calls=invalid)
    read = read_calls(message, TOOLS, finish=finish, photo_id=PHOTO)
    json.dumps([call["args"] for call in read.calls], allow_nan=False, ensure_ascii=False).encode()
    read.text.encode()
    identities = [call["id"] for call in read.calls]
    assert len(set(identities)) == len(identities)
    assert all(identities)
    assert len(read.calls) <= MAXIMUM_CALLS
    again = read_calls(AIMessage("", tool_calls=list(read.calls)), TOOLS, photo_id=PHOTO)
    assert [(c["args"], c["id"]) for c in again.calls] == [(c["args"], c["id"]) for c in read.calls]
    assert not any(problem.action == "repaired" for problem in again.problems)


@pytest.mark.parametrize(
    "unit",
    ['{"', "[{", "<tool_call>", "<function=zoom>", "<function=zoom><parameter=a>", "<think>",
     "{'a' ", "[TOOL_CALLS][", "</think>", '{"name": "zoom", '],
)  # fmt: skip
def test_hostile_repetitions_take_no_time(unit: str) -> None:
    began = time.process_time()
    written(unit * (200_000 // len(unit)))
    assert time.process_time() - began < 10
