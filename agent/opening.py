"""The beginning of a run: the photo, the first message, and the calls a recipe starts with."""

import time
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, ToolCall
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.types import Overwrite
from pydantic import JsonValue

import prompts
from agent.budget import Budget, Spent, left_of
from agent.calls import announce, load_libraries
from agent.drivers import Driver
from agent.images import image_in_messages, without_images
from agent.recipes import Recipe
from agent.state import InputState, State, spoken, unanswered
from agent.turns import OPENING, ours
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError
from tools.evidence import short_id
from tools.workbench import Workbench

MAX_HINT_LETTERS = 500


def opened(
    state: InputState,
    bench: Workbench,
    budget: Budget,
    recipe: Recipe,
    driver: Driver,
    tools: Sequence[BaseTool],
) -> dict[str, Any]:
    """Return the state that a run begins with.

    Raises:
        InputError: no photo is given, or it cannot be used.
    """
    began = time.monotonic()
    given = state.get("messages", [])
    # Who converses reads the person's words as they stand.
    hint = state.get("hint") or ("" if driver.converses else _words_of(given))
    photo_id = _photo_of(state, bench)
    photo = bench.photos.get(photo_id)
    views = [one for one in dict.fromkeys(state.get("views") or ()) if one != photo.id]
    for view in views:
        bench.photos.get(view)
    load_libraries()
    encoder = _encoder(bench)
    text = prompts.load("observe").render(
        photo_id=photo.id,
        width=photo.width,
        height=photo.height,
        galleries=", ".join(printable(gallery.name) for gallery in bench.galleries) or "none",
        hint=printable(hint or "none", MAX_HINT_LETTERS),
        budget=left_of(budget, Spent()).text,
    )
    announce(
        "photo",
        {
            "photo_id": photo.id,
            "name": photo.name,
            "width": photo.width,
            "height": photo.height,
            "hint": hint,
            "trust_metadata": bool(state.get("trust_metadata", False)),
            "recipe": recipe.name,
            "driver": driver.name,
            "encoder": dict(encoder),
            "prompts_sha256": {name: prompts.load(name).sha256 for name in prompts.names()},
            "tools_sha256": dict(tool_hashes(tools)),
            "budget": budget.model_dump(mode="json"),
        },
    )
    shown = {"type": "photo", "photo_id": photo.id, "caption": OPENING}
    return {
        "photo_id": photo.id,
        "photos": [photo.id, *views],
        "views": [],
        "fresh": views,
        "region": None,
        "withdraw": [],
        "restore": [],
        "withdrawn": [],
        "anew": False,
        "heard": [one.id or "" for one in given if isinstance(one, HumanMessage)],
        "revision": 0,
        "hint": hint,
        "trust_metadata": state.get("trust_metadata", False),
        # Pixels are in the store by now: the same messages again, without them.
        "messages": [*without_images(given), ours([{"type": "text", "text": text}, shown])],
        "encoder": encoder,
        # What an earlier run of the session found is about another photo, or is found again.
        "evidence": Overwrite([]),
        "rejected": Overwrite([]),
        "steps": Overwrite([]),
        "belief": None,
        "spent": Spent(seconds=time.monotonic() - began),
        "conflicts": Overwrite([]),
        **unanswered(),
    }


def prime_calls(recipe: Recipe, state: State, tools: Sequence[str]) -> list[ToolCall]:
    """Return the calls a recipe starts with, of the tools there are."""
    arguments: dict[str, dict[str, JsonValue]] = {
        "search_similar_photos": {"limit": recipe.retrieve},
        "search_dissimilar_photos": {"limit": recipe.retrieve},
    }
    calls = []
    for name in recipe.prime:
        if name not in tools or (name == "use_hint" and not state.get("hint")):
            continue
        args: dict[str, JsonValue] = {"hint": state.get("hint", "")}
        if name != "use_hint":
            args = {"photo_id": state["photo_id"], **arguments.get(name, {})}
        call_id = short_id([name, args], prefix="c")
        calls.append(ToolCall(name=name, args=args, id=call_id, type="tool_call"))
    return calls


def tool_hashes(tools: Sequence[BaseTool]) -> dict[str, str]:
    """Return a short hash of what a model is told about each tool: descriptions are prompts."""
    return {tool.name: _hashed(tool) for tool in tools}


_HASHES: dict[tuple[str, str, type], str] = {}


def _hashed(tool: BaseTool) -> str:
    """Return the hash of one tool; what makes it is the same in every run of a process."""
    shape = tool.args_schema
    if not isinstance(shape, type):
        return short_id(convert_to_openai_tool(tool), prefix="t")
    key = tool.name, tool.description, shape
    if key not in _HASHES:
        _HASHES[key] = short_id(convert_to_openai_tool(tool), prefix="t")
    return _HASHES[key]


def _encoder(bench: Workbench) -> dict[str, str]:
    """Load the encoder in this one thread; without it, its evidence will be missing."""
    try:
        encoder = bench.encoder
        card = encoder.card if encoder else None  # a service is asked for it now
    except GeolocationError as error:
        return {"unavailable": str(error)}
    return {"name": card.name, "fingerprint": card.fingerprint} if card else {}


def _words_of(messages: Sequence[AnyMessage]) -> str:
    """Return what a person wrote beside the photo: a claim about the place, if it is one."""
    said = " ".join(spoken(messages)[-1:])
    return printable(" ".join(said.split()), MAX_HINT_LETTERS)


def _photo_of(state: InputState, bench: Workbench) -> str:
    """Return the photo's id; an image that came with a message is newer than an id in the state."""
    image = image_in_messages(state.get("messages", []))
    if image is not None:
        return bench.photos.add(image).id
    if not (photo_id := state.get("photo_id")):
        raise InputError("no photo: give `photo_id`, or a message with an image in it")
    return photo_id
