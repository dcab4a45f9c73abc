"""Two sessions side by side, or two revisions of one: what differs, and since when."""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from agent.answer import Answer
from agent.answer_changes import changes, moved_km
from agent.report_page import headline_of
from agent.session_records import Comparison, EvidencePair, SessionInfo, SessionOptions, Side
from agent.sessions import Sessions
from agent.trace import Event
from encoders.photo_file import printable
from geo.errors import InputError

LONGEST_SAID = 500


def compare_sessions(
    sessions: Sessions, a: str, b: str, revision_a: int = 0, revision_b: int = 0
) -> Comparison:
    """Compare the answers of two sessions, or two answers of one.

    Args:
        sessions: where they are kept.
        a: id of the first.
        b: id of the second; the same id compares two revisions of one session.
        revision_a: which of its answers; the latest by default.
        revision_b: likewise.

    Raises:
        UnknownSessionError: there is none of such an id.
        InputError: one of them has not answered yet, or has no such revision.
    """
    infos = [sessions.get(one) for one in (a, b)]
    events = [list(sessions.events(one)) for one in (a, b)]
    answers = [
        _answer(info, held, revision)
        for info, held, revision in zip(infos, events, (revision_a, revision_b), strict=True)
    ]
    common = common_events(*events) if a != b else 0
    first, second = (
        _side(info, held, answer, common)
        for info, held, answer in zip(infos, events, answers, strict=True)
    )
    return Comparison(
        first=first,
        second=second,
        distance_km=moved_km(*answers),
        changes=changes(*answers),
        shares=_shares(*answers),
        evidence=_evidence(*answers),
        options=_options(infos[0].options, infos[1].options),
        same_photos=set(infos[0].photos) == set(infos[1].photos),
        common_events=common,
        branched_at=_branched_at(infos, events, common),
    )


def common_events(first: Sequence[Event], second: Sequence[Event]) -> int:
    """Return how many events two traces begin with in common; a chain's hash tells its past."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one.hash != other.hash:
            break
        count += 1
    return count


def _answer(info: SessionInfo, events: Sequence[Event], revision: int) -> Answer:
    """Return one of a session's answers, the latest by default."""
    found = _answers(events)
    if not found:
        raise InputError(
            f"session {printable(info.name or info.id, 60)!r} has not answered yet, it is "
            f"{info.status}; nothing can be compared"
        )
    if not 0 <= revision <= len(found):
        raise InputError(
            f"session {printable(info.name or info.id, 60)!r} has {len(found)} answers, not "
            f"{revision}; leave the revision out for the latest"
        )
    return found[revision - 1]


def _answers(events: Sequence[Event]) -> list[Answer]:
    dumped = [json.dumps(event.data) for event in events if event.kind == "answer"]
    return [Answer.model_validate_json(one) for one in dumped]


def _side(info: SessionInfo, events: Sequence[Event], answer: Answer, common: int) -> Side:
    events = _until(events, answer.revision)
    until = _answers(events)
    uses = [one.model for one in until if one.model]
    return Side(
        session=info.id,
        name=info.name,
        revision=answer.revision,
        status=answer.status,
        headline=headline_of(answer),
        latitude=answer.latitude,
        longitude=answer.longitude,
        radii=answer.radii,
        recipe=answer.recipe,
        driver=answer.driver,
        evidence=sum(item.weight > 0 for item in answer.evidence),
        tool_calls=len(answer.steps),
        tokens_in=sum(use.tokens_in for use in uses),
        tokens_out=sum(use.tokens_out for use in uses),
        seconds=round(sum(one.seconds for one in until), 3),
        said=tuple(filter(None, map(said_in, events[common:]))),
    )


def _until(events: Sequence[Event], revision: int) -> Sequence[Event]:
    """Return the events up to an answer."""
    for number, event in enumerate(events, start=1):
        if event.kind == "answer" and event.data.get("revision") == revision:
            return events[:number]
    return events


def said_in(event: Event) -> str:
    """Return what the person said in an event of a trace, on one line; empty for other events."""
    if event.kind == "message":
        parts = [str(event.data.get("text") or "")]
        for key in ("withdraw", "restore"):
            if ids := event.data.get(key):
                parts.append(
                    f"({key}s {', '.join(map(str, ids if isinstance(ids, list) else []))})"
                )
        parts += ["(draws a region)"] if event.data.get("region") else []
        return printable(" ".join(" ".join(parts).split()), LONGEST_SAID)
    if event.kind == "reply":
        return printable(" ".join(_replied(event.data.get("reply")).split()), LONGEST_SAID)
    return ""


def _replied(reply: JsonValue) -> str:
    if isinstance(reply, list) and reply:
        reply = reply[0]
    if isinstance(reply, dict):
        reply = reply.get("args") if reply.get("type") != "ignore" else ""
    return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)


def _shares(first: Answer, second: Answer) -> dict[str, tuple[float, float]]:
    codes = sorted(
        {**first.countries, **second.countries},
        key=lambda code: (
            -max(first.countries.get(code, 0.0), second.countries.get(code, 0.0)), code
        ),
    )  # fmt: skip
    return {
        code: (first.countries.get(code, 0.0), second.countries.get(code, 0.0)) for code in codes
    }


def _evidence(first: Answer, second: Answer) -> tuple[EvidencePair, ...]:
    held = [{item.id: item for item in answer.evidence} for answer in (first, second)]
    pairs = []
    for key, item in {**held[0], **held[1]}.items():
        weights = [side[key].weight if key in side else None for side in held]
        pairs.append(
            EvidencePair(
                id=key,
                tool=item.tool,
                summary=item.summary,
                first=weights[0],
                second=weights[1],
            )
        )
    return tuple(sorted(pairs, key=lambda pair: bool(pair.first) == bool(pair.second)))


def _options(first: SessionOptions, second: SessionOptions) -> dict[str, tuple[str, str]]:
    one, other = first.model_dump(mode="json"), second.model_dump(mode="json")
    return {key: (_shown(one[key]), _shown(other[key])) for key in one if one[key] != other[key]}


def _shown(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _branched_at(
    infos: Sequence[SessionInfo], events: Sequence[Sequence[Event]], common: int
) -> str:
    """Return the checkpoint at which two sessions went apart, as their traces tell it."""
    if not common:
        return ""
    for held in reversed(events):
        if len(held) > common and held[common].kind == "fork":
            return str(held[common].data.get("checkpoint", ""))
    first, second = infos
    return second.parent_checkpoint if second.parent == first.id else first.parent_checkpoint
