"""The end of a recipe: short answers under references, clusters, the pool that is verified."""

from collections.abc import Sequence

from langchain_core.messages import ToolCall
from pydantic import JsonValue

import prompts
from agent.asker import Asker
from agent.budget import Budget, left_of
from agent.calls import announce
from agent.guessing import ANSWER_SCHEMA, Prompted, Short, ask_short, diversified
from agent.recipes import Recipe, References
from agent.state import State
from tools.evidence import short_id
from tools.references import (
    Reference,
    deduplicate,
    hits_of,
    name_places,
    reference_lines,
    rerank,
    spread_text,
    without,
)
from tools.workbench import Workbench

SIMILAR, DISSIMILAR = "search_similar_photos", "search_dissimilar_photos"
VERIFY = "verify_locations"
POOL = 100
"""Candidates that are verified at most."""


def ranked(recipe: Recipe, state: State) -> list[Reference]:
    """Return the similar photos in the recipe's order: as retrieved, or as clusters re-rank them.

    DualGeo's published rule counts several photos of one place as often as they are; what comes
    out names each place once in any case.
    """
    if (rule := recipe.clustering) is None:
        return found(state, SIMILAR)
    photos = found(state, SIMILAR, repeats=rule.rule == "dualgeo")
    return deduplicate(rerank(photos, rule.rule, rule.eps_km, rule.top))


def found(state: State, tool: str, *, repeats: bool = False) -> list[Reference]:
    """Return what searches by the whole photo, everywhere, found; the photo itself left out.

    What the loop searched by a part of it, by words or inside a region is no list of the photos
    most alike. A gallery that holds this very photo says so as evidence, not as a reference.
    """
    photo_id = state["photo_id"]
    whole: JsonValue = {"photo_id": photo_id, "box": None}
    data: list[dict[str, JsonValue]] = []
    for step in state["steps"]:
        galleries = step.data.get("galleries")
        if step.tool != tool or step.outcome != "ok" or not isinstance(galleries, list):
            continue
        kept = [one for one in galleries if isinstance(one, dict) and one.get("query") == whole]
        data.append({"galleries": [one for one in kept if not one.get("region")]})
    return hits_of(data, apart_from=photo_id, repeats=repeats)


def counts_of(asked: References, there: int) -> tuple[int, ...]:
    """Return the numbers of references to ask under, each once: no more than there are.

    Where a gallery has fewer than the recipe wants, the largest numbers fall together. The same
    prompt again would not be another view of the photo, so it is not asked.
    """
    return tuple(sorted({min(count, there) for count in asked.counts}))


def diversify(
    asker: Asker, bench: Workbench, recipe: Recipe, state: State, budget: Budget
) -> Short:
    """Ask for short answers under each number of references of the recipe."""
    assert recipe.references is not None
    asked = recipe.references
    similar = name_places(bench, ranked(recipe, state))
    dissimilar = name_places(bench, found(state, DISSIMILAR)) if asked.dissimilar else []
    counts = counts_of(asked, len(similar))
    if counts != tuple(sorted(asked.counts)):
        told = ", ".join(str(count) for count in counts)
        wanted = ", ".join(str(count) for count in sorted(asked.counts))
        text = f"{len(similar)} references, {wanted} wanted: asked under {told}"
        announce("notice", {"text": text})
    todo = [
        Prompted(
            text=_text(similar[:count], without(dissimilar, similar[:count])[:count]),
            label=f"{count} references",
            named=("diversify", "references") if count else ("diversify",),
            answers=asked.answers,
            temperature=asked.temperature,
            seed_offset=100 * (number + 1),
            shown=tuple(similar[:count]),
        )
        for number, count in enumerate(counts)
    ]
    photo = bench.photos.get(state["photo_id"])
    seconds = left_of(budget, state["spent"]).seconds
    answers = ask_short(
        asker, photo, todo, purpose="diversify", schema=ANSWER_SCHEMA, timeout_s=seconds
    )
    number = len(state["steps"]) + 1
    return diversified(answers, asker, bench, number, similar, state["evidence"])


def pool_of(recipe: Recipe, state: State, tools: Sequence[str]) -> ToolCall | None:
    """Return the call that verifies the pool: what the model answered, and the best photo.

    G3's pool (Jia et al., NeurIPS 2024): answers under every number of references, and the
    position of the most similar photo that is not this one.
    """
    if not recipe.verify or VERIFY not in tools:
        return None
    places: dict[tuple[float, float], str] = {}
    for item in state["evidence"]:
        if item.kind == "model":
            for c in item.candidates:
                places.setdefault((c.latitude, c.longitude), c.label or f"answer, {item.tool}")
    for hit in found(state, SIMILAR)[:1]:
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


def _plain(label: str) -> str:
    """Return a label without what tool arguments may not hold."""
    return "".join(letter for letter in label if letter.isprintable())[:200]


def _call(tool: str, args: dict[str, JsonValue]) -> ToolCall:
    return ToolCall(name=tool, args=args, id=short_id([tool, args], prefix="c"), type="tool_call")
