"""The `pipeline` driver, which needs no model.

It asks each question that the evidence so far makes worth asking, once, and commits.
"""

from collections.abc import Iterator, Sequence

from langchain_core.messages import AIMessage, ToolCall
from pydantic import JsonValue

from agent.answer import Step
from agent.budget import Left
from agent.drivers import Decision
from agent.state import State, counting
from agent.statements import PLAIN_WEIGHT
from tools.evidence import Evidence, short_id

NAMES_ASKED = 4
"""How many place names of one photo the pipeline looks up."""
VERIFIED = 20
"""How many candidates the pipeline has compared with the photo."""
NAME_CONFIDENCE = 0.8
NAME_LETTERS = 4
NAME_WORDS = 4
CLUE_MASS = 0.8
"""The pipeline looks for named places in the countries that hold this much of the clues' mass."""
CLUE_COUNTRIES = 3

Arguments = dict[str, JsonValue]


class PipelineDriver:
    """The driver without a model: fixed questions, asked when there is something to ask about."""

    name = "pipeline"
    converses = False

    def __init__(self, tools: Sequence[str]) -> None:
        self._tools = frozenset(tools)

    def decide(self, state: State, left: Left) -> Decision:
        """Return the calls of the first stage that still has something to ask."""
        now = state["revision"] + 1
        asked = {step.tool for step in state["steps"] if step.revision == now}
        known = {step.call_id for step in state["steps"]}
        for stage in (_look, _interpret, _name_places, _verify, _cluster, _describe):
            calls = [
                call
                for tool, arguments in stage(state)
                if tool in self._tools and tool not in asked
                if (call := _call(tool, arguments))["id"] not in known
            ]
            if calls:
                return Decision(AIMessage(content="", tool_calls=calls))
        commit = _call("commit_location", _commit(state), now)
        return Decision(AIMessage(content="", tool_calls=[commit]))


def _look(state: State) -> Iterator[tuple[str, Arguments]]:
    photo = state["photo_id"]
    yield "read_metadata", {"photo_id": photo}
    yield "read_text", {"photo_id": photo}
    yield "search_similar_photos", {"photo_id": photo}
    yield "search_cells", {"photo_id": photo}
    yield "search_places", {"photo_id": photo}
    if hint := state.get("hint"):
        yield "use_hint", {"hint": hint}


def _interpret(state: State) -> Iterator[tuple[str, Arguments]]:
    asked = [step.arguments.get("texts") for step in state["steps"] if step.tool == "look_up_clue"]
    known = {text for texts in asked if isinstance(texts, list) for text in texts}
    if texts := [text for text, _ in _lines(state["steps"]) if text not in known]:
        yield "look_up_clue", {"texts": list(texts[:60])}


def _name_places(state: State) -> Iterator[tuple[str, Arguments]]:
    if not (countries := _clue_countries(state)):
        return
    asked = 0
    known = {step.arguments.get("name") for step in state["steps"] if step.tool == "find_place"}
    for text, confidence in _lines(state["steps"]):
        if text[:80] in known:
            continue
        if confidence >= NAME_CONFIDENCE and _could_be_a_name(text) and asked < NAMES_ASKED:
            asked += 1
            yield "find_place", {"name": text[:80], "countries": countries}


def _could_be_a_name(text: str) -> bool:
    """Addresses, numbers and whole sentences are no place names."""
    return (
        sum(character.isalpha() for character in text) >= NAME_LETTERS
        and not any(character.isdigit() or character in "@/" for character in text)
        and "www." not in text.lower()
        and len(text.split()) <= NAME_WORDS
    )


def _verify(state: State) -> Iterator[tuple[str, Arguments]]:
    """Have candidates compared with the photo where tools propose several places."""
    if any(s.tool == "search_places" and s.outcome == "unavailable" for s in state["steps"]):
        return  # the same encoder would fail again
    weighed = [
        (item.weight * c.score, c)
        for item in _counting(state)
        if item.weight > 0
        for c in item.candidates
    ]
    places = {(c.latitude, c.longitude) for _, c in weighed}
    if len(places) < 2 or len({c.source for _, c in weighed}) < 2:
        return
    weighed.sort(key=lambda pair: (-pair[0], pair[1].latitude, pair[1].longitude))
    listed: list[JsonValue] = [
        {"latitude": c.latitude, "longitude": c.longitude, "label": c.label[:200]}
        for _, c in weighed[:VERIFIED]
    ]
    yield "verify_locations", {"photo_id": state["photo_id"], "candidates": listed}


def _cluster(state: State) -> Iterator[tuple[str, Arguments]]:
    candidates: list[Arguments] = [
        {
            "latitude": c.latitude,
            "longitude": c.longitude,
            "score": c.score,
            "label": c.label[:80],
            "source": (c.reference or item.id)[:80],
        }
        for item in _counting(state)
        if item.weight > 0 and item.tool != "verify_locations"  # it repeats the others'
        for c in item.candidates
    ]
    if len(candidates) > 1:
        ordered = sorted(candidates, key=lambda c: -float(str(c["score"])))
        yield "cluster_candidates", {"candidates": list(ordered[:50])}


def _describe(state: State) -> Iterator[tuple[str, Arguments]]:
    belief = state["belief"]
    if belief is not None and belief.status != "undetermined":
        yield (
            "reverse_geocode",
            {"latitude": round(belief.latitude, 5), "longitude": round(belief.longitude, 5)},
        )


def _commit(state: State) -> Arguments:
    used = [item.id for item in _counting(state) if item.weight > 0]
    belief = state["belief"]
    if not used or belief is None or belief.status == "undetermined":
        return {
            "evidence_ids": [],
            "undetermined": True,
            "reason": "No evidence narrows the place down.",
        }
    return {"evidence_ids": list(used[:50]), "reason": "The evidence gathered agrees on this."}


def _counting(state: State) -> list[Evidence]:
    """Return the evidence as it counts: what the person withdrew has no weight."""
    return counting(state["evidence"], state.get("withdrawn") or ())


def _lines(steps: Sequence[Step]) -> Iterator[tuple[str, float]]:
    """Yield the text and confidence of every line that was read and is not an overlay."""
    for step in steps:
        lines = step.data.get("lines") if step.tool == "read_text" else None
        for line in lines if isinstance(lines, list) else ():
            if isinstance(line, dict) and not line.get("overlay"):
                yield str(line["text"]), float(str(line["confidence"]))


def _clue_countries(state: State) -> list[JsonValue]:
    """Return the few countries that hold most of the text clues' mass, or none if it is spread.

    What the person rules out is not searched.
    """
    denied = _denied(state)
    for item in _counting(state):
        if item.kind == "text" and item.countries:
            shares = {code: one for code, one in item.countries.items() if code not in denied}
            ranked = sorted(shares.items(), key=lambda pair: -pair[1])[:CLUE_COUNTRIES]
            left = sum(shares.values()) / sum(item.countries.values())
            held, chosen = 0.0, []
            for code, share in ranked:
                if held < CLUE_MASS * left:
                    chosen.append(code)
                    held += share
            return list(chosen) if held >= CLUE_MASS / 2 * left else []
    return []


def _denied(state: State) -> set[str]:
    """Return the countries that the person says it is not."""
    areas = [one.area for one in _counting(state) if one.area and one.weight >= PLAIN_WEIGHT]
    return {code for area in areas if not area.inside for code in area.countries}


def _call(tool: str, arguments: Arguments, revision: int = 1) -> ToolCall:
    """Return a tool call whose id is its content, so that the same run has the same ids."""
    content: list[JsonValue] = [tool, arguments, *([revision] if revision > 1 else [])]
    return ToolCall(name=tool, args=arguments, id=short_id(content, prefix="c"), type="tool_call")
