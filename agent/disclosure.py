"""The disclosure governor: how finely an answer is told, applied after inference.

`exact` tells everything. `city`, `region` and `country` tell the area alone, `none` no place at
all. A coarser answer is built anew from fields that are safe instead of having fine ones taken
out: what a tool, a model or a person wrote may name the place in any words, so none of it is
passed on, and neither are pictures that were found or drawn. Positions are told as the middle of
a fixed area (`agent.disclosure_areas`), so that no number of answers can be averaged into more:
two answers that lie in one area, and differ in nothing else that is told, are told in the same
bytes.

What stays is the photo to be located, which whoever asked has already, and where boxes lie on it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from agent.answer import Alternative, Answer, Radii, Step, Verdict
from agent.case import Case, DisclosureLevel, Revision
from agent.disclosure_areas import (
    CITY_PEOPLE,
    CITY_REACH_KM,
    LADDER_KM,
    REGION_DEG,
    SEA_DEG,
    Area,
    city_area,
    country_area,
    grid_area,
    region_area,
    widened,
)
from agent.model_use import ModelReply, ModelUse
from agent.report_photos import photo_of
from agent.session_records import Assessment
from geo.errors import InputError
from tools.evidence import Candidate, Evidence, Rejection

if TYPE_CHECKING:
    from geo.gazetteer import Gazetteer

LEVELS: tuple[DisclosureLevel, ...] = get_args(DisclosureLevel)
"""From the finest to the coarsest."""
WITHHELD = "withheld"
SHARE_STEP = 10
"""Shares are told in tenths, rounded down: finer ones tell how near a border is."""
TOLD_VERSIONS = ("graticule", "langgraph", "prompt ", "tool ")
"""What versions are told of, by how their names begin; galleries may be called after places."""


def stricter(one: DisclosureLevel, other: DisclosureLevel) -> DisclosureLevel:
    """Return the coarser of two levels."""
    return max(one, other, key=LEVELS.index)


def level_named(name: str) -> DisclosureLevel:
    """Return a level by its name.

    Raises:
        InputError: there is none of this name.
    """
    for level in LEVELS:
        if level == name:
            return level
    raise InputError(f"disclosure {name!r:.40} is none of {', '.join(LEVELS)}; give one of these")


def disclosed_case(
    case: Case, level: DisclosureLevel, gazetteer: "Gazetteer | None" = None
) -> Case:
    """Return a case that tells places no finer than a level; see `disclosed`.

    What people said and wrote is left out, and so is the trace: it cannot be told coarser.
    """
    level = stricter(level, case.disclosure)
    if level == case.disclosure:
        return case
    held = dict.fromkeys(item.id for one in case.revisions for item in one.answer.evidence)
    numbers = {evidence_id: number for number, evidence_id in enumerate(held, start=1)}
    return Case(
        session=case.session,
        revisions=tuple(
            Revision(answer=disclosed(one.answer, level, gazetteer, numbers))
            for one in case.revisions
        ),
        assessments=tuple(
            Assessment(verdict=one.verdict, revision=one.revision, at=one.at)
            for one in case.assessments
        ),
        events=case.events,
        disclosure=level,
    )


def disclosed(
    answer: Answer,
    level: DisclosureLevel,
    gazetteer: "Gazetteer | None" = None,
    numbers: Mapping[str, int] | None = None,
) -> Answer:
    """Return an answer that tells places no finer than a level.

    Args:
        answer: exact.
        level: how finely.
        gazetteer: names cities, and says where regions lie; without it a city is a nameless cell
            and a region is told as its country.
        numbers: what to call evidence by its id, the same in all answers of a session; by default
            in the order of this answer.
    """
    if level == "exact":
        return answer
    area = _area(answer, level, gazetteer)
    given = numbers or {item.id: n for n, item in enumerate(answer.evidence, start=1)}
    steps = {step.call_id: step for step in answer.steps}
    evidence = tuple(
        _evidence(
            given[item.id], item, level,
            photo_of(answer, steps.get(item.call_id)) == answer.photo_id,
        )
        for item in answer.evidence
    )  # fmt: skip
    told = {item.id: new.id for item, new in zip(answer.evidence, evidence, strict=True)}
    radii = _radii(answer.radii, area) if area else None
    told_place = area is not None
    return Answer(
        status=answer.status if told_place else "undetermined",
        latitude=area.latitude if area else None,
        longitude=area.longitude if area else None,
        radii=radii,
        country=answer.country if area and area.country else "",
        country_name=answer.country_name if area and area.country else "",
        admin1=answer.admin1 if area and _names_region(area, level) else "",
        place=area.label if area and area.reach_km < CITY_REACH_KM else "",
        countries=_floored(answer.countries) if level != "none" else {},
        explanation=_explanation(level, len(answer.evidence)),
        evidence=evidence,
        alternatives=_alternatives(answer, area, level),
        verdicts=tuple(_verdicts(answer, area, level, told)),
        rejected=(Rejection(value=WITHHELD, reason=WITHHELD),) * len(answer.rejected),
        missing=(_notice(level),),
        steps=tuple(_step(step, told) for step in answer.steps),
        recipe=plain_name(answer.recipe),
        driver=plain_name(answer.driver),
        picked_by=f"disclosure level {level}",
        model=_model(answer.model) if answer.model else None,
        revision=answer.revision,
        withdrawn=tuple(told[one] for one in answer.withdrawn if one in told),
        photo_id=answer.photo_id,
        photos=answer.photos,
        photo_name="photo",
        trusted_metadata=answer.trusted_metadata,
        stopped_because="committed" if answer.stopped_because == "committed" else "budget",
        budget_spent={name: round(spent) for name, spent in answer.budget_spent.items()},
        seconds=round(answer.seconds),
        calibration=answer.calibration,
        abstain=answer.abstain,
        versions={**_versions(answer), "disclosure": level},
        caution=answer.caution,
    )


def disclosure_of(answer: Answer) -> DisclosureLevel:
    """Return the level that an answer was told under."""
    return level_named(answer.versions.get("disclosure", "exact"))


def _area(answer: Answer, level: DisclosureLevel, gazetteer: "Gazetteer | None") -> Area | None:
    """Return the area that an answer is told as; None where none is."""
    if level == "none" or answer.latitude is None or answer.longitude is None:
        return None
    at = answer.latitude, answer.longitude
    if level == "city" and (found := _city(answer, *at, gazetteer)):
        return found
    if level in ("city", "region"):
        area = region_area(answer.country, answer.admin1, gazetteer)
        if area and _holds(area, *at):
            return area
    area = country_area(answer.country) if answer.country else None
    if area and _holds(area, *at):
        return area
    return grid_area(*at, REGION_DEG if level in ("city", "region") else SEA_DEG)


def _city(
    answer: Answer, latitude: float, longitude: float, gazetteer: "Gazetteer | None"
) -> Area | None:
    """Return the cell, called after its largest city; None where the country has little of it.

    Told with its country, a cell across a border would be as fine as the strip that it has there.
    """
    from geo.regions import country_at

    area = city_area(latitude, longitude)
    if country_at([[area.latitude, area.longitude]])[0] != answer.country:
        return None
    label = ""
    if gazetteer is not None:
        near = gazetteer.nearest(area.latitude, area.longitude, answer.country or None, limit=200)
        inside = [place for place, _ in near if city_area(place.latitude, place.longitude) == area]
        named = max(inside, key=lambda place: place.population, default=None)
        label = named.name if named and named.population >= CITY_PEOPLE else ""
    return area._replace(label=label, country=answer.country)


def _holds(area: Area, latitude: float, longitude: float) -> bool:
    return _apart_km(area, latitude, longitude) <= area.reach_km


def _apart_km(area: Area, latitude: float, longitude: float) -> float:
    from geo.sphere import haversine_km

    return float(haversine_km(area.latitude, area.longitude, latitude, longitude))


def _names_region(area: Area, level: DisclosureLevel) -> bool:
    """Whether the region may be named beside the area: at a country it may not."""
    return bool(area.country) and level in ("city", "region")


def _radii(radii: Radii | None, area: Area) -> Radii | None:
    if radii is None:
        return None
    told = [widened(km, area.reach_km) for km in (radii.km_50, radii.km_80, radii.km_95)]
    return Radii(km_50=told[0], km_80=told[1], km_95=told[2])


def _floored(shares: dict[str, float]) -> dict[str, float]:
    """Return shares in tenths, rounded down; those below a tenth are left out."""
    tenths = {code: int(share * SHARE_STEP + 1e-9) / SHARE_STEP for code, share in shares.items()}
    return {code: share for code, share in sorted(tenths.items()) if share}


def _evidence(number: int, item: Evidence, level: DisclosureLevel, on_photo: bool) -> Evidence:
    return Evidence(
        tool=item.tool,
        kind=item.kind,
        summary=f"What {item.tool} found is withheld (evidence {number}).",
        countries=_floored(item.countries) if level != "none" else {},
        weight=item.weight,
        group=f"evidence {number}",
        box=item.box if on_photo else None,
    )


def _step(step: Step, told: dict[str, str]) -> Step:
    return Step(
        number=step.number,
        call_id=f"step-{step.number}",
        tool=step.tool if step.outcome != "refused" else WITHHELD,  # what does not exist is named
        arguments={},
        text=WITHHELD,
        outcome=step.outcome,
        seconds=round(step.seconds, 1),
        evidence_ids=tuple(told[one] for one in step.evidence_ids if one in told),
        turn=step.turn,
        revision=step.revision,
        trajectory=step.trajectory,
    )


def _alternatives(
    answer: Answer, area: Area | None, level: DisclosureLevel
) -> tuple[Alternative, ...]:
    """Return the other countries that belief holds possible."""
    if level == "none":
        return ()
    shares: dict[Area, float] = {}
    for one in answer.alternatives:
        elsewhere = _elsewhere(one.latitude, one.longitude)
        if area is None or elsewhere.country != area.country:
            shares[elsewhere] = shares.get(elsewhere, 0.0) + one.share
    return tuple(
        Alternative(latitude=at.latitude, longitude=at.longitude, share=share, label=at.label)
        for at, total in sorted(shares.items(), key=lambda pair: pair[0])
        if (share := min(1.0, int(total * SHARE_STEP + 1e-9) / SHARE_STEP))
    )


def _verdicts(
    answer: Answer, area: Area | None, level: DisclosureLevel, told: dict[str, str]
) -> Iterator[Verdict]:
    """Yield what became of each candidate: kept in the answer's area, or dropped in a country.

    Of those nearby not even the neighbouring cell is told: how they spread around a border of
    cells would tell on which side of its cell, and how near, the answer lies.
    """
    if level == "none":
        return
    areas = _elsewheres([verdict.candidate for verdict in answer.verdicts])
    for verdict, elsewhere in zip(answer.verdicts, areas, strict=True):
        item = verdict.candidate
        at = area if verdict.kept and area is not None else elsewhere
        yield Verdict(
            evidence_id=told.get(verdict.evidence_id, ""),
            candidate=Candidate(
                latitude=at.latitude,
                longitude=at.longitude,
                radius_km=widened(LADDER_KM[0], at.reach_km),
                score=int(item.score * SHARE_STEP + 1e-9) / SHARE_STEP,
                rank=item.rank,
                source=item.kind,
                kind=item.kind,
                label=at.label,
                country=at.country,
            ),
            kept=verdict.kept,
            reason="inside the 95 % radius" if verdict.kept else "outside the 95 % radius",
        )


def _elsewhere(latitude: float, longitude: float) -> Area:
    """Return the country of a place, or the sea it lies in."""
    from geo.regions import country_at

    code = country_at([[latitude, longitude]])[0]
    return (country_area(code) if code else None) or grid_area(latitude, longitude, SEA_DEG)


def _elsewheres(candidates: Sequence[Candidate]) -> list[Area]:
    """Return the same of many at once."""
    from geo.regions import country_at

    if not candidates:
        return []
    codes = country_at([[one.latitude, one.longitude] for one in candidates])
    return [
        (country_area(code) if code else None) or grid_area(one.latitude, one.longitude, SEA_DEG)
        for code, one in zip(codes, candidates, strict=True)
    ]


def _model(use: ModelUse) -> ModelUse:
    return ModelUse(
        calls=use.calls,
        tokens_in=use.tokens_in,
        tokens_out=use.tokens_out,
        seconds=round(use.seconds),
        retries=use.retries,
        replies=tuple(
            ModelReply(purpose=one.purpose, turn=one.turn, trajectory=one.trajectory,
                       tokens_in=one.tokens_in, tokens_out=one.tokens_out,
                       seconds=round(one.seconds), attempts=one.attempts)
            for one in use.replies
        ),
    )  # fmt: skip


def plain_name(name: str) -> str:
    """Return the name of a recipe, a model or a tool, if it is one."""
    return name if re.fullmatch(r"[\w.:/@+-]{1,100}", name) else WITHHELD


def _versions(answer: Answer) -> dict[str, str]:
    return {
        name: text for name, text in answer.versions.items()
        if name.startswith(TOLD_VERSIONS) or name.removesuffix("-headless").isidentifier()
    }  # fmt: skip


def _explanation(level: DisclosureLevel, count: int) -> str:
    if level == "none":
        return f"The place is withheld. {count} pieces of evidence were weighed."
    return (
        f"The place is told as its {level} and no finer: coordinate and radii are those of a fixed "
        f"area. {count} pieces of evidence were weighed; what they say is withheld."
    )


def _notice(level: DisclosureLevel) -> str:
    if level == "none":
        return "Disclosure level none: the place, and all that would tell it, is withheld."
    return f"Disclosure level {level}: whatever would tell the place more finely is withheld."
