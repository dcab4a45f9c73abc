"""The `look_up_clue` tool: what strings read on a photo say about the country.

Knows how clues are weighed together into one honest distribution. The model:

    P(country | text)  ~  prior(country) * P(languages of the lines | country)
                          * product over kinds of clue of their likelihood ratios

* Languages. A sign has one main language; each line is in it with probability `MAIN_SHARE`,
  otherwise in any language of the country's signs. Lines count by legibility and length.
* Clues of one kind are dependent: the k-th counts 1 / k.
* Every clue may be wrong: none multiplies a country by less than its floor, and the share
  that goes to no country at all shrinks as legible letters and kinds of clue are added.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tools.clues_formats import driving_clue, format_clues
from tools.clues_language import (
    country_shares_of_lines,
    likely_languages,
    line_likelihood,
    load_models,
)
from tools.clues_prior import Floats, countries, photo_prior
from tools.clues_usage import Clue, usage_clues
from tools.evidence import Evidence, Record, Share, ToolError, ToolOutcome, ToolReply
from tools.overlays import is_overlay

if TYPE_CHECKING:
    from tools.workbench import Workbench

MAX_TEXTS = 60
MAX_LENGTH = 300
TEMPERATURE = 0.7
"""Posterior log-odds are divided by this: the caution of every part adds up to too much. Close-ups
of signs from eight countries, one country left out at a time, ask for 0.4 to 0.6; 0.7 leaves
room for the countries and kinds of photo that were not among them."""
WRONG_SHARE = 0.03
"""How often legible text misleads altogether: imported goods, tourists' signs, misreadings."""
DOUBT_LETTERS = 2.0
"""Letters that halve the doubt about a text too short to tell."""
SMALLEST_SHARE = 0.001
DIGITS = 10**9
"""Parts that shares of countries are told in."""
SHOWN_CLUES = 12


class CountryClues(Record):
    """What text says about the country."""

    shares: dict[str, Share]
    """Probability by ISO 3166-1 alpha-2 code, largest first; the rest of 1 is unknown."""
    clues: tuple[Clue, ...] = ()
    languages: tuple[tuple[str, float], ...] = ()
    """The likeliest languages (ISO 639) and their share of the letters."""

    @property
    def known(self) -> float:
        """Return the probability that the text tells the country at all."""
        return min(1.0, sum(self.shares.values()))


def country_clues(
    lines: Sequence[str],
    confidences: Sequence[float] | None = None,
    driving_side: Literal["left", "right"] | None = None,
) -> CountryClues:
    """Return what lines of text say about the country they were photographed in.

    A pure function: the order of lines does not matter and a line repeated counts once.

    Args:
        lines: strings as read, in any language; the first `MAX_TEXTS` different ones, sorted
            by legibility, are used, each up to `MAX_LENGTH` characters.
        confidences: how sure the reader is of each, 0 to 1; all sure by default.
        driving_side: side of the road traffic keeps, where it is seen.

    Raises:
        ValueError: `confidences` has another length than `lines`.
    """
    read = _distinct(lines, confidences)
    clues = [clue for line, _ in read for clue in (*usage_clues(line), *format_clues(line))]
    if driving_side is not None:
        clues.append(driving_clue(driving_side))
    told = [line for line, _ in read if line_likelihood(line) is not None]
    known = (1 - WRONG_SHARE) * (1 - _doubt(read, clues))
    if not told and not clues:
        return CountryClues(shares={})
    score = np.log(photo_prior()) + country_shares_of_lines(read) + _clue_score(clues)
    score /= TEMPERATURE
    posterior = np.exp(score - score.max())
    posterior *= known / posterior.sum()
    order = np.argsort(-posterior, kind="stable")
    shares = {countries()[i]: float(posterior[i]) for i in order if posterior[i] > SMALLEST_SHARE}
    clues.sort(key=lambda clue: (clue.floor, clue.kind, clue.text, clue.why))
    return CountryClues(shares=shares, clues=tuple(clues), languages=tuple(likely_languages(told)))


def warm() -> None:
    """Load the language models, seconds on a slow machine, so that the first look-up is quick.

    Other threads go on meanwhile; those that look up text wait.
    """
    load_models()
    country_clues(["warm up the language models"])


def _doubt(read: Sequence[tuple[str, float]], clues: Sequence[Clue]) -> float:
    """Return how likely text this short tells nothing: less with every letter and kind of clue."""
    letters = sum(sum(c.isalpha() for c in line) * sure for line, sure in read)
    floors: dict[str, float] = {}
    for clue in clues:
        floors[clue.kind] = min(clue.floor, floors.get(clue.kind, 1.0))
    return float(0.5 ** (1 + letters / DOUBT_LETTERS) * np.prod(list(floors.values())))


def _distinct(lines: Sequence[str], confidences: Sequence[float] | None) -> list[tuple[str, float]]:
    if confidences is not None and len(confidences) != len(lines):
        raise ValueError(f"{len(confidences)} confidences for {len(lines)} lines; give one each")
    best: dict[str, float] = {}
    for line, sure in zip(lines, confidences or [1.0] * len(lines), strict=True):
        text = " ".join(line[:MAX_LENGTH].split())
        if text:
            best[text] = max(best.get(text, 0.0), min(1.0, max(0.0, sure)))
    ordered = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
    return sorted(ordered[:MAX_TEXTS])


def _clue_score(clues: Sequence[Clue]) -> Floats:
    """Return the log likelihood ratio of all clues together, `[C]`."""
    total = np.zeros(len(countries()))
    for kind in sorted({clue.kind for clue in clues}):
        ratios: dict[str, tuple[float, Floats]] = {}
        for clue in clues:
            if clue.kind == kind:
                ratios[clue.why] = (clue.floor, _ratio(clue))
        ordered = sorted(ratios.items(), key=lambda pair: (pair[1][0], pair[0]))
        for rank, (_, (_, ratio)) in enumerate(ordered, start=1):
            total += ratio / rank
    return total


def _ratio(clue: Clue) -> Floats:
    shares = np.array([clue.countries.get(code, 0.0) for code in countries()])
    return np.asarray(np.log(clue.floor + (1 - clue.floor) * shares))


class ClueArguments(BaseModel):
    """Arguments of `look_up_clue`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    texts: list[Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]] = Field(
        default_factory=list,
        max_length=MAX_TEXTS,
        description="Lines read on the photo, word for word, one string each; no overlays",
    )
    driving_side: Literal["left", "right"] | None = Field(
        default=None, description="Side of the road that traffic keeps, only if it is seen"
    )


def make_look_up_clue(bench: "Workbench") -> BaseTool:
    """Return the `look_up_clue` tool."""

    def look_up_clue(
        texts: Sequence[str] = (), driving_side: Literal["left", "right"] | None = None
    ) -> ToolReply:
        if not texts and driving_side is None:
            raise ToolError("nothing to look up; give texts, driving_side or both")
        kept = [text for text in texts if not is_overlay(text)]
        return _reply(country_clues(kept, driving_side=driving_side))

    return StructuredTool.from_function(
        look_up_clue,
        name="look_up_clue",
        description=(
            "Tell which countries texts from a photo point to: languages and scripts, telephone "
            "numbers, web addresses, postal codes, prices, number plates, legal forms, road "
            "signs, regional words, and the driving side. Give all lines of the photo in one "
            "call. Returns country shares."
        ),
        args_schema=ClueArguments,
        response_format="content_and_artifact",
    )


def clue_evidence(found: CountryClues) -> Evidence | None:
    """Return what text says as evidence, or None where it says nothing.

    The shares are those given that the text tells the country; the weight is how often it does.
    """
    share = found.known
    if not found.shares or share <= 0:
        return None
    ranked = ", ".join(f"{code} {part:.0%}" for code, part in list(found.shares.items())[:5])
    spoken = ", ".join(f"{code} {part:.0%}" for code, part in found.languages) or "not told"
    reasons = "; ".join(
        f"{clue.kind}: {clue.why} in {clue.text[:60]!r}" for clue in found.clues[:SHOWN_CLUES]
    )
    summary = f"Text points to {ranked} (languages: {spoken})."
    # Cut, so that sums taken in another order say the same to the last digit, and are one piece of
    # evidence. Rounded up, they could add up to more than 1.
    cut = {code: int(part / share * DIGITS) / DIGITS for code, part in found.shares.items()}
    return Evidence(
        tool="look_up_clue",
        kind="text",
        summary=f"{summary} Clues, quoting the photo: {reasons}." if reasons else summary,
        countries=cut,
        weight=share,
        group="text",
    )


def _reply(found: CountryClues) -> ToolReply:
    evidence = clue_evidence(found)
    data: dict[str, JsonValue] = found.model_dump(mode="json")
    if evidence is None:
        return "The texts do not tell the country.", ToolOutcome(data=data)
    text = f"{evidence.summary} Evidence {evidence.id}."
    return text, ToolOutcome(evidence=(evidence,), data=data)
