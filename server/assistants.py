"""LangGraph's assistants: the recipes that a run may follow."""

import uuid
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agent.recipes import AUTO, RECIPES
from agent.session_records import SessionOptions
from server.context import context_of
from server.plain import PlainResponse, PlainRoute
from server.problems import ProblemError, problems

router = APIRouter(route_class=PlainRoute, tags=["assistants"])
DEFAULT = "graticule"
SINCE = "2026-01-01T00:00:00+00:00"
"""All assistants come with the program: they have no date of their own."""
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "graticule.assistants")


class AssistantSearch(BaseModel):
    """Which assistants to list."""

    metadata: dict[str, Any] | None = None
    graph_id: str | None = None
    name: str | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)
    select: list[str] | None = None


def assistant_id(name: str) -> str:
    """Return the UUID of a recipe's assistant, the same everywhere and always."""
    return str(uuid.uuid5(_NAMESPACE, name))


def assistant_name(given: str) -> str:
    """Return the recipe's name for a name or UUID; `graticule` leaves it to session and settings.

    Raises:
        ProblemError: there is no such assistant.
    """
    names = {DEFAULT: DEFAULT, AUTO: DEFAULT, **{one.name: one.name for one in RECIPES}}
    by_id = {assistant_id(name): name for name in names.values()}
    found = names.get(given) or by_id.get(given.lower())
    if found is None:
        raise ProblemError(
            404, "unknown_assistant",
            f"there is no assistant {given[:60]!r}; choose from {', '.join(by_id.values())}",
        )  # fmt: skip
    return found


def _shown(name: str) -> dict[str, Any]:
    summary = next((one.summary for one in RECIPES if one.name == name), "")
    return {
        "assistant_id": assistant_id(name),
        "graph_id": name,
        "name": name,
        "description": summary or "The recipe that fits the settings and the session.",
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "version": 1,
        "created_at": SINCE,
        "updated_at": SINCE,
    }


def _found(search: AssistantSearch) -> list[dict[str, Any]]:
    rows = [_shown(name) for name in (DEFAULT, *(one.name for one in RECIPES))]
    wanted = search.metadata or {}
    return [
        row for row in rows
        if search.graph_id in (None, row["graph_id"])
        and (search.name or "").casefold() in row["name"]
        and all(row["metadata"].get(key) == value for key, value in wanted.items())
    ]  # fmt: skip


@router.post("/assistants/search", responses=problems(422))
def search_assistants(search: AssistantSearch) -> PlainResponse:
    """List assistants: one for each recipe, and `graticule`, which chooses."""
    found = _found(search)
    end = search.offset + search.limit
    headers = {"X-Pagination-Total": str(len(found))}
    if end < len(found):
        headers["X-Pagination-Next"] = str(end)
    rows = found[search.offset : end]
    if search.select:
        rows = [{key: row[key] for key in search.select if key in row} for row in rows]
    return PlainResponse(rows, headers=headers)


@router.post("/assistants/count", responses=problems(422))
def count_assistants(search: AssistantSearch) -> int:
    """Count assistants."""
    return len(_found(search))


@router.get("/assistants/{assistant}", responses=problems(404))
def get_assistant(assistant: str) -> dict[str, Any]:
    """Return an assistant by its UUID or its name."""
    return _shown(assistant_name(assistant))


@router.get("/assistants/{assistant}/graph", responses=problems(404))
def get_graph(assistant: str, request: Request) -> dict[str, Any]:
    """Return the drawing of the state machine, the same for all."""
    assistant_name(assistant)
    return dict(reading_graph(request).get_graph().to_json())


@router.get("/assistants/{assistant}/schemas", responses=problems(404))
def get_schemas(assistant: str, request: Request) -> PlainResponse:
    """Return the JSON schemas of input, state, output and configuration."""
    name, graph = assistant_name(assistant), reading_graph(request)
    options = SessionOptions.model_json_schema()
    return PlainResponse(
        {
            "graph_id": name,
            "input_schema": graph.get_input_jsonschema(),
            "output_schema": graph.get_output_jsonschema(),
            "state_schema": graph.get_output_jsonschema(),
            "config_schema": options,
            "context_schema": options,
        }
    )


@router.get("/assistants/{assistant}/subgraphs", responses=problems(404))
@router.get("/assistants/{assistant}/subgraphs/{namespace}", responses=problems(404))
def get_subgraphs(assistant: str, namespace: str = "") -> dict[str, Any]:
    """Return the graphs inside the state machine: none keeps sessions of its own."""
    assistant_name(assistant)
    return {}


@router.post("/assistants/{assistant}/versions", responses=problems(404))
def get_versions(assistant: str) -> list[dict[str, Any]]:
    """Return the versions of an assistant: one."""
    return [_shown(assistant_name(assistant))]


def reading_graph(request: Request) -> Any:
    """Return the graph that states are read with: its nodes are the same under all options."""
    sessions = context_of(request).sessions
    return sessions.graph(sessions.geolocators.get(SessionOptions()))
