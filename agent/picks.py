"""Which point the answer names: the rules of the published recipes, and belief's own."""

from collections import Counter
from dataclasses import dataclass

from pydantic import JsonValue

from agent.answer import Step
from agent.recipes import Recipe
from agent.short_answers import VERIFY, ranked
from agent.state import State
from tools.proposed import read_place

AXES = ("latitude", "longitude")
LARGEST = 1e6
"""No sum of cosines comes near; NaN and infinity are not below it."""

RULES = {
    "verified": "the candidate that aligns best with the photo",
    "answer": "the model's answer",
    "first": "what was retrieved first",
}


@dataclass(frozen=True)
class Picked:
    """A point and the rule that chose it; without a point, belief chooses.

    Attributes:
        call_id: of the call that the point came from.
    """

    rule: str
    point: tuple[float, float] | None = None
    call_id: str = ""

    def words(self, recipe: str) -> str:
        """Return a sentence for people; none where belief was to choose anyway."""
        if self.point:
            return f"The point is {self.rule} (recipe {recipe}) [{self.call_id}]."
        why = self.rule.partition(": ")[2]
        return f"The point is that of belief: {why}." if why else ""


def pick(recipe: Recipe, state: State) -> Picked:
    """Return the point that a recipe's rule picks, or belief where its material is missing."""
    if recipe.pick == "belief":
        return Picked("belief" if recipe.point == "loss" else f"belief ({recipe.point})")
    found = {"verified": _verified, "answer": _answered, "first": _first}[recipe.pick]
    wanted = RULES[recipe.pick]
    none = Picked(f"belief: recipe {recipe.name} picks {wanted}, and there is none")
    return found(wanted, recipe, state) or none


def _verified(rule: str, recipe: Recipe, state: State) -> Picked | None:
    for step in reversed(state["steps"]):
        if step.tool == VERIFY and step.outcome == "ok":
            rows = step.data.get("candidates")
            points = map(_point, rows if isinstance(rows, list) else ())
            if point := next(filter(None, points), None):
                return Picked(rule, point, step.call_id)
    return None


def _point(row: JsonValue) -> tuple[float, float] | None:
    """Return the coordinate of a row of a tool's data, or None where it names no place."""
    latitude, longitude = (row.get(key) for key in AXES) if isinstance(row, dict) else (None, None)
    place = read_place(latitude, longitude)
    if isinstance(place, str):
        return None
    exact = float(str(latitude)), float(str(longitude))
    return exact if abs(exact[1]) <= 180 else place


def _answered(rule: str, recipe: Recipe, state: State) -> Picked | None:
    """Return the answer; of several, the most frequent, and of those the southernmost."""
    for step in reversed(state["steps"]):
        if points := _short_answers(step):
            counted = Counter(points)
            most = min(counted, key=lambda point: (-counted[point], point))
            return Picked(rule, most, step.call_id)
    return None


def _short_answers(step: Step) -> list[tuple[float, float]]:
    """Return the coordinates of a step's short answers, to 11 m, repeated where given again."""
    rows = step.data.get("answers") if step.tool == "diversify" else None
    held = rows if isinstance(rows, list) else []
    guesses = [row.get("guess") for row in held if isinstance(row, dict)]
    points = [point for guess in guesses if (point := _point(guess))]
    return [(round(latitude, 4), round(longitude, 4)) for latitude, longitude in points]


def _first(rule: str, recipe: Recipe, state: State) -> Picked | None:
    """Return the best cell of all galleries of the first one's encoder, or the first photo.

    Of equally good cells the southernmost, whatever gallery was asked first.
    """
    cells: list[tuple[float, float, float, str]] = []
    made_by = None
    for step in state["steps"]:
        galleries = step.data.get("galleries") if step.tool == "search_cells" else None
        for gallery in galleries if isinstance(galleries, list) else ():
            rows = gallery.get("candidates") if isinstance(gallery, dict) else None
            if not isinstance(gallery, dict) or not isinstance(rows, list) or not rows:
                continue
            made_by = made_by or gallery.get("encoder")
            best = rows[0] if isinstance(rows[0], dict) else {}
            cosine, point = best.get("cosine"), _point(best)
            if gallery.get("encoder") == made_by and point and _is_number(cosine):
                cells.append((-float(str(cosine)), *point, step.call_id))
    if cells:
        _, latitude, longitude, call_id = min(cells)
        return Picked(rule, (latitude, longitude), call_id)
    call_ids = [step.call_id for step in state["steps"] if step.tool == "search_similar_photos"]
    hits = ranked(recipe, state)
    return Picked(rule, (hits[0].latitude, hits[0].longitude), call_ids[0]) if hits else None


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
