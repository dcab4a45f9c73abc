"""The runs behind one reply of a chat completion: followed, told as chunks, stopped for nobody."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple, TypeVar

import anyio.to_thread

from agent.session_records import SessionBusyError, SessionOptions, UnknownSessionError
from agent.session_run import SessionRun
from agent.sessions import Sessions
from geo.errors import GeolocationError, UnavailableError
from server.answers import escaped
from server.completions_reply import Frame, Usage, ours_of, reply_text
from server.completions_request import ChatRequest, OpenAIError, as_json
from server.completions_turns import Plan, started
from server.event_stream import Connected
from server.following import steps_of
from server.problems import ProblemError
from server.telling import tells_all, told_step

logger = logging.getLogger(__name__)
T = TypeVar("T")
Tell = Callable[[str], Awaitable[None]]
EVENTS = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
GONE = "the client went away"
REPORT = "/v1/sessions/{session_id}/export/html"


class Chat(NamedTuple):
    """One request on its way to its reply.

    Attributes:
        base: address of this server, for links.
    """

    sessions: Sessions
    asked: ChatRequest
    plan: Plan
    base: str

    @property
    def options(self) -> SessionOptions:
        """Of a new session."""
        return SessionOptions(
            recipe=self.asked.recipe,
            ask=tells_all(self.sessions),  # a model's question may name the place in any words
            trust_metadata=self.asked.trust_metadata,
        )

    @property
    def wants_usage(self) -> bool:
        """Whether the stream shall end with what it took."""
        return bool(self.asked.stream_options and self.asked.stream_options.include_usage)


class Talk:
    """The runs of a conversation, one as a rule, several where it is said again.

    Args:
        chat: the request.
        first: the first run, begun already.
    """

    def __init__(self, chat: Chat, first: SessionRun) -> None:
        self.chat, self.run, self.usage = chat, first, Usage()

    async def follow(self, tell: Tell) -> None:
        """Follow the runs to their end, telling each step as one line that shows as it is."""
        async with aclosing(self._runs()) as runs:
            async for run in runs:
                async with aclosing(steps_of(run, GONE)) as steps:
                    async for event in steps:
                        self.usage.count(event)
                        await tell(escaped(told_step(self.chat.sessions, event)))

    async def text(self) -> str:
        """Return what the last run says.

        Raises:
            OpenAIError: it failed.
        """
        if self.run.error is not None:
            raise in_openais_words(self.run.error)
        chat = self.chat
        return await off_loop(reply_text, chat.sessions, self.run, chat.asked, self.links)

    @property
    def links(self) -> dict[str, str]:
        """Addresses of what belongs to the answer."""
        if self.run.answer is None:
            return {}
        return {"Report": self.chat.base + REPORT.format(session_id=self.run.session_id)}

    @property
    def ours(self) -> dict[str, Any]:
        """What OpenAI's shape has no place for."""
        return ours_of(self.run, self.chat.asked, self.links)

    def stop(self) -> None:
        """Stop what runs for nobody."""
        if self.run.status == "busy":
            self.run.stop(GONE)

    async def _runs(self) -> AsyncGenerator[SessionRun, None]:
        yield self.run
        for said in self.chat.plan.turns[1:]:
            if self.run.error is not None or self.run.status == "stopped":
                return
            session, options = self.run.session_id, self.chat.options
            self.run = await off_loop(started, self.chat.sessions, session, 0, said, options)
            yield self.run


class Chunks(Connected):
    """A reply in chunks: steps as they happen, then the answer, the end, what it took.

    Args:
        talk: its runs.
        frame: what all chunks share.
    """

    pulse = b": \n\n"

    def __init__(self, talk: Talk, frame: Frame) -> None:
        headers = {"content-type": EVENTS, "cache-control": "no-store", "x-accel-buffering": "no",
                   "x-session": talk.run.session_id}  # fmt: skip
        super().__init__(talk.stop, headers)
        self.talk, self.frame = talk, frame

    async def written(self, write: Callable[..., Awaitable[None]]) -> None:
        """Write the chunks."""
        asked, frame = self.talk.chat.asked, self.frame

        async def tell(line: str) -> None:
            if asked.steps == "reasoning":
                await write(sent(frame.chunk({"reasoning_content": f"{line}\n"})))
            elif asked.steps == "content":
                await write(sent(frame.chunk({"content": quoted(line)})))

        await write(sent(frame.chunk({"role": "assistant", "content": ""})))
        try:
            await self.talk.follow(tell)
            text = await self.talk.text()
        except Exception as error:  # the stream has begun: told inside it
            await write(sent(in_openais_words(error).content) + DONE, False)
            return
        gap = "\n" if asked.steps == "content" else ""
        await write(sent(frame.chunk({"content": gap + text})))
        await write(sent(frame.chunk({}, "stop", graticule=self.talk.ours)))
        if self.talk.chat.wants_usage:
            await write(sent(frame.usage(self.talk.usage)))
        await write(DONE, False)


def quoted(line: str) -> str:
    """Return a step as a quoted line of Markdown."""
    return f"> {line}\n"


def sent(content: dict[str, Any]) -> bytes:
    """Return one event of the stream."""
    return b"data: " + as_json(content) + b"\n\n"


async def off_loop(function: Callable[..., T], *arguments: Any) -> T:
    """Run what may block in a thread."""
    return await anyio.to_thread.run_sync(partial(function, *arguments))


def in_openais_words(error: Exception) -> OpenAIError:
    """Return an error in the shape that OpenAI's clients know; a fault says no details."""
    if isinstance(error, OpenAIError):
        return error
    if isinstance(error, ProblemError):
        return OpenAIError(str(error), error.status, code=error.code)
    if isinstance(error, UnknownSessionError):
        return OpenAIError(str(error), 404, param="session", code="unknown_session")
    if isinstance(error, SessionBusyError):
        return OpenAIError(str(error), 409, code="session_busy", kind="conflict_error")
    if isinstance(error, UnavailableError):
        return OpenAIError(str(error), 503, code="unavailable", kind="server_error")
    if isinstance(error, GeolocationError):
        return OpenAIError(str(error), 400, code="invalid_input")
    logger.error("a chat completion failed", exc_info=error)
    told = f"a fault in the program ({type(error).__name__}); the server's log says more"
    return OpenAIError(told, 500, code="fault", kind="server_error")
