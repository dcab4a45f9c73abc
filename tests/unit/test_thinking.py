"""Thoughts are apart from what is said, the same for the reply, its calls and the trace."""

import pytest
from langchain_core.messages import AIMessage

from agent.client_reply import make_reply
from agent.client_stream import Received
from agent.repair import read_calls
from agent.thinking import split_thinking


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("Lyon", "Lyon", ""), ("<think>hm</think>Lyon", "Lyon", "hm"),
        ("hm</think> Lyon", "Lyon", "hm"), ("<think>hm", "", "hm"), ("a <think> b", "a", "b"),
        ("<think>a</think>b<think>c</think>d", "bd", "a\nc"), ("<think></think>Lyon", "Lyon", ""),
        ("<THINK>a<think>b</THINK>c", "c", "a<think>\nb"), ("  spaced  ", "  spaced  ", ""),
        ("<reasoning>r</reasoning> x <thought>t</thought>", "x", "r\nt"),
        ("<think>hm <tool_call>{}</tool_call>", "<tool_call>{}</tool_call>", "hm"),
    ],
)  # fmt: skip
def test_thinking_is_split_off_wherever_its_tags_are(text: str, said: str, thought: str) -> None:
    assert split_thinking(text) == (said, thought)


@pytest.mark.parametrize("tag", ["think", "Thinking", "thought", "REASONING"])
def test_a_reply_and_its_calls_are_read_by_one_rule(tag: str) -> None:
    message = AIMessage(f"<{tag}>Sydney? No.</{tag}>Lyon")
    got = Received([message], seconds=1.0, first_token_s=None, cut=False)
    reply = make_reply(got, "m", 1)
    assert (reply.text, reply.thinking) == ("Lyon", "Sydney? No.")
    assert read_calls(message, []).text == reply.text
