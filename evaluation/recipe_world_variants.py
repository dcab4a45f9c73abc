"""What the recipe bench runs: every recipe, and two of them without one tool after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.recipes import RECIPES, Recipe, find_recipe
from evaluation.recipe_world_analyst import DEFAULT_PROFILE, PROFILES
from evaluation.runs import RunRow

OWN = "g3"
"""The encoder that recipes without a family of their own are given."""
LOOPS = ("pipeline", "agentic")
TAKEN: dict[str, tuple[str, ...]] = {
    "pipeline": (
        "search_similar_photos", "search_places", "search_cells", "read_text", "look_up_clue",
        "find_place", "verify_locations", "cluster_candidates", "reverse_geocode",
    ),
    "agentic": (
        "prior", "references", "search_similar_photos", "search_places", "search_cells",
        "read_text", "look_up_clue", "find_place", "verify_locations", "clustering",
    ),
}  # fmt: skip
"""What is taken away in turn: tools, and of `agentic` stages, too. `pipeline` has no stages."""
ACTS_BY: dict[str, tuple[str, ...]] = {
    "read_text": ("look_up_clue", "find_place"),
    "look_up_clue": ("look_up_clue", "find_place"),
    "find_place": ("find_place",),
    "cluster_candidates": (),
    "reverse_geocode": (),
}
"""Tools whose evidence is all that these change: without it, an answer is the same without them."""
CHECKED = 2
"""Photos of each part of a world that such a tool is taken from all the same."""


@dataclass(frozen=True)
class Variant:
    """One configuration that every query of a world goes through.

    Attributes:
        profile: of the analyst in the model's place; empty where there is none.
        without: the tool or stage that was taken away; empty where all is there.
    """

    recipe: str
    profile: str = ""
    without: str = ""

    @property
    def name(self) -> str:
        """Of its folder and its row."""
        who = f"-{self.profile}" if self.profile else ""
        return f"{self.recipe}{who}" + (f"-without-{self.without}" if self.without else "")

    @property
    def whole(self) -> "Variant":
        """The same with everything there."""
        return Variant(self.recipe, self.profile)


def variants(recipes: Sequence[str], profiles: Sequence[str], *, ablate: bool) -> list[Variant]:
    """Return every recipe with one analyst, `agentic` with all, then the ablations."""
    found = []
    for recipe in RECIPES:
        if recipe.name in recipes:
            asked = profiles if recipe.name == "agentic" else (ablated_profile(profiles),)
            asked = asked if recipe.needs_model or recipe.prior else ("",)
            found += [Variant(recipe.name, profile) for profile in asked]
    for name in LOOPS if ablate else ():
        if name in recipes:
            who = ablated_profile(profiles) if name == "agentic" else ""
            found += [Variant(name, who, tool) for tool in TAKEN[name]]
    return found


def ablated_profile(profiles: Sequence[str]) -> str:
    """Return which analyst ablations are run with."""
    return DEFAULT_PROFILE if DEFAULT_PROFILE in profiles else profiles[0]


def acts(variant: Variant, whole: RunRow, number: int) -> bool:
    """Whether a photo must be located without the tool: it had a part, or the photo is checked.

    Args:
        variant: an ablation.
        whole: what the whole recipe said of the photo.
        number: of the photo, from 0.
    """
    by = ACTS_BY.get(variant.without)
    return by is None or number < CHECKED or any(item.tool in by for item in whole.evidence)


def recipe_of(variant: Variant, tools: Sequence[str]) -> Recipe:
    """Return a variant's recipe: that of its name, less what was taken away.

    Args:
        variant: what is run.
        tools: names of all tools there are.
    """
    recipe, taken = find_recipe(variant.recipe, has_model=bool(variant.profile)), variant.without
    if not taken:
        return recipe
    gone = {"clustering": "cluster_candidates"}.get(taken, taken)
    update: dict[str, object] = {
        "prime": tuple(name for name in recipe.prime if name != gone),
        "tools": tuple(name for name in tools if name != gone),
    }
    if taken == "prior":
        update["prior"] = False
    elif taken == "references":
        update["references"] = None
    elif taken == "clustering":
        update["clustering"] = None
    elif taken == "verify_locations":
        update["verify"] = False
    return recipe.model_copy(update=update)


def galleries_of(variant: Variant) -> tuple[str, ...]:
    """Return the galleries of `recipe_world_encoders` that a variant searches."""
    recipe = find_recipe(variant.recipe, has_model=bool(variant.profile))
    if recipe.galleries == ("cells",):
        return ("cells",)
    return (recipe.family,) if recipe.family else (OWN, "cells")


def encoder_of(variant: Variant) -> str:
    """Return the family that aligns photos with places for a variant."""
    return find_recipe(variant.recipe, has_model=bool(variant.profile)).family or OWN


ALL_PROFILES = tuple(PROFILES)
ALL_RECIPES = tuple(recipe.name for recipe in RECIPES)
