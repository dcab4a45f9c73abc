"""Bodies read strictly, and their words in the OpenAPI document.

FastAPI would read JSON into Python first and coerce from there: `false` would pass for 0.0, and a
strict list of names would be refused for not being a tuple. Here JSON goes straight to pydantic.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from encoders.photo_file import printable
from encoders.wire import BodyError
from server.problems import documented, problem_schemas

JSON = "application/json"
FORM = "multipart/form-data"
EVENTS = "text/event-stream"
EVERYWHERE = (400, 401, 403, 421, 429, 500, 503)
"""Statuses that the doors answer on every path."""
WITH_BODY = (408, 411, 413, 415, 422, 507)
_METHODS = ("get", "put", "post", "delete", "patch")
_REF = "#/components/schemas/{model}"
_named: dict[str, type[BaseModel]] = {}

Model = TypeVar("Model", bound=BaseModel)


def kind_of(request: Request) -> str:
    """Return a request's content type without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request, model: type[Model]) -> Model:
    """Read a JSON body strictly.

    Raises:
        BodyError: it is of another content type (415).
        RequestValidationError: it does not fit the model.
    """
    if (kind := kind_of(request)) != JSON:
        raise BodyError(
            f"content type {printable(kind, 80)!r} is not read here; send application/json", 415
        )
    return read_json(await request.body(), model)


def read_json(data: bytes | str, model: type[Model], where: str = "body") -> Model:
    """Read JSON strictly.

    Raises:
        RequestValidationError: it does not fit the model.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _unfitting(error, where) from None


def _unfitting(error: ValidationError, where: str) -> RequestValidationError:
    """Return the error without what was sent, which may be a whole photo."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return RequestValidationError([{**one, "loc": (where, *one["loc"])} for one in found])


def schema_of(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to a model in the OpenAPI document, which will hold it."""
    _named[model.__name__] = model
    return {"$ref": _REF.format(model=model.__name__)}


def takes(
    model: type[BaseModel], others: Mapping[str, Any] | None = None, *, required: bool = True
) -> dict[str, Any]:
    """Return a route's `openapi_extra` for a JSON body, and for other content types by schema."""
    content = {JSON: {"schema": schema_of(model)}}
    content |= {kind: {"schema": schema} for kind, schema in (others or {}).items()}
    return {"requestBody": {"required": required, "content": content}}


def gives_events(model: type[BaseModel]) -> dict[str, Any]:
    """Return what `responses` says of an answer that is JSON or, if accepted, a stream."""
    return {
        "description": "The outcome, or server-sent events that end with the event `end`.",
        "content": {
            JSON: {"schema": schema_of(model)},
            EVENTS: {"schema": {"type": "string"}},
        },
    }


def describe_app(app: FastAPI) -> None:
    """Have an application's OpenAPI document say what the doors and the bodies are."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(
                get_openapi(
                    title=app.title, version=app.version, summary=app.summary,
                    description=app.description, routes=app.routes,
                )
            )  # fmt: skip
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for name, model in _named.items():
        schema = model.model_json_schema(ref_template=_REF)
        for part, found in schema.pop("$defs", {}).items():
            schemas.setdefault(part, found)
        schemas.setdefault(name, schema)
    schemas |= dict(problem_schemas())
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{"key": []}, {"bearer": []}, {}]
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            if operation := item.get(method):
                _complete(operation, {404} if "{" in path else set())
    return document


def _complete(operation: dict[str, Any], also: set[int]) -> None:
    responses = operation.setdefault("responses", {})
    fastapis = "HTTPValidationError" in str(responses.get("422"))
    if fastapis:
        del responses["422"]
    statuses = {*also, *EVERYWHERE, *(WITH_BODY if "requestBody" in operation else ())}
    statuses |= {422} if fastapis else set()
    for status in sorted(statuses):
        responses.setdefault(str(status), documented(status))
