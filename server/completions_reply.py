"""What a chat client gets: OpenAI's completions and chunks around an answer."""

import json
import time
from typing import Any, NamedTuple

from agent.answer import Answer
from agent.session_run import SessionRun
from agent.sessions import Sessions
from agent.trace import Event
from server.answers import answer_markdown, escaped, summary_of
from server.completions_request import ChatRequest
from server.completions_turns import mark

NO_PHOTO = (
    "Send me a photo and I will find out where it was taken: coordinates with a radius, why, and "
    "what else is possible. What you write beside it is taken for a hint. Answers are leads, not "
    "proof."
)


class Usage:
    """Tokens that the model behind the runs used; zeros where none was asked."""

    def __init__(self) -> None:
        self.tokens_in = self.tokens_out = 0

    def count(self, event: Event) -> None:
        """Count what one reply took."""
        if event.kind == "model_reply":
            self.tokens_in += _whole(event.data.get("tokens_in"))
            self.tokens_out += _whole(event.data.get("tokens_out"))

    @property
    def content(self) -> dict[str, int]:
        """OpenAI's shape."""
        return {
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": self.tokens_in + self.tokens_out,
        }


class Frame(NamedTuple):
    """What all parts of one reply share."""

    id: str
    created: int
    model: str

    def chunk(
        self, delta: dict[str, Any], finish: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Return a part of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **more}

    def usage(self, usage: Usage) -> dict[str, Any]:
        """Return the part of a stream that tells what it took."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage.content}

    def whole(
        self, text: str, reasoning: str, usage: Usage, ours: dict[str, Any]
    ) -> dict[str, Any]:
        """Return a reply that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if reasoning:
            message["reasoning_content"] = reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head("chat.completion"), "choices": [choice], "usage": usage.content,
            "graticule": ours,
        }  # fmt: skip

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model,
                "system_fingerprint": None}  # fmt: skip


def framed(asked: ChatRequest, name: str) -> Frame:
    """Return the frame of a reply.

    Args:
        asked: what it replies to.
        name: of the run, or anything unique.
    """
    return Frame(f"chatcmpl-{name}", int(time.time()), asked.model)


def reply_text(
    sessions: Sessions, run: SessionRun, asked: ChatRequest, links: dict[str, str]
) -> str:
    """Return what an ended run says to the person.

    Args:
        sessions: where it ran.
        run: which has ended without an error.
        asked: whether as JSON.
        links: addresses of ours by label.
    """
    if run.status == "waiting":
        return _question(run, asked)
    answer = run.answer
    if answer is None or run.status != "idle":
        return _stopped(run, asked)
    if asked.as_json:
        return _answer_json(run.session_id, answer, links)
    return f"{answer_markdown(answer, links)}\n\n{mark(run.session_id, answer.revision)}"


def ours_of(run: SessionRun, asked: ChatRequest, links: dict[str, str]) -> dict[str, Any]:
    """Return what OpenAI's shape has no place for."""
    return {
        "session_id": run.session_id,
        "status": run.status,
        "ignored": asked.ignored,
        "links": links,
    }


def _answer_json(session_id: str, answer: Answer, links: dict[str, str]) -> str:
    found = {"session_id": session_id, "revision": answer.revision}
    summary = summary_of(answer).model_dump(mode="json")
    return json.dumps({**found, **summary, "links": links}, ensure_ascii=False)


def _question(run: SessionRun, asked: ChatRequest) -> str:
    arguments = (run.question or {}).get("action_request", {}).get("args", {})
    question, options = str(arguments.get("question", "")), arguments.get("options") or []
    if asked.as_json:
        told = {"session_id": run.session_id, "revision": 0, "question": question}
        return json.dumps({**told, "options": options}, ensure_ascii=False)
    lines = [f"**The investigation asks:** {escaped(question)}"]
    if options:
        lines += ["", *(f"{n}. {escaped(str(one), 100)}" for n, one in enumerate(options, 1))]
    lines += ["", "Reply in your own words or with a number.", "", mark(run.session_id, 0)]
    return "\n".join(lines)


def _stopped(run: SessionRun, asked: ChatRequest) -> str:
    if asked.as_json:
        return json.dumps({"session_id": run.session_id, "revision": 0, "status": "stopped"})
    told = "Stopped before there was an answer. Write again to go on."
    return f"{told}\n\n{mark(run.session_id, 0)}"


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
