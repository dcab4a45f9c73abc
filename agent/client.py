"""The chat client: asks one model, with a time limit, retries, and an account of what happened."""

import random
import threading
import time
from collections.abc import Callable

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langgraph.errors import GraphBubbleUp
from pydantic import JsonValue

from agent.asking import Capabilities, ChatClient, ModelUnavailableError, Question, Reply, Tell
from agent.client_errors import Asked, Failure, explain, redact, shown_address
from agent.client_models import openai_model, provider_model
from agent.client_reply import exact_message, make_reply, raw_calls
from agent.client_request import Request, Requests
from agent.client_stream import Received, receive, says_something
from agent.model_list import list_models
from agent.model_settings import ModelSettings
from agent.once import Once
from agent.stopping import wait
from agent.trace import EventKind
from geo.errors import ConfigError, GeolocationError

BACKOFF_S = 0.5
"""Wait before the first retry, on average; it doubles with each."""
LONGEST_BACKOFF_S = 30.0
LIST_TIMEOUT_S = 20.0
Told = tuple[EventKind, dict[str, JsonValue]]


class LangChainClient:
    """Asks any LangChain chat model; safe to use from many threads.

    Args:
        model: the model object.
        settings: numbers and limits of a call.
        capabilities: what the model can do; assumed unknown where not given.
        probe: finds that out when it is first needed, telling what it sees.
    """

    def __init__(
        self,
        model: BaseChatModel,
        settings: ModelSettings,
        capabilities: Capabilities | None = None,
        *,
        probe: Callable[[Tell], Capabilities] | None = None,
    ) -> None:
        self._settings = settings
        self._requests = Requests(model, settings)
        self._name = settings.name or _own_name(model)
        elsewhere = settings.provider if settings.name else "its provider"
        self._place = shown_address(settings.url) if settings.url else elsewhere
        self._capabilities, self._probe = capabilities, probe
        self._without: frozenset[str] = frozenset()
        self._told: set[str] = set()
        self._probed = Once(self._look)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r} at {self._place})"

    @property
    def name(self) -> str:
        """The model's name, as it was asked for."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: probed once, or unknown for a model object that cannot be probed.

        Raises:
            ModelUnavailableError: the server does not answer the probe.
        """
        return self._find_out(lambda kind, data: None)

    def ask(self, question: Question, tell: Tell) -> Reply:
        """Ask once, with retries; see `ChatClient.ask`."""
        began = time.monotonic()
        strict, parallel = self._abilities(question, tell)
        limit_s = self._left(question, began)
        request = self._requests.make(
            question, limit_s, self._without, strict=strict, parallel=parallel
        )
        tell("model_call", self._call_data(question, request, limit_s))
        attempt = 1
        while True:
            try:
                got = receive(request.stream, self._left(question, began))
                break
            except (GeolocationError, GraphBubbleUp):
                raise
            except Exception as error:
                asked = self._asked(question, request)
                failure = explain(error, asked)
                if not failure.without:
                    self._wait(failure, attempt, question, began, tell, asked)
                    attempt += 1
                else:
                    self._leave_out(failure, tell)
                limit_s = self._left(question, began)
                request = self._requests.make(
                    question, limit_s, self._without, strict=strict, parallel=parallel
                )
        return self._reply(question, got, attempt, tell)

    def _left(self, question: Question, began: float) -> float:
        """Return how long one reply may take now, in seconds."""
        limit = self._settings.timeout_s
        if question.timeout_s is None:
            return limit
        return max(0.0, min(limit, question.timeout_s - (time.monotonic() - began)))

    def _reply(self, question: Question, got: Received, attempts: int, tell: Tell) -> Reply:
        if got.cut and not any(says_something(message) for message in got.messages):
            raise ModelUnavailableError(
                f"model {self._name!r} at {self._place} said nothing within {got.seconds:.3g} s; "
                "raise GRATICULE_MODEL__TIMEOUT_S "
                f"({self._settings.timeout_s:g} s) or the budget's seconds, or use a faster model"
            )
        reply = make_reply(got, self._name, attempts)
        self._tell_oddities(reply, tell)
        tell(
            "model_reply",
            {
                "purpose": question.purpose,
                "model": reply.model,
                "text": reply.text,
                "thinking": reply.thinking,
                "tool_calls": raw_calls(reply.message),
                "finish": reply.finish,
                "tokens_in": reply.tokens_in,
                "tokens_out": reply.tokens_out,
                "seconds": reply.seconds,
                "first_token_s": reply.first_token_s,
                "attempts": reply.attempts,
                "exact": exact_message(reply),
            },
        )
        return reply

    def _tell_oddities(self, reply: Reply, tell: Tell) -> None:
        if reply.model != self._name:
            answered = redact(reply.model, "")
            self._notice(tell, f"asked for model {self._name!r}, {answered!r} answered")
        if not reply.tokens_in and not reply.tokens_out and reply.finish != "time":
            self._notice(
                tell,
                f"model {self._name!r} does not say how many tokens it used; they count as 0",
            )

    def _wait(
        self, failure: Failure, attempt: int, question: Question, began: float, tell: Tell,
        asked: Asked,
    ) -> None:  # fmt: skip
        """Wait before the next attempt.

        Raises:
            ModelUnavailableError: the failure does not pass, or there is no time or attempt left.
        """
        error = failure.error
        if not error.retryable:
            raise error from error.__cause__
        if attempt > (retries := self._settings.retries):
            raise _spent(error, f"attempt {attempt} (GRATICULE_MODEL__RETRIES={retries})") from None
        backoff = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)
        wait_s = max(backoff, failure.wait_s or 0.0)
        left_s = self._left(question, began)
        if wait_s >= left_s:
            limit = f"a wait of {wait_s:.3g} s with {left_s:.3g} s left"
            raise _spent(error, f"{limit} (GRATICULE_MODEL__TIMEOUT_S, budget)") from None
        data: dict[str, JsonValue] = {
            "purpose": question.purpose,
            "attempt": attempt,
            "error": redact(str(error), asked.secret),
            "wait_s": round(wait_s, 3),
        }
        tell("retry", data)
        wait(threading.Event(), wait_s)

    def _leave_out(self, failure: Failure, tell: Tell) -> None:
        with self._lock:
            self._without |= {failure.without}
        text = f"{self._place} refuses {failure.without} ({failure.words!r}); asked without it"
        self._notice(tell, text, key=f"without {failure.without}")

    def _notice(self, tell: Tell, text: str, key: str = "") -> None:
        """Tell something once."""
        with self._lock:
            if (key or text) in self._told:
                return
            self._told.add(key or text)
        tell("notice", {"text": text})

    def _abilities(self, question: Question, tell: Tell) -> tuple[bool, bool | None]:
        """Return whether tool schemas are strict, and whether several calls may come at once."""
        if not question.tools:
            return False, None
        wish = self._settings.strict
        known = self._capabilities
        if known is None and wish == "auto":
            try:
                known = self._find_out(tell)
            except ModelUnavailableError:
                known = None  # the request itself is retried, and tells why
        seen = known is not None and known.strict is True
        return wish == "yes" or (wish == "auto" and seen), known.parallel if known else None

    def _find_out(self, tell: Tell) -> Capabilities:
        if self._capabilities is None and self._probe is None:
            self._capabilities = Capabilities(model=self._name)
        if self._capabilities is None:
            self._capabilities, told = self._probed.get()
            while told:
                tell(*told.pop())
        return self._capabilities

    def _look(self) -> tuple[Capabilities, list[Told]]:
        """Return what the probe saw, and what is to be told of it."""
        assert self._probe is not None
        told: list[Told] = []
        return self._probe(lambda kind, data: told.append((kind, data))), told

    def _asked(self, question: Question, request: Request) -> Asked:
        return Asked(
            place=self._place,
            model=self._name,
            images=bool(question.images) or any(map(_has_image, question.messages)),
            tools=bool(question.tools),
            parts=request.parts,
            secret=self._settings.api_key.get_secret_value(),
            connect_timeout_s=self._settings.connect_timeout_s,
        )

    def _call_data(
        self, question: Question, request: Request, limit_s: float
    ) -> dict[str, JsonValue]:
        return {
            "purpose": question.purpose,
            "model": self._name,
            "messages": len(question.messages),
            "images": list(question.images),
            "tools": [tool.name for tool in question.tools],
            "schema": question.schema is not None,
            "temperature": request.temperature,
            "seed": request.seed,
            "prompts": dict(question.prompts),
            "timeout_s": round(limit_s, 3),
        }


def open_client(settings: ModelSettings) -> ChatClient:
    """Open the model that the settings name; nothing is asked of it yet, except for its name.

    An empty name takes the first model that the server lists.

    Raises:
        ConfigError: neither address nor name, or an unknown provider.
        UnavailableError: a package for the provider is missing.
        ModelUnavailableError: no name is set and the server lists none.
    """
    from agent.probe import probe

    if not settings.configured:
        raise ConfigError(
            "no chat model is named; set GRATICULE_MODEL__URL to an OpenAI-compatible server, or "
            "GRATICULE_MODEL__NAME"
        )
    if settings.provider != "openai":
        return LangChainClient(provider_model(settings), settings)
    if not settings.name:
        settings = settings.model_copy(update={"name": first_name(settings)})
    probing = (lambda tell: probe(settings, tell)) if settings.url else None
    return LangChainClient(openai_model(settings), settings, probe=probing)


def first_name(settings: ModelSettings) -> str:
    """Return the name of the first model that a server lists; raises as `open_client`."""
    offered = list_models(settings, min(LIST_TIMEOUT_S, settings.timeout_s))
    if not offered:
        raise ModelUnavailableError(
            f"{shown_address(settings.url)} lists no model; set GRATICULE_MODEL__NAME"
        )
    return offered[0].name


def _spent(error: ModelUnavailableError, what: str) -> ModelUnavailableError:
    return type(error)(f"{error}; gave up at {what}", retryable=error.retryable)


def _own_name(model: BaseChatModel) -> str:
    names = (getattr(model, field, None) for field in ("model_name", "model"))
    return next((name for name in names if isinstance(name, str) and name), type(model).__name__)


def _has_image(message: BaseMessage) -> bool:
    content = message.content
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") in ("image_url", "image") for block in content
    )
