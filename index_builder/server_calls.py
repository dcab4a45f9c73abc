"""Calls of a Qdrant server that outlast its restarts, and what its refusals mean to a user.

A write may have been carried out although its answer was lost: every write of ours can be
repeated without harm, because points are known by their content.
"""

import http
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from encoders.photo_file import printable
from geo.errors import InputError, UnavailableError

Result = TypeVar("Result")
logger = logging.getLogger(__name__)
_BUSY = (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS)
_DENIED = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN)


@dataclass(frozen=True)
class Patience:
    """How long calls go on while a server is away, in seconds."""

    write_s: float = 60.0
    """From the first failure of a write on: a restart, an election of a cluster."""
    read_s: float = 10.0
    answer_s: int = 30
    """How long the answer of one attempt may take; whole seconds, as the client counts."""
    first_pause_s: float = 0.2
    """Between attempts; doubles each time, up to the longest."""
    longest_pause_s: float = 5.0


class ServerCalls:
    """Calls of one collection's server, tried again through outages."""

    def __init__(self, shown: str, patience: Patience) -> None:
        """Keep how the server is called in messages, and how long to wait for it."""
        self.shown, self._patience = shown, patience

    def read(self, call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Return what `call` returns.

        Raises:
            InputError: the server refuses, which trying again cannot change.
            UnavailableError: it did not answer for `Patience.read_s`.
        """
        return self._tried(self._patience.read_s, call, *arguments, **named)

    def write(self, call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Return what `call` returns; as `read`, with the patience of a write."""
        return self._tried(self._patience.write_s, call, *arguments, **named)

    def _tried(self, seconds: float, call: Callable[..., Result], *a: Any, **named: Any) -> Result:
        from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
        from tenacity import (
            Retrying,
            before_sleep_log,
            retry_if_exception,
            stop_after_delay,
            wait_random_exponential,
        )

        pauses = wait_random_exponential(
            self._patience.first_pause_s, self._patience.longest_pause_s
        )
        attempts = Retrying(
            stop=stop_after_delay(seconds),
            wait=lambda state: max(pauses(state), _asked_to_wait(state.outcome)),
            retry=retry_if_exception(is_outage),
            before_sleep=before_sleep_log(logger, logging.INFO),
            reraise=True,
        )
        try:
            return attempts(call, *a, **named)
        except (UnexpectedResponse, ResponseHandlingException, ResourceExhaustedResponse) as error:
            raise self._meaning(error) from None

    def _meaning(self, error: Exception) -> InputError | UnavailableError:
        status, said = getattr(error, "status_code", None), reason(error)
        if status in _DENIED:
            return InputError(
                f"{self.shown} refuses the API key ({said}); give the one it was started with "
                "in GRATICULE_QDRANT_API_KEY"
            )
        if "No space left" in said:
            return InputError(
                f"{self.shown} has no disk space left; free some and run the same command again, "
                "it goes on where it stopped"
            )
        if is_outage(error):
            return UnavailableError(
                f"{self.shown} does not answer ({said}); start it or wait, and run the same "
                "command again, it goes on where it stopped",
                retryable=True,
            )
        if status is None:
            return InputError(
                f"{self.shown} does not answer as Qdrant does ({said}); check the address"
            )
        if status == http.HTTPStatus.NOT_FOUND:
            return InputError(
                f"{self.shown} is not there ({said}); check the name, or build it with: "
                "graticule gallery build SOURCE"
            )
        return InputError(f"{self.shown} refuses ({said}); correct what it names")


def is_outage(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    import httpx
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, ResourceExhaustedResponse):
        return True
    if isinstance(error, UnexpectedResponse):
        full = "No space left" in reason(error)
        return not full and ((error.status_code or 500) >= 500 or error.status_code in _BUSY)
    return isinstance(error, ResponseHandlingException) and isinstance(
        error.source, httpx.TransportError
    )


def reason(error: BaseException) -> str:
    """Return in a few printable words what a server, or the way to it, said."""
    content = getattr(error, "content", None)
    if isinstance(content, bytes):
        return f"{getattr(error, 'status_code', '')} {_stated(content)}".strip()
    source = getattr(error, "source", error)
    words = printable(" ".join(str(source).split()), 160)
    return words or type(source).__name__


def _stated(content: bytes) -> str:
    """Return the error in an answer's body: Qdrant's own, or that of a proxy before it."""
    import json

    try:
        return printable(str(json.loads(content)["status"]["error"]), 160)
    except (ValueError, KeyError, TypeError):
        return printable(" ".join(content.decode("utf-8", "replace").split()), 80)


def _asked_to_wait(outcome: Any) -> float:
    """Return the seconds that a busy server asks to be left alone."""
    error = outcome.exception() if outcome else None
    return float(getattr(error, "retry_after_s", 0.0))
