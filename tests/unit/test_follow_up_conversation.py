"""The whole conversation that a model sees after follow-ups, word for word.

Snapshots are in `__snapshots__`; update: `pytest tests/unit/test_follow_up_conversation.py
--snapshot-update`, then read the difference.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from syrupy.assertion import SnapshotAssertion

from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.geolocators import Geolocators
from agent.sessions import Sessions
from agent.settings import Settings
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.unit.photo_samples import encoded, picture
from tests.unit.test_agentic import Model, commit, everything

PHOTO = encoded(picture(120, 80, seed=1))
OTHER = encoded(picture(120, 80, seed=2))
_NAMES = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12}|[ec][0-9a-f]{10})\b")


def look(_: object) -> AIMessage:
    return calling(("find_place", {"name": "Testdorf"}))


def written(messages: Sequence[BaseMessage]) -> str:
    """Return messages as text; ids by the order in which they are named, seconds as N."""
    text = "\n\n".join(f"--- {message.type}\n{_content(message)}" for message in messages)
    seen: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        one = found.group()
        key = one if one[0] in "ec" and len(one) == 11 else one[:12]
        kind = {"e": "e", "c": "c"}.get(one[0], "p") if len(one) == 11 else "photo"
        return seen.setdefault(key, f"<{kind}{len(seen) + 1}>")

    return re.sub(r"[\d,.]+ (?=(?:seconds|tokens) )|[\d,]+ tokens", "N ", _NAMES.sub(named, text))


def _content(message: BaseMessage) -> str:
    blocks: list[Any] = [message.content] if isinstance(message.content, str) else message.content
    shown = [one if isinstance(one, str) else str(one.get("text", "<image>")) for one in blocks]
    calls = getattr(message, "tool_calls", ())
    shown += [f"calls {one['name']} {json.dumps(one['args'], sort_keys=True)}" for one in calls]
    return "\n".join(shown)


def test_the_conversation_after_follow_ups(
    tmp_path: Path, settlements: Settlements, snapshot: SnapshotAssertion
) -> None:
    model, home = Model(look, commit), Settings(home=tmp_path / "home")

    def make(_: object) -> Geolocator:
        made = Geolocator(model=model.chat, settings=home, encoder=None, recipe="agentic")
        made.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        made.bench.reader = BlankReader()
        return made

    with Sessions(home, Geolocators(home, make=make)) as sessions:
        info = sessions.create(PHOTO)
        first = sessions.send(info.id, "maybe Germany?").wait(30)
        assert first is not None
        words = "it is not in Germany, look at the sign top left"
        second = sessions.send(info.id, words, photos=[OTHER]).wait(30)
        assert second is not None
        denial = next(item for item in second.evidence if item.area is not None)
        sessions.send(info.id, withdraw=[denial.id]).wait(30)
    said = written(model.loop[-1])
    assert denial.id not in said
    assert said == snapshot


def test_a_reply_to_a_question_takes_back_what_it_contradicts(
    tmp_path: Path, settlements: Settlements
) -> None:
    ask = calling(("ask_analyst", {"question": "Which country is it not?"}))
    model, home = Model(ask, commit), Settings(home=tmp_path / "home")

    def make(_: object) -> Geolocator:
        made = Geolocator(
            model=model.chat, settings=home, encoder=None, recipe="agentic", analyst=True
        )
        made.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
        made.bench.reader = BlankReader()
        return made

    with Sessions(home, Geolocators(home, make=make)) as sessions:
        info = sessions.create(PHOTO)
        run = sessions.send(info.id, "it is in Germany")
        run.wait(30)
        assert run.status == "waiting"
        answer = sessions.resume(info.id, "no, it is not Germany").wait(30)
    assert answer is not None
    claim = next(item for item in answer.evidence if item.countries == {"DE": 1.0})
    assert answer.withdrawn == (claim.id,)
    assert answer.countries["DE"] < 0.5
    (step,) = [one for one in answer.steps if one.tool == "ask_analyst"]
    assert f"It takes back: {claim.summary} [{claim.id}]" in step.text
    assert f"It takes back: {claim.summary} [{claim.id}]" in everything(model.loop[-1])
