"""The analyst's verdict and notes, kept with the session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.answer import Answer
from agent.session_records import Assessment, VerdictWord
from geo.coordinate import Coordinate
from server.web_acts import Acts
from server.web_elements import button, el

VERDICTS: dict[VerdictWord, str] = {
    "right": "Right: inside the 50 % circle",
    "near": "Near: inside the 95 % circle",
    "wrong": "Wrong",
    "unknown": "Cannot be told",
}


@dataclass
class Draft:
    """A verdict that is being written."""

    verdict: VerdictWord = "unknown"
    place: str = ""
    by: str = ""
    notes: str = ""

    def assessment(self, revision: int) -> Assessment:
        """Return it as it is kept.

        Raises:
            InputError: the place is no coordinate.
            ValueError: the notes are too long.
        """
        place = Coordinate.parse(self.place) if self.place.strip() else None
        return Assessment(
            verdict=self.verdict,
            revision=revision,
            notes=self.notes,
            by=self.by,
            latitude=place.latitude if place else None,
            longitude=place.longitude if place else None,
        )


def verdict_panel(acts: Acts, answer: Answer | None, done: Callable[[], object]) -> None:
    """Show the form and the verdicts so far; `done` is called after one was kept."""
    if answer is None:
        el("p", "empty", "There is no answer to judge yet.")
        return
    draft = Draft()
    with el("fieldset", "verdicts"):
        el("legend", "", f"What you make of answer {answer.revision}")
        for word, text in VERDICTS.items():
            _choice(draft, word, text)
    with el("div", "fields"):
        _field(draft, "place", "True position", "latitude, longitude, if you know")
        _field(draft, "by", "Your name", "optional")
        _field(draft, "notes", "Notes", "", tag="textarea")

    async def keep() -> None:
        kept = await acts.do(
            lambda: acts.sessions.assess(acts.id, draft.assessment(answer.revision))
        )
        if kept:
            acts.say("Verdict kept")
            done()

    button("Keep verdict", keep, "primary", id="keep-verdict")
    for one in reversed(acts.sessions.assessments(acts.id)):
        _kept(one)


def _choice(draft: Draft, word: VerdictWord, text: str) -> None:
    name = f"verdict-{word}"
    with el("label", "check", for_=name):
        pick = el(
            "input", "", type="radio", name="verdict", id=name, value=word,
            checked=word == draft.verdict,
        )  # fmt: skip
        el("span", "", text)

    def choose() -> None:
        draft.verdict = word

    pick.on("change", choose, args=[])


def _field(draft: Draft, key: str, label: str, hint: str, tag: str = "input") -> None:
    el("label", "", label, for_=f"verdict-{key}")
    made = el(tag, "field", id=f"verdict-{key}", placeholder=hint or None, maxlength=10_000)

    def write(event: Any) -> None:
        setattr(draft, key, str(event.args))

    made.on("change", write, js_handler="(e) => emit(e.target.value)")


def _kept(one: Assessment) -> None:
    word = VERDICTS[one.verdict].split(":")[0]
    facts = [word, f"answer {one.revision}", one.by, f"{one.at[:16].replace('T', ' ')} UTC"]
    with el("div", "assessment"):
        el("p", "", " · ".join(filter(None, facts)))
        if one.latitude is not None and one.longitude is not None:
            el("p", "mono", f"{one.latitude:.5f}, {one.longitude:.5f}")
        if one.notes:
            el("p", "quote", one.notes)
