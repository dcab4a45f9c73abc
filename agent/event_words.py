"""Events of a run in words: one printable line each, for terminals and for reading a trace."""

import json
import re
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from agent.model_use import said_of
from agent.report_format import distance, duration
from agent.trace import Event
from encoders.photo_file import printable

LINE_LETTERS = 300
_LONG_IDS = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
Data = Mapping[str, JsonValue]

PURPOSES = {
    "prior": "first impression",
    "decide": "next step",
    "commit": "last turn",
    "diversify": "short answer",
    "same-place": "same place?",
    "verifier": "choice among the investigations",
}
MISHAPS = {
    "argument-name": "an argument under another name",
    "bad-box": "a crop box that lies nowhere in the photo",
    "bad-character": "characters that cannot be shown",
    "bad-number": "a number that cannot be read",
    "broken-json": "JSON that breaks off or breaks its rules",
    "call-id": "a call without an id of its own",
    "coordinate-in-words": "a coordinate in words instead of a tool call",
    "empty": "an empty reply",
    "endless-thinking": "thinking without an end",
    "fenced-json": "JSON in a Markdown fence",
    "json-in-prose": "text around the JSON",
    "missing-argument": "a call that lacks an argument",
    "no-call": "a reply that calls no tool",
    "no-choice": "no choice among the investigations",
    "no-guess": "a reply that names no place",
    "not-a-coordinate": "numbers that are no coordinate",
    "not-finite": "a number that is none (NaN or infinity)",
    "not-json": "words instead of JSON",
    "null-island": "latitude and longitude 0, which mean nothing",
    "out-of-range": "a value out of its range",
    "overlong": "an overlong reply",
    "photo-id": "a photo id that does not exist",
    "prose": "words instead of JSON",
    "refusal": "a refusal to answer",
    "repeated-call": "a call that was made before",
    "several-coordinates": "several coordinates at once",
    "split-coordinate": "a coordinate in pieces",
    "text-call": "a tool call written as text",
    "too-many-calls": "more calls than one turn may hold",
    "tool-name": "a tool under another name",
    "truncated": "a reply that was cut off",
    "unknown-argument": "an argument that the tool does not take",
    "unknown-scale": "a scale that cannot be read",
    "unknown-tool": "a tool that does not exist",
    "unreadable": "a reply that cannot be read",
    "wrong-type": "an argument of the wrong type",
}
"""Kinds of `agent.asking.Problem`, as a person understands them."""
ACTIONS = {
    "repaired": "read nevertheless",
    "answered": "the model was told",
    "rejected": "left out",
}


def mishap(kind: str) -> str:
    """Return what was wrong with a reply, in words; an unknown kind as it is."""
    return MISHAPS.get(kind) or printable(kind.replace("-", " "), 40)


def purpose(name: str) -> str:
    """Return what a model was asked for, in words."""
    return PURPOSES.get(name) or printable(name, 40)


def line(text: JsonValue, letters: int = LINE_LETTERS) -> str:
    """Return text on one printable line, long ids shortened, at most `letters` long."""
    plain = _LONG_IDS.sub(r"\1", " ".join(str(text).split()))
    return printable(plain, letters)


def words_of(event: Event) -> str:
    """Return an event in words: one printable line."""
    told = line(_WORDS[event.kind](event.data), 2 * LINE_LETTERS)
    number = trajectory_of(event.data)
    return f"[{number}] {told}" if number else told


def trajectory_of(data: Data) -> int:
    """Return which of several parallel investigations an event is of; 0 where there is one."""
    number = data.get("trajectory")
    return number if isinstance(number, int) else 0


def prior_lines(data: Data) -> list[str]:
    """Return a model's first impression, from the data of its step: the place, then each clue."""
    guess = data.get("guess")
    if not isinstance(guess, dict):
        return [line(data.get("failed") or "no place named")]
    where = ", ".join(str(guess[key]) for key in ("place", "country") if guess.get(key))
    told = [f"{where or 'a nameless place'}{_point(guess)}"]
    if isinstance(radius := guess.get("radius_km"), int | float):
        told.append(f"give or take {distance(float(radius))}")
    if isinstance(sure := guess.get("confidence"), int | float):
        told.append(f"{sure:.0%} sure of the country, it says")
    clues = guess.get("clues")
    listed = clues if isinstance(clues, list) else []
    seen = [one.get("what") for one in listed if isinstance(one, dict)]
    lines = [", ".join(told), *(f"saw {line(what, 160)!r}" for what in seen)]
    if guess.get("reason"):
        lines.append(f"because {line(guess['reason'])!r}")
    return [line(one) for one in lines]


def conflict_lines(data: Data) -> list[str]:
    """Return what disagrees and by how much, then both sides."""
    apart = data.get("distance_km")
    by = f", {distance(float(apart))} apart" if isinstance(apart, int | float) else ""
    return [f"Two findings disagree{by}:", line(data["first_text"]), line(data["second_text"])]


def mishap_line(data: Data) -> str:
    """Return what was wrong with a reply and what became of it, with its detail."""
    done = ACTIONS.get(str(data["action"]), str(data["action"]))
    detail = str(data["detail"]).split("; ")[0]
    return line(f"{mishap(str(data['kind']))}: {detail} ({done})")


def reply_line(data: Data) -> str:
    """Return what a reply was for and what it took."""
    took = f"{duration(_float(data['seconds']))}, {data['tokens_in']} + {data['tokens_out']} tokens"
    return line(f"{purpose(str(data['purpose']))}, {took}")


def trajectory_line(data: Data) -> str:
    """Return where one of several investigations starts, or how it ended."""
    if "why" not in data:
        return line(f"investigation {data['number']} starts from {data['start']}")
    chosen = " (chosen)" if data["chosen"] else ""
    point = _point(data).strip(" ()") or "cannot tell"
    return line(f"investigation {data['number']}{chosen}: {point}, because {line(data['why'])!r}")


def _point(data: Data) -> str:
    latitude, longitude = data.get("latitude"), data.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return ""
    return f" ({latitude:.4f}, {longitude:.4f})"


def _float(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _photo(data: Data) -> str:
    size = f"{data.get('width')} x {data.get('height')} px"
    decided = f"recipe {data.get('recipe')}, driver {data.get('driver')}"
    return f"photo {data.get('name')!r}, {size}; {decided}"


def _tool_call(data: Data) -> str:
    given = json.dumps(data.get("args"), ensure_ascii=False)
    return f"{data['tool']} is called with {line(given)}"


def _tool_result(data: Data) -> str:
    if data["tool"] == "prior" and isinstance(found := data.get("data"), dict):
        return f"first impression: {'; '.join(prior_lines(found))}"
    took = duration(_float(data["seconds"]))
    return f"{data['tool']}, {data['outcome']}, {took}: {data['text']}"


def _evidence(data: Data) -> str:
    return f"{data['id']} of {data['tool']}, weight {data['weight']}: {data['summary']}"


def _belief(data: Data) -> str:
    under = f", under calibration {data['calibration']}" if data.get("calibration") else ""
    return f"{data['status']}, 80 % within {distance(_float(data['km_80']))}{under}"


def _answer(data: Data) -> str:
    names = (data.get("place"), data.get("admin1"), data.get("country_name"))
    where = ", ".join(str(name) for name in names if name) + _point(data)
    named = f": {where.strip()}" if where else ""
    return f"{data['status']}{named}; stopped because: {data['stopped_because']}"


def _model_call(data: Data) -> str:
    images, tools = data.get("images"), data.get("tools")
    shown = f"{len(images) if isinstance(images, list) else 0} images"
    offered = f"{len(tools) if isinstance(tools, list) else 0} tools"
    return f"{data['model']} is asked, {purpose(str(data['purpose']))}: {shown}, {offered}"


def _model_reply(data: Data) -> str:
    called = data.get("tool_calls")
    listed = called if isinstance(called, list) else []
    names = [str(one.get("name")) for one in listed if isinstance(one, dict)]
    said = said_of(data.get("text"))
    told = [f"calls {', '.join(names)}"] if names else []
    told += [repr(said)] if said else []
    return f"{data['model']}, {reply_line(data)}{': ' if told else ''}{'; '.join(told)}"


def _decision(data: Data) -> str:
    calls = data.get("calls")
    listed = calls if isinstance(calls, list) else []
    names = [str(one.get("name")) for one in listed if isinstance(one, dict)]
    return f"driver {data['driver']} calls {', '.join(names) or 'nothing'}"


def _question(data: Data) -> str:
    args = data.get("args")
    return f"the model asks the analyst {args.get('question')!r}" if isinstance(args, dict) else ""


def _message(data: Data) -> str:
    photos, words = data.get("photos"), str(data.get("text") or "")
    told = [f"the person says {words!r}"] if words else []
    told += [f"{len(photos)} photos"] if isinstance(photos, list) and photos else []
    told += ["a region is drawn"] if data.get("region") else []
    told += [f"withdraws {data['withdraw']}"] if data.get("withdraw") else []
    told += [f"restores {data['restore']}"] if data.get("restore") else []
    return ", ".join(told) or "the person says nothing"


_WORDS: dict[str, Callable[[Data], str]] = {
    "photo": _photo,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "evidence": _evidence,
    "belief": _belief,
    "rejection": lambda data: f"dropped {data['value']!r}: {data['reason']}",
    "budget": lambda data: f"spent ({data['exhausted']}): committing now",
    "answer": _answer,
    "error": lambda data: f"{data['type']}: {data['message']}",
    "model_call": _model_call,
    "model_reply": _model_reply,
    "model_error": lambda data: f"{data['model']} gives no reply: {data['message']}",
    "decision": _decision,
    "malformed": mishap_line,
    "retry": lambda data: f"asked again in {data['wait_s']} s: {data['error']}",
    "context": lambda data: f"left out of the request: {data['why']}",
    "conflict": lambda data: " / ".join(conflict_lines(data)),
    "question": _question,
    "notice": lambda data: str(data["text"]),
    "trajectory": trajectory_line,
    "setup": lambda data: f"a run begins, {data.get('at', '')}",
    "message": _message,
    "node": lambda data: f"{data['node']} done, {duration(_float(data['seconds']))}",
    "reply": lambda data: f"the analyst replies {data.get('reply')!r}",
    "stopped": lambda data: f"stopped: {data.get('why', '')}",
    "resumed": lambda data: f"goes on after step {data.get('step')}",
    "fork": lambda data: f"branches off session {data.get('session')}",
}
