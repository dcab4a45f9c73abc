"""What a chat client asks: OpenAI's chat completions as far as a geolocator can honour them.

https://platform.openai.com/docs/api-reference/chat. Unknown and inapplicable fields are named in
the reply instead of being obeyed or refused: chat clients send many that mean nothing here. What
would change the shape of the reply in a way that cannot be given is refused.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agent.recipes import AUTO, recipe_names
from encoders.photo_file import printable

MODEL = "graticule"
MOST_MESSAGES = 200
OBEYED = frozenset({
    "model", "messages", "stream", "stream_options", "response_format", "metadata", "n", "logprobs",
    "modalities", "steps", "trust_metadata", "tool_choice",
})  # fmt: skip
Steps = Literal["reasoning", "content", "none"]


class OpenAIError(Exception):
    """A refusal in the shape that OpenAI's clients know.

    Args:
        message: value, limit and remedy.
        status: of the HTTP answer.
        param: the field that it is about.
        code: for programs.
        kind: OpenAI's `type`.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str = "",
        code: str = "",
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.kind = status, param, code, kind

    @property
    def content(self) -> dict[str, Any]:
        """The body."""
        return {
            "error": {
                "message": printable(str(self), 1000),
                "type": self.kind,
                "param": self.param or None,
                "code": self.code or None,
            }
        }


def model_names() -> tuple[str, ...]:
    """Return what may stand for a model: the server's own way, and each recipe."""
    return (MODEL, *(f"{MODEL}/{name}" for name in (AUTO, *recipe_names())))


class ErrorDetail(BaseModel):
    """What was refused, in OpenAI's shape."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """A refusal, in OpenAI's shape."""

    error: ErrorDetail


class _Said(BaseModel):
    # Chat clients add fields of their own everywhere; those are not read.
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class ImageUrl(_Said):
    """Where an image is: a `data:` URI, or an address."""

    url: str
    detail: str | None = None


class TextPart(_Said):
    """Words."""

    type: Literal["text"]
    text: str


class ImagePart(_Said):
    """An image; some clients leave out the object around its address."""

    type: Literal["image_url"]
    image_url: ImageUrl | str

    @property
    def url(self) -> str:
        """Its address."""
        return self.image_url if isinstance(self.image_url, str) else self.image_url.url


class RefusalPart(_Said):
    """What an assistant refused."""

    type: Literal["refusal"]
    refusal: str


Part = Annotated[TextPart | ImagePart | RefusalPart, Field(discriminator="type")]


class Message(_Said):
    """One message of the conversation."""

    role: Literal["user", "assistant", "system", "developer", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its words."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if isinstance(part, TextPart))
        return self.content or ""

    @property
    def images(self) -> list[str]:
        """The addresses of its images."""
        parts = self.content if isinstance(self.content, list) else []
        return [part.url for part in parts if isinstance(part, ImagePart)]


class StreamOptions(_Said):
    """What a stream carries beside the text."""

    include_usage: bool | None = None


class ResponseFormat(_Said):
    """Text, or the answer as JSON."""

    type: Literal["text", "json_object", "json_schema"]


class ChatRequest(BaseModel):
    """A request; fields that are not here are kept apart and named in the reply.

    Attributes:
        steps: where a stream tells of steps: `reasoning` (`reasoning_content` of the deltas),
            `content` (quoted lines before the answer), or not at all.
        trust_metadata: whether a position in the photo's metadata counts.
        metadata: `session` names the session to go on with.
    """

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    model: str = Field(json_schema_extra={"enum": list(model_names())})
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    metadata: dict[str, str] | None = None
    n: int | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    tool_choice: JsonValue = None
    steps: Steps = "reasoning"
    trust_metadata: bool = False

    @property
    def recipe(self) -> str:
        """The recipe that the model stands for; empty for the server's own way."""
        return self.model.removeprefix(MODEL).removeprefix("/")

    @property
    def as_json(self) -> bool:
        """Whether the answer is wanted as JSON."""
        return self.response_format is not None and self.response_format.type == "json_object"

    @property
    def session(self) -> str:
        """The session that the client names itself."""
        return (self.metadata or {}).get("session", "")

    @property
    def ignored(self) -> list[str]:
        """Names of what the client asked for and does not get."""
        more = {name for name, value in (self.model_extra or {}).items() if value is not None}
        if any(message.role in ("system", "developer") for message in self.messages):
            more.add("messages of the system")
        return sorted(printable(name, 60) for name in more - OBEYED)[:20]


def read_chat_request(body: bytes) -> ChatRequest:
    """Read and check a request.

    Raises:
        OpenAIError: it is no JSON (400), does not fit (400), names a model that there is not (404)
            or asks for what cannot be given (400).
    """
    try:
        asked = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _unfitting(error) from None
    if asked.model not in model_names():
        raise OpenAIError(
            f"there is no model {printable(asked.model, 60)!r}; choose one of "
            f"{', '.join(model_names())}",
            404, param="model", code="model_not_found",
        )  # fmt: skip
    for param, message in _cannot(asked):
        raise OpenAIError(message, param=param, code="unsupported_parameter")
    return asked


def _cannot(asked: ChatRequest) -> Iterator[tuple[str, str]]:
    """Yield what would change the reply's shape in a way that cannot be given."""
    if asked.n not in (None, 1):
        yield "n", f"n={asked.n}: an investigation has one answer; leave n out"
    if asked.logprobs:
        yield "logprobs", "there are no log probabilities; the answer states belief instead"
    if asked.modalities and asked.modalities != ["text"]:
        yield "modalities", "answers are text; leave modalities out"
    if asked.tool_choice not in (None, "none", "auto"):
        yield "tool_choice", "the client's tools are never called; use tool_choice auto or none"
    if asked.response_format is not None and asked.response_format.type == "json_schema":
        yield (
            "response_format",
            "the answer has a schema of its own; use response_format json_object",
        )


def _unfitting(error: ValidationError) -> OpenAIError:
    # Of the branches of a union, the one that got furthest is what was meant.
    found = error.errors(include_url=False, include_input=False, include_context=False)
    first = max(found, key=lambda one: len(one["loc"]))
    where = printable(".".join(str(part) for part in first["loc"] if _is_name(part)), 120)
    if first["type"] == "json_invalid":
        return OpenAIError(f"the body is no JSON: {first['msg']}", code="invalid_json")
    told = f"{where or 'body'}: {first['msg']}; correct it"
    return OpenAIError(told, param=where, code="invalid_value")


def _is_name(part: int | str) -> bool:
    """Whether part of a place is the client's, and no branch of a union of ours."""
    return isinstance(part, int) or not (part in ("str", "ImageUrl") or "[" in part)


def as_json(value: Any) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
