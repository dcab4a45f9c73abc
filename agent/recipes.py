"""Recipes: named, strict configurations of the one state machine.

A recipe says what is gathered first, whether a model guesses without tools, whether it goes on in
a loop, how many short answers it gives under how many references, how candidates are clustered
and verified, and which rule picks the answer. Published systems are rows here, with their figures.
"""

from typing import Literal

from pydantic import Field

from agent.abstain import Rule
from agent.budget import Budget
from geo.errors import InputError
from tools.evidence import Record

Prime = Literal[
    "read_metadata", "read_text", "search_similar_photos", "search_dissimilar_photos",
    "search_places", "search_cells", "use_hint",
]  # fmt: skip
Pick = Literal["belief", "answer", "verified", "first"]
"""The answer's point: what maximises expected score under belief; the model's own answer; the
candidate that aligns best with the photo; or the candidate that was retrieved or re-ranked first.
Its radii come from belief in every case."""


class References(Record):
    """Gallery photos shown to the model as coordinates with place names.

    Attributes:
        counts: numbers of similar references, one prompt for each; 0 asks without any. A gallery
            that has fewer is asked under what it has, each number once.
        dissimilar: whether as many of the least similar are named, as places it is not; none of
            the similar ones among them.
        answers: short answers for each prompt.
        temperature: of these answers; None takes the settings'.
    """

    counts: tuple[int, ...] = Field(min_length=1)
    dissimilar: bool = True
    answers: int = Field(default=1, ge=1, le=10)
    temperature: float | None = Field(default=None, ge=0, le=2)


class Clustering(Record):
    """Geographic clustering of retrieved candidates: re-ranks the references."""

    rule: Literal["robust", "dualgeo"]
    eps_km: float = Field(default=50.0, gt=0)
    top: int = Field(default=20, ge=2, le=100)


class Recipe(Record):
    """One configuration of the state machine.

    Attributes:
        source: publication it follows; empty for our own.
        family: encoder family it needs; empty takes any or none.
        galleries: kinds of gallery of which at least one must be open; empty asks for none.
        needs_model: whether a chat model must be configured.
        prime: tools run before anything else; those a run does not have are left out.
        retrieve: length of the shortlist of the gallery search in `prime`.
        prior: whether the model guesses first, without any tool.
        loop: whether a driver then calls tools until it commits.
        references: the short answers under references; None gives none.
        verify: whether candidates are scored in the alignment space at the end.
        point: how belief's point is chosen where belief picks, see `Belief.point`.
        tools: names of the tools of the loop; empty allows all.
    """

    name: str = Field(pattern=r"^[a-z0-9-]{2,30}$")
    summary: str
    source: str = ""
    family: str = ""
    galleries: tuple[Literal["photos", "places", "cells"], ...] = ()
    needs_model: bool = True
    prime: tuple[Prime, ...] = ()
    retrieve: int = Field(default=20, ge=1, le=200)
    prior: bool = False
    loop: bool = False
    references: References | None = None
    clustering: Clustering | None = None
    verify: bool = False
    pick: Pick = "belief"
    point: Rule = "loss"
    tools: tuple[str, ...] = ()
    trajectories: int = Field(default=1, ge=1, le=4)
    budget: Budget | None = None
    """Replaces the settings' budget."""

    @property
    def uses_model(self) -> bool:
        """Whether a chat model has any part in it, where one is there."""
        return self.needs_model or self.prior or self.references is not None


AUTO = "auto"

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="agentic",
        summary="A model guesses first, then calls all tools until it commits; short answers "
        "under references, clusters and alignment scores join in.",
        prior=True,
        loop=True,
        prime=("read_text", "search_similar_photos", "use_hint"),
        references=References(counts=(0, 10), answers=1),
        clustering=Clustering(rule="robust"),
        verify=True,
    ),
    Recipe(
        name="pipeline",
        summary="Every tool that the evidence makes worth asking, once, in a fixed order.",
        needs_model=False,
        loop=True,
    ),
    Recipe(
        name="retrieval-only",
        summary="What galleries and the encoder's places say, and nothing else.",
        needs_model=False,
        prime=("search_similar_photos", "search_places", "search_cells"),
    ),
    Recipe(
        name="g3",
        summary="20 short answers, five each under 0, 5, 10 and 15 references; of these and the "
        "most similar photo's place, the one that aligns best with the photo.",
        source="G3, Jia et al., NeurIPS 2024, arXiv:2405.14702",
        family="g3",
        galleries=("photos",),
        prime=("search_similar_photos", "search_dissimilar_photos"),
        references=References(counts=(0, 5, 10, 15), answers=5, temperature=0.7),
        verify=True,
        pick="verified",
    ),
    Recipe(
        name="street-rag",
        summary="One answer under similar and dissimilar photos found by SigLIP.",
        source="Street-Level Geolocalization with MLLMs and RAG, Bicakci et al., arXiv:2509.01341",
        family="siglip",
        galleries=("photos",),
        prime=("search_similar_photos", "search_dissimilar_photos"),
        references=References(counts=(20,)),
        pick="answer",
    ),
    Recipe(
        name="transgeoclip",
        summary="One answer under the 30 most similar photos.",
        source="TransGeoCLIP, Cui et al., arXiv:2606.08918",
        family="transgeoclip",
        galleries=("photos",),
        prime=("search_similar_photos", "search_dissimilar_photos"),
        retrieve=30,
        references=References(counts=(30,), temperature=1.2),
        pick="answer",
    ),
    Recipe(
        name="dualgeo",
        summary="One answer under the 20 most similar photos, re-ranked by geographic clusters.",
        source="DualGeo, Cui et al., ICME 2026, arXiv:2604.25533",
        family="dualgeo",
        galleries=("photos",),
        prime=("search_similar_photos", "search_dissimilar_photos"),
        references=References(counts=(20,)),
        clustering=Clustering(rule="dualgeo"),
        pick="answer",
    ),
    Recipe(
        name="continent",
        summary="The cell of the ground whose code is nearest, from coarse cells to fine.",
        source="Scaling Image Geo-Localization to Continent Level, Lindenberger et al., "
        "NeurIPS 2025, arXiv:2510.26795",
        family="cellcodes",
        galleries=("cells",),
        needs_model=False,
        prime=("search_cells",),
        pick="first",
    ),
)


def recipe_names() -> tuple[str, ...]:
    """Return the names of all recipes."""
    return tuple(recipe.name for recipe in RECIPES)


def find_recipe(name: str, *, has_model: bool) -> Recipe:
    """Return a recipe by name; `auto` is `agentic` with a model and `pipeline` without.

    Raises:
        InputError: there is no such recipe.
    """
    if name == AUTO:
        name = "agentic" if has_model else "pipeline"
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    known = ", ".join((AUTO, *recipe_names()))
    raise InputError(f"there is no recipe {name!r:.60}; choose one of {known}")
