"""What LangGraph's clients ask a server first: whether it is there, and what it can do."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter

router = APIRouter(tags=["about"])
FLAGS = {
    "assistants": True,
    "crons": False,
    "langsmith": False,
    "langsmith_tracing_replicas": False,
}


@router.get("/ok")
def say_ok() -> dict[str, bool]:
    """Say that the server is there."""
    return {"ok": True}


@router.get("/info")
def get_info() -> dict[str, Any]:
    """Return versions, and which parts of LangGraph's API there are."""
    return {
        "version": version("graticule"),
        "langgraph_py_version": version("langgraph"),
        "flags": FLAGS,
        "host": {"kind": "self-hosted", "project_id": None, "revision_id": None},
    }
