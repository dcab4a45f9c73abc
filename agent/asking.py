"""What is asked of a chat model and what comes back: pure data, and the client's protocol."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool
from pydantic import BaseModel, JsonValue

from agent.trace import EventKind
from geo.errors import UnavailableError
from tools.evidence import Record

Tell = Callable[[EventKind, dict[str, JsonValue]], None]
"""Announces an event of the trace."""


class ModelUnavailableError(UnavailableError):
    """No reply after all retries: absent, refusing, dying or too slow; says which and the limit."""


class ContextOverflowError(ModelUnavailableError):
    """The request is longer than the model's context; drop something and ask again."""


class ImagesRefusedError(ModelUnavailableError):
    """The server takes no images, or none of these."""


class ToolsRefusedError(ModelUnavailableError):
    """The server takes no tools; ask through structured output."""


class Capabilities(Record):
    """What a server was seen to do with this model; None where it was not tried.

    Attributes:
        models: names that the server lists.
        notes: what was seen, in words, for `doctor`.
    """

    model: str
    models: tuple[str, ...] = ()
    images: bool | None = None
    tools: bool | None = None
    strict: bool | None = None
    parallel: bool | None = None
    structured: bool | None = None
    streaming: bool | None = None
    context_tokens: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """One request to a chat model.

    Attributes:
        purpose: `prior`, `decide`, `diversify`, `same-place`, ...: goes into the trace.
        messages: as they go over the wire: images are data URIs in user messages.
        tools: that may be called; none where empty.
        must_call: a tool call is demanded (`tool_choice="required"`).
        schema: JSON schema that the reply's text must follow, by the server's constraint where it
            has one; never together with `tools`.
        images: ids of the photos that travel, for the trace.
        prompts: prompt name -> SHA-256, for the trace.
        timeout_s: less than the settings' where the budget has less left.
    """

    purpose: str
    messages: Sequence[BaseMessage]
    tools: Sequence[BaseTool] = ()
    must_call: bool = False
    schema: type[BaseModel] | Mapping[str, JsonValue] | None = None
    images: tuple[str, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class Reply:
    """What came back, as it came: nothing of it is trusted yet.

    Attributes:
        message: whole message, with the provider's own tool calls, valid or not.
        text: text content without `<think>` blocks or reasoning fields.
        thinking: what the model thought aloud, however the server sends it.
        finish: `stop`, `length`, `tool_calls`, `content_filter`, `time` (cut off here), or empty.
        model: the name that the server says answered.
        attempts: 1, and one for each retry.
    """

    message: AIMessage
    text: str
    thinking: str = ""
    finish: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    first_token_s: float | None = None
    attempts: int = 1


ProblemAction = Literal["repaired", "answered", "rejected"]


class Problem(Record):
    """Something wrong with a reply, and what was done about it; goes into the trace.

    `repaired`: read nevertheless. `answered`: the model is told how to correct it. `rejected`:
    dropped, nothing follows from it.
    """

    kind: str
    """Such as `fenced-json`, `text-call`, `unknown-tool`, `wrong-type`, `truncated`, `refusal`,
    `null-island`, `not-finite`, `out-of-range`, `repeated-call`, `empty`, `endless-thinking`."""
    detail: str
    action: ProblemAction


def numbered(tell: Tell) -> Tell:
    """Return a way of telling that says of every event which request it is of, under `call`."""
    call = uuid.uuid4().hex[:12]
    return lambda kind, data: tell(kind, {"call": call, **data})


class ChatClient(Protocol):
    """Asks one chat model."""

    @property
    def name(self) -> str:
        """The model's name, as it was asked for."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: probed once, or assumed for a model object that cannot be probed."""
        ...

    def ask(self, question: Question, tell: Tell) -> Reply:
        """Ask once, with retries; safe to call from several threads.

        Announces `model_call`, `retry` and `model_reply`, and `notice` where another model than
        the one asked for answers.

        Raises:
            ContextOverflowError: too long; nothing is retried.
            ImagesRefusedError: the server refuses images.
            ToolsRefusedError: the server refuses tools.
            ModelUnavailableError: no reply after all retries.
        """
        ...
