"""Which point the answer names: the rules of the published recipes, and belief's own."""

from dataclasses import dataclass

from agent.recipes import Recipe
from agent.short_answers import SIMILAR, VERIFY
from agent.state import State
from tools.references import hits_of


@dataclass(frozen=True)
class Picked:
    """A point and the rule that chose it; without a point, belief chooses."""

    rule: str
    point: tuple[float, float] | None = None


def pick(recipe: Recipe, state: State) -> Picked:
    """Return the point that a recipe's rule picks, or belief where its material is missing."""
    if recipe.pick == "belief":
        return Picked("belief")
    found = {"verified": _verified, "answer": _answered, "first": _first}[recipe.pick](state)
    if found is None:
        return Picked(f"belief: the recipe picks {_WORDS[recipe.pick]}, and there is none")
    return Picked(_WORDS[recipe.pick], found)


_WORDS = {
    "verified": "the candidate that aligns best with the photo",
    "answer": "the model's answer",
    "first": "what was retrieved first",
}


def _verified(state: State) -> tuple[float, float] | None:
    for step in reversed(state["steps"]):
        if step.tool == VERIFY and step.outcome == "ok":
            rows = step.data.get("candidates")
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                return float(str(rows[0]["latitude"])), float(str(rows[0]["longitude"]))
    return None


def _answered(state: State) -> tuple[float, float] | None:
    for item in reversed(state["evidence"]):
        if item.tool == "diversify" and item.candidates:
            return item.candidates[0].latitude, item.candidates[0].longitude
    return None


def _first(state: State) -> tuple[float, float] | None:
    for item in state["evidence"]:
        if item.tool == "search_cells" and item.candidates:
            return item.candidates[0].latitude, item.candidates[0].longitude
    data = [step.data for step in state["steps"] if step.tool == SIMILAR]
    hits = hits_of(data)
    return (hits[0].latitude, hits[0].longitude) if hits else None
