"""The end of a recipe: short answers under references, clusters, the pool that is verified."""

from collections.abc import Sequence

from langchain_core.messages import ToolCall
from pydantic import JsonValue

import prompts
from agent.answer import Step
from agent.asker import Asker
from agent.budget import Budget, left_of
from agent.guessing import ANSWER_SCHEMA, Prompted, Short, ask_short, diversified
from agent.recipes import Recipe
from agent.state import State
from tools.evidence import short_id
from tools.references import (
    Reference,
    hits_of,
    name_places,
    reference_lines,
    rerank,
    spread_text,
)
from tools.workbench import Workbench

SIMILAR, DISSIMILAR = "search_similar_photos", "search_dissimilar_photos"
VERIFY = "verify_locations"
POOL = 100
"""Candidates that are verified at most."""


def references(bench: Workbench, recipe: Recipe, steps: Sequence[Step]) -> list[Reference]:
    """Return the similar photos as references: as retrieved, or as the clusters re-rank them."""
    found = hits_of(_data(steps, SIMILAR))
    if (rule := recipe.clustering) is not None:
        found = rerank(found, rule.rule, rule.eps_km, rule.top)
    return name_places(bench, found)


def diversify(
    asker: Asker, bench: Workbench, recipe: Recipe, state: State, budget: Budget
) -> Short:
    """Ask for short answers under each number of references of the recipe."""
    assert recipe.references is not None
    asked = recipe.references
    similar = references(bench, recipe, state["steps"])
    dissimilar = name_places(bench, hits_of(_data(state["steps"], DISSIMILAR)))
    counts = sorted({min(count, len(similar)) for count in asked.counts})
    todo = [
        Prompted(
            text=_text(similar[:count], dissimilar[:count] if asked.dissimilar else []),
            label=f"{count} references",
            named=("diversify", "references") if count else ("diversify",),
            answers=asked.answers,
            temperature=asked.temperature,
            seed_offset=100 * (number + 1),
        )
        for number, count in enumerate(counts)
    ]
    photo = bench.photos.get(state["photo_id"])
    seconds = left_of(budget, state["spent"]).seconds
    answers = ask_short(
        asker, photo, todo, purpose="diversify", schema=ANSWER_SCHEMA, timeout_s=seconds
    )
    return diversified(answers, asker, bench, len(state["steps"]) + 1, similar)


def pool_of(recipe: Recipe, state: State, tools: Sequence[str]) -> ToolCall | None:
    """Return the call that verifies the pool: what the model answered, and the best photo.

    G3's pool (Jia et al., NeurIPS 2024): answers under every number of references, and the
    position of the most similar photo.
    """
    if not recipe.verify or VERIFY not in tools:
        return None
    places: dict[tuple[float, float], str] = {}
    for item in state["evidence"]:
        if item.kind == "model":
            for c in item.candidates:
                places.setdefault((c.latitude, c.longitude), c.label or f"answer, {item.tool}")
    for hit in hits_of(_data(state["steps"], SIMILAR))[:1]:
        places.setdefault((hit.latitude, hit.longitude), "the most similar photo")
    if not places:
        return None
    listed: list[JsonValue] = [
        {"latitude": latitude, "longitude": longitude, "label": _plain(label)}
        for (latitude, longitude), label in list(places.items())[:POOL]
    ]
    return _call(VERIFY, {"photo_id": state["photo_id"], "candidates": listed})


def _text(similar: Sequence[Reference], dissimilar: Sequence[Reference]) -> str:
    told = ""
    if similar:
        told = prompts.load("references").render(
            count=len(similar),
            similar=reference_lines(similar),
            dissimilar=reference_lines(dissimilar) if dissimilar else "",
            spread=spread_text(similar),
        )
    return prompts.load("diversify").render(references=told)


def _data(steps: Sequence[Step], tool: str) -> list[dict[str, JsonValue]]:
    return [step.data for step in steps if step.tool == tool and step.outcome == "ok"]


def _plain(label: str) -> str:
    """Return a label without what tool arguments may not hold."""
    return "".join(letter for letter in label if letter.isprintable())[:200]


def _call(tool: str, args: dict[str, JsonValue]) -> ToolCall:
    return ToolCall(name=tool, args=args, id=short_id([tool, args], prefix="c"), type="tool_call")
