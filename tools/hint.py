"""`use_hint`: turn what the person asking says about the place into evidence.

A hint is a claim: it weighs, it does not decide. It is read as a coordinate, else as names
of countries, regions and settlements.
"""

import re
from collections.abc import Sequence

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from geo.coordinate import Coordinate
from geo.errors import InputError
from geo.gazetteer import Place
from geo.named_areas import NamedArea
from geo.names import fold
from geo.regions import country_name
from geo.written_pairs import NULL_ISLAND
from tools.evidence import Candidate, Evidence, Rejection, ToolOutcome, ToolReply
from tools.workbench import Workbench

HINT_WEIGHT = 0.8
"""How far a person's hint is followed; contradicted by a verified match it loses."""
COORDINATE_KM = 5.0
LOCALITY_KM = 25.0
PLACES = 5
LEAST_SHARE = 0.05
"""Of what one name may mean, what has less of the most populous one's population is not meant."""
LONGEST_NAME = 4
"""Words in the longest place name that is tried."""
SHORTEST_NAME = 3
"""Letters of the shortest Latin name that is sought inside a sentence: "I" and "In" are towns."""
_WORDS = (
    "yes yeah yep no nope none never not maybe perhaps unknown unsure sure nobody nothing "
    "in on at of to it is we he so as by or an am "
    "the this that these those there here where when what who how why which "
    "and but for from with without near around about between into onto over under after before "
    "was were are has had have been will would can could may might must did does "
    "you your our their his her its they she him them me my mine "
    "one two three first second third last next "
    "spring summer autumn fall winter morning evening night day week month year today holiday "
    "january february march april june july august september october november december "
    "course trip photo picture friend family road "
    "ja nein oui non si sí nie nee nej tak sim não"
)
ORDINARY = frozenset(_WORDS.split())
"""What analysts answer that is also, somewhere, what a town is called."""


class HintArguments(BaseModel):
    """Arguments of `use_hint`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    hint: str = Field(description="The hint, word for word.", min_length=1, max_length=500)


def make_use_hint(bench: Workbench) -> BaseTool:
    """Make the tool that reads a person's hint."""

    def use_hint(hint: str) -> ToolReply:
        from tools.said import read_words

        if _null_island(hint):
            dropped = Rejection(value=hint[:80], reason=NULL_ISLAND)
            text = f"The hint {hint[:80]!r} says nothing: {NULL_ISLAND}."
            return text, ToolOutcome(rejected=(dropped,), data={"understood": False})
        said = read_words(hint, bench)
        told = [*(f"{one.summary} Evidence {one.id}." for one in said.evidence), *said.notes]
        if not told:
            told = [
                f"The hint {hint[:80]!r} names no coordinate, country, region or settlement that "
                "is known."
            ]
        understood: dict[str, JsonValue] = {"understood": bool(said.evidence)}
        return " ".join(told), ToolOutcome(evidence=said.evidence, data=understood)

    return StructuredTool.from_function(
        use_hint,
        name="use_hint",
        description="Read the hint of the person asking as a coordinate, countries or places.",
        args_schema=HintArguments,
        response_format="content_and_artifact",
    )


def hint_evidence(hint: str, bench: Workbench) -> Evidence | None:
    """Return what a person's words say about the place; None where they name none that is known.

    Args:
        hint: word for word, up to 500 letters.
        bench: its gazetteer knows the names.
    """
    return None if _null_island(hint) else as_coordinate(hint) or _as_names(hint, bench)


def _null_island(hint: str) -> bool:
    try:
        point = Coordinate.parse(hint)
    except InputError:
        return False
    return point.latitude == 0 and point.longitude == 0


def as_coordinate(hint: str) -> Evidence | None:
    """Return a hint that is nothing but a coordinate as evidence; None where it is more or less."""
    try:
        point = Coordinate.parse(hint)
    except InputError:
        return None
    return coordinate_evidence(point, hint)


def coordinate_evidence(point: Coordinate, hint: str) -> Evidence:
    """Return a coordinate that a person names as evidence, called as they wrote it."""
    candidate = Candidate(
        latitude=point.latitude,
        longitude=point.longitude,
        radius_km=COORDINATE_KM,
        score=1.0,
        rank=1,
        source="hint",
        kind="hint",
        label=hint[:80],
    )
    return _evidence(
        f"The person says that it is near {point.latitude:.7g}, {point.longitude:.7g}.",
        (candidate,),
        {},
    )


def _as_names(hint: str, bench: Workbench) -> Evidence | None:
    """Read settlements and areas inside the countries named, or else the countries alone."""
    phrases = _phrases(hint)
    meant = [phrase for phrase in phrases if not _is_part(phrase, phrases, bench)]
    codes = sorted({code for phrase in meant for code in bench.gazetteer.find_country(phrase)})
    found = _places(phrases, codes, bench)
    if found:
        total = sum(one.population + 1 for one in found)
        candidates = tuple(
            _candidate(one, (one.population + 1) / total, rank)
            for rank, one in enumerate(found, start=1)
        )
        names = " or ".join(candidate.label for candidate in candidates[:3])
        return _evidence(f"The person says that it is in {names}.", candidates, {})
    if codes:
        named = " or ".join(country_name(code) for code in codes)
        shares = {code: 1 / len(codes) for code in codes}
        return _evidence(f"The person says that it is in {named}.", (), shares)
    return None


def _is_part(phrase: str, phrases: list[str], bench: Workbench) -> bool:
    """Whether a phrase is a part of an area's name: New Mexico lies in another country."""
    longer = (one for one in phrases if f" {phrase} " in f" {one} " and one != phrase)
    return any(bench.gazetteer.find_areas(one) for one in longer)


def _candidate(one: Place | NamedArea, score: float, rank: int) -> Candidate:
    """Return a settlement within 25 km, or an area with its extent."""
    extent, reference = (
        (LOCALITY_KM, str(one.geoname_id)) if isinstance(one, Place) else (one.radius_km, "")
    )
    return Candidate(
        latitude=one.latitude,
        longitude=one.longitude,
        radius_km=extent,
        score=score,
        rank=rank,
        source="hint",
        kind="hint",
        label=", ".join(filter(None, (one.name, one.country))),
        reference=reference,
        country=one.country,
    )


def _places(phrases: list[str], codes: list[str], bench: Workbench) -> Sequence[Place | NamedArea]:
    """Return what the first phrase that names something names, the most populous first.

    A settlement in an area that is named too comes before all else: `Paris, Texas`. A region and a
    settlement of one name are both meant, by their population: so nobody's Tuscany is a suburb of
    Calgary, and New York is a state and a city.
    """
    named = {phrase: bench.gazetteer.find_areas(phrase) for phrase in phrases}
    for phrase in phrases:
        around = [area for other in phrases if other != phrase for area in named[other]]
        if found := _inside(phrase, around, bench):
            return found
    for phrase in phrases:
        country = bench.gazetteer.find_country(phrase)
        settled = [] if country else _settlements(phrase, codes or None, bench)
        alike: list[Place | NamedArea] = [*_areas(phrase, codes, bench), *settled]
        if alike:
            most = max(one.population for one in alike)
            kept = [one for one in alike if one.population >= LEAST_SHARE * most]
            return sorted(kept, key=lambda one: -one.population)
    return []


def _inside(phrase: str, areas: list[NamedArea], bench: Workbench) -> list[Place]:
    """Return the settlements called so in areas that other phrases name."""
    if not areas or bench.gazetteer.find_country(phrase):
        return []
    members = {member for area in areas for member in area.members}
    found = _settlements(phrase, sorted({country for country, _ in members}), bench, limit=200)
    return [place for place in found if (place.country, place.admin1) in members][:PLACES]


def _areas(phrase: str, codes: list[str], bench: Workbench) -> list[NamedArea]:
    """Return the areas called so, inside the countries named.

    Of a name that is a country's own, only where another country is named with it: `Georgia, USA`.
    Scotland is an area though it is called a country: it lies in another one.
    """
    called = bench.gazetteer.find_country(phrase)
    if fold(phrase) not in {fold(country_name(code)) for code in called}:
        return bench.gazetteer.find_areas(phrase, codes or None)
    others = [code for code in codes if code not in called]
    return bench.gazetteer.find_areas(phrase, others) if others else []


def _settlements(
    phrase: str, codes: list[str] | None, bench: Workbench, limit: int = PLACES
) -> list[Place]:
    found = bench.gazetteer.find(phrase, countries=codes, limit=limit, fuzzy=False)
    return [place for place in found if not _is_code(place.matched, phrase)]


def _is_code(name: str, phrase: str) -> bool:
    """Whether a word met an airport's code (YES is Yasuj, THE Teresina) and was not written so."""
    return len(name) == 3 and name.isascii() and name.isupper() and not phrase.isupper()


def _phrases(hint: str) -> list[str]:
    """Return runs of words that could be names, longest first; lower-case words are no names."""
    words = re.findall(r"[\w'’.-]+", hint)
    named = [word if not word[0].islower() else "" for word in words]
    if not any(named):
        named = words
    runs = [
        " ".join(words[start : start + length])
        for length in range(min(LONGEST_NAME, len(words)), 0, -1)
        for start in range(len(words) - length + 1)
        if named[start] and named[start + length - 1]
    ]
    return [run for run in dict.fromkeys(runs) if _may_name(run, alone=run == hint.strip())][:40]


def _may_name(run: str, *, alone: bool) -> bool:
    """Whether a run of words may be a name, and not only what sentences are made of."""
    words = run.casefold().split()
    if all(word in ORDINARY or not any(letter.isalpha() for letter in word) for word in words):
        return False
    return alone or not run.isascii() or len(run) >= SHORTEST_NAME


def _evidence(
    summary: str, candidates: tuple[Candidate, ...], countries: dict[str, float]
) -> Evidence:
    return Evidence(
        tool="use_hint",
        kind="hint",
        summary=summary,
        candidates=candidates,
        countries=countries,
        weight=HINT_WEIGHT,
        group="hint",
    )
