"""`find_place` and `reverse_geocode`: place names to coordinates and back.

A place name alone is no evidence: half the names of the world exist twice, and OCR invents
others. It counts only inside a country that another clue already points to.
"""

import math
from typing import Annotated

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from geo.gazetteer import Place
from geo.geocoders import Geocoder
from geo.names import fold
from tools.evidence import (
    Candidate,
    Evidence,
    Latitude,
    Longitude,
    Rejection,
    ToolError,
    ToolOutcome,
    ToolReply,
)
from tools.overlays import is_overlay
from tools.workbench import Workbench

EXACT_WEIGHT = 0.6
"""How often the name of a large town, read in a photo in its country, is where that photo was
taken. Signs also point to other towns and shops are named after them."""
FUZZY_WEIGHT = 0.1
"""The same for a misspelling, a code or a machine romanisation."""
HALF_WEIGHT_POPULATION = 5_000
"""Population at which a name weighs half of that: few photos are taken in hamlets, and so many
bear the names of things and families that a chance agreement is the likelier explanation."""
EXACT_SCORE = 0.95
"""`Place.score` from which a name counts as spelled so."""

CountryCode = Annotated[str, Field(pattern="^[A-Z]{2}$", max_length=2)]


class FindPlaceArguments(BaseModel):
    """Arguments of `find_place`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(
        description="Name of a town or village as written, any script. `Springfield, Illinois` "
        "narrows it. No streets, shops or landmarks.",
        min_length=1,
        max_length=120,
    )
    countries: list[CountryCode] | None = Field(
        default=None,
        description="ISO 3166-1 alpha-2 codes that another clue (language, plate, phone code, "
        "domain) points to. Without them the result is shown but does not count as evidence.",
        max_length=20,
    )
    limit: int = Field(default=5, description="Most places returned.", ge=1, le=20)


class ReverseGeocodeArguments(BaseModel):
    """Arguments of `reverse_geocode`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    latitude: Latitude = Field(description="Degrees WGS84, north positive.")
    longitude: Longitude = Field(description="Degrees WGS84, east positive.")


def make_find_place(bench: Workbench, geocoder: Geocoder | None = None) -> BaseTool:
    """Make the tool that looks up a place name; in the gazetteer unless `geocoder` is given."""

    def find_place(name: str, countries: list[str] | None = None, limit: int = 5) -> ToolReply:
        if is_overlay(name):
            return _refused(name, "words put there by an app, agency or camera are no place names")
        codes = _checked(countries)
        asked = geocoder or bench.gazetteer
        places = asked.find(name, countries=codes or None, limit=limit)
        if not places:
            return _nothing(name, codes, asked, bench.gazetteer.find_country(name))
        evidence = _evidence(name, codes, places, asked.source)
        return _described(name, codes, places, evidence), ToolOutcome(
            evidence=(evidence,), data={"places": [_record(place) for place in places]}
        )

    return StructuredTool.from_function(
        find_place,
        name="find_place",
        description="Find settlements by name, offline, in any script, misspellings forgiven. "
        "Counts as evidence only with `countries` that another clue points to.",
        args_schema=FindPlaceArguments,
        response_format="content_and_artifact",
    )


def make_reverse_geocode(bench: Workbench, geocoder: Geocoder | None = None) -> BaseTool:
    """Make the tool that names what is at a coordinate."""

    def reverse_geocode(latitude: float, longitude: float) -> ToolReply:
        from geo.regions import country_at, country_name

        code = country_at([[latitude, longitude]])[0]
        asked = geocoder or bench.gazetteer
        near = asked.nearest(latitude, longitude, country=code or None)
        text = f"{latitude:.5f}, {longitude:.5f} is " + (
            f"in {country_name(code)} ({code})." if code else "at sea, in no country."
        )
        data: dict[str, JsonValue] = {"country": code, "at_sea": not code, "nearest": None}
        for place, kilometres in near:
            text += f" Nearest settlement: {_label(place)}, {kilometres:.1f} km away."
            data["nearest"] = {**_record(place), "distance_km": round(kilometres, 3)}
        if code and not near:
            text += " No settlement of this country is known."
        return text, ToolOutcome(data=data)

    return StructuredTool.from_function(
        reverse_geocode,
        name="reverse_geocode",
        description="Name the country and the nearest settlement of that country at a "
        "coordinate. Information about the coordinate, no evidence about the photo.",
        args_schema=ReverseGeocodeArguments,
        response_format="content_and_artifact",
    )


def place_radius_km(population: int) -> float:
    """Return the distance from a settlement's centre that holds half of its photos, in km.

    A town of `population` at 3,200 people per km2 is a disc of 0.01 sqrt(population) km; half
    of a disc's area lies within 0.7 of its radius. Two kilometres more for signs at its edge.
    """
    return 2.0 + 0.007 * math.sqrt(max(population, 0))


def share_out(places: list[Place]) -> list[float]:
    """Return the share of each of several places of one name; the shares sum to 1.

    Proportional to the agreement of the name and the square root of population, which is how
    photos are spread over towns; 100 people are added so that hamlets keep a share.
    """
    weights = [place.score * math.sqrt(place.population + 100) for place in places]
    total = sum(weights)
    return [weight / total for weight in weights]


def _checked(countries: list[str] | None) -> list[str]:
    """Return the country codes, refusing those that are none."""
    from geo.regions import country_codes

    codes = list(dict.fromkeys(countries or ()))
    known = set(country_codes()) if codes else set()
    for code in codes:
        if code not in known:
            raise ToolError(
                f"countries: {code!r} is no ISO 3166-1 alpha-2 code; "
                "use codes like FR, GB (not UK), GR (not EL)"
            )
    return codes


def _evidence(name: str, codes: list[str], places: list[Place], source: str) -> Evidence:
    """Return the places as alternatives; they weigh only inside countries that were given."""
    exact = places[0].score >= EXACT_SCORE
    largest = max(place.population for place in places)
    known = largest / (largest + HALF_WEIGHT_POPULATION)
    weight = (EXACT_WEIGHT if exact else FUZZY_WEIGHT) * known if codes else 0.0
    where = f" in {', '.join(codes)}" if codes else ", with no country clue"
    candidates = sorted(zip(share_out(places), places, strict=True), key=lambda pair: -pair[0])
    return Evidence(
        tool="find_place",
        kind="place",
        summary=f"The name {name[:80]!r}{where} is that of {_label(candidates[0][1])}"
        + (f" or {len(places) - 1} more." if len(places) > 1 else "."),
        candidates=tuple(
            Candidate(
                latitude=place.latitude,
                longitude=place.longitude,
                radius_km=place_radius_km(place.population),
                score=share,
                rank=rank,
                source=source,
                kind="place",
                label=f"{place.name}, {place.country}",
                reference=str(place.geoname_id or ""),
                country=place.country,
            )
            for rank, (share, place) in enumerate(candidates, start=1)
        ),
        weight=weight,
        given_countries=tuple(codes),
        group=f"place:{fold(name)}",
    )


def _described(name: str, codes: list[str], places: list[Place], evidence: Evidence) -> str:
    """Return the reply for the driver: one line a place, then whether it counts."""
    lines = [f"{len(places)} found for {name[:80]!r}:"]
    lines += [
        f"{rank}. {_label(place)}: {place.latitude:.4f}, {place.longitude:.4f} "
        f"(spelled {place.matched!r}, agreement {place.score:.2f})"
        for rank, place in enumerate(places, start=1)
    ]
    lines.append(
        f"Evidence {evidence.id}, weight {evidence.weight:g}."
        if codes
        else "No weight: a place name counts only where a country clue agrees; call again with "
        "`countries` once one is found."
    )
    return "\n".join(lines)


def _nothing(name: str, codes: list[str], geocoder: Geocoder, countries: list[str]) -> ToolReply:
    """Reply that nothing is called so, naming what lies in other countries as rejected."""
    where = f" in {', '.join(codes)}" if codes else ""
    text = f"No settlement{where} is called {name[:80]!r} or nearly so."
    if countries:
        text += f" It is a name of the country {', '.join(countries)}."
    elsewhere = geocoder.find(name, limit=3, fuzzy=False) if codes else []
    reason = f"not in {', '.join(codes)}, where the other clues point"
    rejected = tuple(Rejection(value=_label(place), reason=reason) for place in elsewhere)
    if elsewhere:
        text += f" Elsewhere: {'; '.join(_label(place) for place in elsewhere)} (no evidence)."
    return text, ToolOutcome(rejected=rejected)


def _refused(name: str, reason: str) -> ToolReply:
    """Reply that a string is not looked up at all."""
    return f"Not looked up: {name[:80]!r}; {reason}.", ToolOutcome(
        rejected=(Rejection(value=name[:120], reason=reason),)
    )


def _label(place: Place) -> str:
    """Return a place as a person would name it."""
    area = f"{place.admin1}, " if place.admin1 and place.admin1 != place.name else ""
    return f"{place.name} ({area}{place.country}, population {place.population:,})"


def _record(place: Place) -> dict[str, JsonValue]:
    """Return a place as JSON for the trace."""
    return {
        "geoname_id": place.geoname_id,
        "name": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "country": place.country,
        "admin1": place.admin1,
        "population": place.population,
        "matched": place.matched,
        "score": place.score,
    }
