"""The model as judge: what it is shown, and what may come back."""

import base64
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from PIL import Image
from pydantic import JsonValue

import prompts
from agent.asking import Capabilities, ModelUnavailableError, Question, Reply, Tell
from agent.judge import SCHEMA, ModelJudge, read_verdict
from agent.model_settings import ModelSettings
from agent.trace import EventKind
from geo.errors import UnavailableError
from tools.judge import Judge, Verdict


class ScriptedClient:
    """Answers every question with one text."""

    def __init__(self, text: str = "", *, images: bool | None = None, fails: bool = False) -> None:
        self.text, self.images, self.fails = text, images, fails
        self.asked: list[Question] = []

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(model=self.name, images=self.images)

    def ask(self, question: Question, tell: Tell) -> Reply:
        self.asked.append(question)
        if self.fails:
            raise ModelUnavailableError("no reply after 3 attempts")
        return reply(self.text)


def reply(text: str, **more: Any) -> Reply:
    return Reply(AIMessage(text), text, tokens_in=900, tokens_out=40, **more)


OURS, THEIRS = Image.new("RGB", (2000, 1000), "red"), Image.new("RGBA", (30, 60), "blue")
GOOD = '{"verdict": "same", "reason": "five windows in both gables"}'


def judged(
    client: ScriptedClient, **settings: Any
) -> tuple[Verdict, list[tuple[EventKind, dict[str, JsonValue]]]]:
    events: list[tuple[EventKind, dict[str, JsonValue]]] = []
    judge: Judge = ModelJudge(
        client, ModelSettings(**settings), lambda kind, data: events.append((kind, data))
    )
    return judge.same_place(OURS, THEIRS, "not verified (3 inliers)", ("a" * 64, "b" * 64)), events


def test_one_user_message_shows_both_photos_at_half_size_and_the_check() -> None:
    client = ScriptedClient(GOOD)
    verdict, events = judged(client, image_side_px=512, seed=7)
    assert verdict == Verdict(verdict="same", reason="five windows in both gables", tokens=940)
    assert events == []
    (question,) = client.asked
    (message,) = question.messages
    assert message.type == "human"
    blocks = [block for block in message.content if isinstance(block, dict)]
    assert "not verified (3 inliers)" in blocks[0]["text"]
    sizes = [_opened(block).size for block in blocks if block["type"] == "image_url"]
    assert sizes == [(256, 128), (30, 60)]  # nothing is enlarged
    assert question.purpose == "same-place"
    assert question.schema == SCHEMA
    assert question.images == ("a" * 64, "b" * 64)
    assert question.prompts == {"same-place": prompts.load("same-place").sha256}
    assert (question.temperature, question.seed) == (0.0, 7)


def _opened(block: dict[str, Any]) -> Image.Image:
    head, _, coded = block["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(coded)))


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        (f"```json\n{GOOD}\n```", "same", "five windows in both gables"),
        (f"Let me compare. {GOOD} I hope this helps.", "same", "five windows in both gables"),
        ("{'verdict': 'different', 'reason': 'other roof'}", "different", "other roof"),
        ("**Verdict:** Different\n**Reason:** other roof", "different", "other roof"),
        ('{"verdict": "cannot tell", "reason": "fog', "cannot-tell", "fog"),
        ("verdict: can't tell", "cannot-tell", ""),
        ("Same.", "same", ""),
        ('{"verdict":"same"} Wait. {"verdict":"different"}', "different", ""),
    ],
)
def test_a_verdict_is_read_through_fences_prose_and_broken_json(
    text: str, verdict: str, reason: str
) -> None:
    read, problem = read_verdict(reply(text))
    assert (read.verdict, read.reason) == (verdict, reason)
    assert problem is not None
    assert problem.action == "repaired"


@pytest.mark.parametrize(
    ("text", "more", "kind"),
    [
        ("They are not the same place, I think.", {}, "unreadable"),
        ('{"verdict": "<same, different or cannot-tell>"}', {}, "unreadable"),
        ('{"verdict": "maybe"}', {}, "unreadable"),
        ('{"verdict": true}', {}, "unreadable"),
        ("I'm sorry, but I can't assist with that.", {}, "unreadable"),
        ("[" * 100_000, {}, "unreadable"),
        ("", {}, "empty"),
        ("", {"thinking": "hm " * 2000, "finish": "length"}, "endless-thinking"),
    ],
)
def test_what_is_no_verdict_is_cannot_tell_and_announced(
    text: str, more: dict[str, str], kind: str
) -> None:
    read, problem = read_verdict(reply(text, **more))
    assert read.verdict == "cannot-tell"
    assert read.tokens == 940
    assert problem is not None
    assert (problem.kind, problem.action) == (kind, "rejected")


def test_a_malformed_reply_goes_into_the_trace() -> None:
    verdict, events = judged(ScriptedClient("no idea"))
    assert verdict.verdict == "cannot-tell"
    ((kind, data),) = events
    assert kind == "malformed"
    assert data == {
        "purpose": "same-place", "kind": "unreadable", "detail": "no idea", "action": "rejected",
    }  # fmt: skip


def test_hostile_reasons_are_one_short_printable_line() -> None:
    loud = '{"verdict": "same", "reason": "a\\u001b[31m\\u202e\\n' + "x" * 5000 + '"}'
    read, problem = read_verdict(reply(loud))
    assert problem is None
    assert read.reason.isprintable()
    assert len(read.reason) <= 300


def test_a_model_that_cannot_be_shown_two_images_is_not_asked() -> None:
    client = ScriptedClient(GOOD)
    with pytest.raises(UnavailableError, match="takes 2"):
        judged(client, images=1)
    blind = ScriptedClient(GOOD, images=False)
    with pytest.raises(UnavailableError, match="takes no images"):
        judged(blind)
    assert client.asked == blind.asked == []


def test_a_server_that_is_gone_is_an_outage() -> None:
    with pytest.raises(UnavailableError, match="no reply"):
        judged(ScriptedClient(fails=True))


@given(st.text())
def test_any_text_reads_as_some_verdict(text: str) -> None:
    read, problem = read_verdict(reply(text))
    assert read.verdict in ("same", "different", "cannot-tell")
    assert problem is None or problem.action in ("repaired", "rejected")
