"""Errors as problem documents: `application/problem+json`, RFC 9457.

Every refusal has the same shape, whichever face it comes from: `type`, `title`, `status`,
`detail` and, for programs, `code`. Details are the messages that a person at the terminal reads.
"""

import errno
import logging
import re
import sqlite3
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from agent.session_records import SessionBusyError, UnknownSessionError
from encoders.batching import BusyError
from encoders.photo_file import printable
from encoders.wire import BodyError
from geo.errors import ConfigError, GeolocationError, InputError, UnavailableError
from tools.evidence import ToolError

REJECTED = "graticule.rejected"
"""Entry of a scope: why its request was refused."""
MEDIA_TYPE = "application/problem+json"
RETRY_S = 2
"""Said where nobody knows how long something will be away."""
LONGEST_DETAIL = 1000
MOST_ERRORS = 20
_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_STATUSES = frozenset(map(int, HTTPStatus))
_OTHERS = re.compile(r"use one of [0-9a-f]{12}(?:, [0-9a-f]{12})*")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger(__name__)


class Fault(BaseModel):
    """One part of a request that does not fit."""

    model_config = ConfigDict(extra="forbid")

    where: str
    """Such as `body.region.coordinates` or `query.limit`."""
    message: str


class Problem(BaseModel):
    """A problem document, RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    """The status in words."""
    status: int = Field(ge=400, le=599)
    detail: str
    """What is wrong, the limit it broke, and the remedy."""
    code: str
    """The kind of problem, for programs."""
    errors: list[Fault] | None = None
    """Of a request that does not fit its schema."""


class ProblemError(Exception):
    """A refusal on its way out of a route or a middleware.

    Args:
        status: of the HTTP answer.
        code: the kind of problem, for programs.
        detail: what is wrong, the limit, the remedy.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.headers = status, code, dict(headers or {})

    @property
    def response(self) -> JSONResponse:
        """The answer."""
        return problem(self.status, detail=masked(str(self)), code=self.code, headers=self.headers)


def problem(
    status: int,
    title: str = "",
    detail: str = "",
    *,
    code: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """Return a problem document as an answer.

    Args:
        status: 400 to 599.
        title: in words; the status's own by default.
        detail: what is wrong, the limit, the remedy.
        code: the kind of problem, for programs; the status's name in lower case by default.
        headers: of the answer.
        more: further members.
    """
    known = HTTPStatus(status) if status in _STATUSES else HTTPStatus.BAD_REQUEST
    content = {
        "type": "about:blank",
        "title": title or known.phrase,
        "status": status,
        "detail": printable(detail or known.description or known.phrase, LONGEST_DETAIL),
        "code": code or known.name.lower(),
        **more,
    }
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> JSONResponse:
    """Return the answer that belongs to an error; one of the program's own says no details."""
    if isinstance(error, ProblemError):
        return error.response
    if full := _disk_full(error):
        return problem(507, detail=full, code="disk_full")
    if isinstance(error, RequestValidationError):
        return _unfitting(error)
    if isinstance(error, HTTPException):
        return problem(error.status_code, detail=str(error.detail), headers=error.headers)
    if isinstance(error, GeolocationError):
        status, code, retry_s = _meaning(error)
        headers = {"retry-after": str(retry_s)} if retry_s else {}
        return problem(status, detail=masked(str(error)), code=code, headers=headers)
    logger.error("a request failed", exc_info=error)
    return problem(
        500,
        detail=f"a fault in the program ({type(error).__name__}); the server's log says more",
        code="fault",
    )


def masked(text: str) -> str:
    """Return a message of the photo store's without the ids of photos that others brought."""
    return _OTHERS.sub("use the id that it was given when it was added", text)


def _meaning(error: GeolocationError) -> tuple[int, str, int]:
    """Return status, code and the seconds to wait before asking again; 0 where it is no use."""
    if isinstance(error, BodyError):
        return error.status, "bad_body", 0
    if isinstance(error, UnknownSessionError):
        return 404, "unknown_session", 0
    if isinstance(error, SessionBusyError):
        return 409, "session_busy", RETRY_S
    if isinstance(error, BusyError):
        return 503, "busy", error.retry_after_s
    if isinstance(error, ConfigError):
        return 500, "misconfigured", 0
    if isinstance(error, InputError):
        return 422, "bad_input", 0
    if isinstance(error, ToolError):
        return 422, "refused", 0
    if isinstance(error, UnavailableError):
        return 503, "unavailable", RETRY_S
    return 500, "failed", 0


def _disk_full(error: BaseException) -> str:
    """Return what to say where a full disk is the reason, at any depth; empty otherwise."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno in _FULL:
            break
        if isinstance(at, sqlite3.OperationalError) and "full" in str(at):
            break
        at = at.__cause__ or at.__context__
    if at is None:
        return ""
    return str(error) if isinstance(error, GeolocationError) else "disk full; free space, try again"


def _unfitting(error: RequestValidationError) -> JSONResponse:
    """Name what does not fit; what was sent is not repeated, it may be a whole photo."""
    found = error.errors()
    faults = [
        Fault(
            where=printable(".".join(str(part) for part in one["loc"])),
            message=printable(str(one["msg"])),
        )
        for one in found[:MOST_ERRORS]
    ]
    malformed = any(one["type"] == "json_invalid" for one in found)
    first = f"{faults[0].where}: {faults[0].message}" if faults else "does not fit"
    return problem(
        400 if malformed else 422,
        detail=f"{first}; see /openapi.json",
        code="malformed" if malformed else "unfitting",
        errors=[one.model_dump() for one in faults],
    )


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer a route's error; an exception handler of Starlette's."""
    answer = problem_of(error)
    request.scope[REJECTED] = code_of(error)
    if answer.status_code == 405 and (allowed := allowed_methods(request)):
        answer.headers["allow"] = ", ".join(allowed)
    return answer


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes of a path; Starlette would tell those of one."""
    found: set[str] = set()
    for path, item in request.app.openapi()["paths"].items():
        if compile_path(path)[0].match(request.url.path):
            found |= {method.upper() for method in item if method in _METHODS}
    return sorted(found)


def code_of(error: Exception) -> str:
    """Return why a request was refused, in a word."""
    return error.code if isinstance(error, ProblemError) else type(error).__name__


def install_problems(app: FastAPI) -> None:
    """Have an application answer errors with problem documents, and say so in its OpenAPI."""
    for kind in (
        GeolocationError, ProblemError, RequestValidationError, HTTPException, OSError,
        sqlite3.OperationalError,
    ):  # fmt: skip
        app.add_exception_handler(kind, answer_error)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses` says of the statuses that it refuses with."""
    return {status: documented(status) for status in statuses}


def documented(status: int) -> dict[str, Any]:
    """Return what OpenAPI says of one status."""
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def problem_schemas() -> Iterable[tuple[str, dict[str, Any]]]:
    """Return the named schemas that `documented` leans on."""
    for model in (Problem, Fault):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        yield model.__name__, schema
