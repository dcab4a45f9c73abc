"""Which answer the workspace shows: the latest, or an earlier one as it stood then."""

from collections.abc import Callable
from itertools import takewhile

from agent.answer_changes import changes
from server.web_acts import Acts
from server.web_elements import button, el
from server.web_story import Story


class Revisions:
    """Goes back to earlier answers: map, evidence and photo as they were when one was given.

    Args:
        acts: of the session, to read its events anew.
        live: what is known by now.
        painted: called after another answer is to be shown.
    """

    def __init__(self, acts: Acts, live: Story, painted: Callable[[], object]) -> None:
        self.acts, self.live, self._painted = acts, live, painted
        self._past: Story | None = None

    @property
    def story(self) -> Story:
        """What is to be shown."""
        return self._past or self.live

    @property
    def past(self) -> bool:
        """Whether an earlier answer is shown, with which nothing can be done."""
        return self._past is not None

    async def show(self, index: int) -> None:
        """Show the answer of an index from 0; the last one is what is known by now."""
        if index >= len(self.live.answers) - 1:
            self._past = None
        else:
            end = self.live.ends[index]
            self._past = await self.acts.do(lambda: self._until(end))
        self._painted()

    def latest(self) -> None:
        """Show what is known by now."""
        self._past = None

    def _until(self, last: int) -> Story:
        story = Story()
        events = self.acts.sessions.events(self.acts.id)
        for event in takewhile(lambda event: event.number <= last, events):
            story.add(event)
        return story

    def bar(self) -> None:
        """Show the answers to choose from, where there are several, and what this one changed."""
        count = len(self.live.answers)
        if count < 2:
            return
        shown = len(self.story.answers)
        with el("div", "revisions", role="group", aria_label="Answers of this session"):
            el("span", "soft", "Answer")
            for number in range(1, count + 1):
                button(str(number), lambda index=number - 1: self.show(index), "small",
                       aria_pressed=str(number == shown).lower(),
                       aria_label=f"Show answer {number} of {count}")  # fmt: skip
            if self.past:
                el("span", "revision stale", "an earlier answer, as it stood then")
            elif told := change_words(self.story, shown - 1):
                el("span", "soft changed", told)


def change_words(story: Story, index: int) -> str:
    """Return what an answer changed against the one before, in words; empty for the first."""
    if not 0 < index < len(story.answers):
        return ""
    return ", ".join(changes(*story.answers[index - 1 : index + 1])) or "the same as before"


def said_words(because: str) -> str:
    """Return what the person's words did to an answer, as its explanation ends with."""
    at = max(because.rfind(" You said "), because.rfind(" You drew "))
    return because[at + 1 :] if at >= 0 else ""
