"""The conversation: what the person said, the steps as they arrive, questions and answers."""

from collections.abc import Callable
from typing import Any

from nicegui.element import Element

from agent.event_words import line, reply_line, words_of
from agent.model_use import said_of
from agent.report_format import duration
from agent.trace import Event
from server.web_answer import answer_line
from server.web_elements import button, el, set_attribute, set_text
from server.web_revisions import change_words, said_words
from server.web_steps import asked_words, step_box, token_words
from server.web_story import Story
from server.web_words import tool_words

QUIET = frozenset({"setup", "photo", "node", "tool_call", "tool_result", "evidence", "belief",
                   "answer", "message", "reply", "question", "model_call", "model_reply",
                   "stopped", "error", "resumed", "fork", "trajectory"})  # fmt: skip
"""Kinds of events that have a shape of their own here, or none; others are told in a line."""


class Talk:
    """Turns events into elements, one by one; what it is told twice it must not be given.

    Args:
        turns: the list to fill.
        story: has taken in the event before this does.
        fork: called with the number of the step to branch off after.
        reply: called with the answer to a question.
        again: called with the index of the answer to show in the workspace.
    """

    def __init__(
        self,
        turns: Element,
        story: Story,
        fork: Callable[[int], object],
        reply: Callable[[str], object],
        again: Callable[[int], object],
    ) -> None:
        self.turns, self.story, self._fork, self._reply = turns, story, fork, reply
        self._again = again
        self._seen: set[str] = set()
        self._work: Element | None = None
        self._steps: Element | None = None
        self._title: Element | None = None
        self._question: Element | None = None
        self._rows: dict[str, Element] = {}
        self._refs: dict[str, Element] = {}
        self._count, self._tokens, self._seconds = 0, 0, 0.0

    def show(self, event: Event) -> None:
        """Show one event."""
        act = getattr(self, f"_show_{event.kind}", None)
        data: dict[str, Any] = dict(event.data)
        if act is not None:
            act(data)
        elif event.kind not in QUIET:
            self._aside(words_of(event), event.kind)

    # What the person says

    def _show_message(self, data: dict[str, Any]) -> None:
        told = [f"Evidence withdrawn: {self._numbers(data['withdraw'])}"] if data.get(
            "withdraw") else []  # fmt: skip
        told += [f"Evidence restored: {self._numbers(data['restore'])}"] if data.get(
            "restore") else []  # fmt: skip
        if region := data.get("region"):
            inside = (region.get("properties") or {}).get("inside") is not False
            told.append("Drawn area: taken there" if inside else "Drawn area: not there")
        photos = [one for one in data.get("photos") or () if one not in self._seen]
        self._seen.update(photos)
        self._person(str(data.get("text") or ""), photos, told)

    def _show_reply(self, data: dict[str, Any]) -> None:
        reply = data.get("reply")
        if isinstance(reply, list) and reply:
            reply = reply[0]
        if isinstance(reply, dict):
            reply = reply.get("args") if reply.get("type") == "response" else "No answer"
        self._settle_question()
        self._person(str(reply or "No answer"), (), ())

    def _person(self, text: str, photos: Any, told: Any) -> None:
        with self._turn("person", "You"):
            if photos:
                with el("div", "thumbs"):
                    for photo in photos:
                        el("img", "thumb", src=f"/page/files/photos/{photo}?side=160",
                           alt="Photo that you sent", loading="lazy")  # fmt: skip
            if text:
                el("p", "said", text)
            for one in told:
                el("p", "said soft", one)
            if not (text or told):
                el("p", "said soft", "Where was this taken?")

    # Work

    def _show_setup(self, data: dict[str, Any]) -> None:
        self._settle_question()
        self._work = None
        self._count, self._tokens, self._seconds = 0, 0, 0.0
        self._rows = {}

    def _show_tool_call(self, data: dict[str, Any]) -> None:
        key = str(data.get("id"))
        with self._working():
            self._rows[key] = el("li", "step pending")
            with self._rows[key], el("div", "step-line"):
                el("span", "step-dot", aria_hidden="true")
                el("span", "step-tool", tool_words(str(data.get("tool"))))
                el("span", "step-text soft", asked_words(data.get("args")))

    def _show_tool_result(self, data: dict[str, Any]) -> None:
        row = self._rows.pop(str(data.get("call_id")), None)
        if row is None:
            with self._working():
                row = el("li", "step")
        row.classes(remove="pending")
        row.clear()
        self._count += 1
        self._seconds += float(data.get("seconds") or 0)
        with row:
            step_box(data, self.story, self._refs, self._fork)
        self._retitle()

    def _show_model_reply(self, data: dict[str, Any]) -> None:
        took = [data.get("tokens_in"), data.get("tokens_out")]
        self._tokens += sum(int(one) for one in took if isinstance(one, int))
        self._seconds += float(data.get("seconds") or 0)
        said = said_of(data.get("text"))
        with self._working(), el("li", "step model"), el("details", "step-box"):
            with el("summary", "step-line"):
                el("span", "step-dot", aria_hidden="true")
                el("span", "step-tool", "Model")
                el("span", "step-text", line(said, 160) if said else reply_line(data))
                el("span", "step-time", token_words(sum(int(one) for one in took if one)))
            with el("div", "step-body"):
                el("p", "soft", reply_line(data))
                if said:
                    el("p", "quote", said)
        self._retitle()

    def _aside(self, text: str, kind: str) -> None:
        with self._working(), el("li", f"step aside {kind}"), el("div", "step-line"):
            el("span", "step-dot", aria_hidden="true")
            el("span", "step-text", text)

    def _show_evidence(self, data: dict[str, Any]) -> None:
        key = str(data.get("id"))
        if key in self._refs:  # the step came before its evidence had a number
            set_text(self._refs[key], f"#{self.story.number(key)}")

    # Ends

    def _show_question(self, data: dict[str, Any]) -> None:
        args = data.get("args") if isinstance(data.get("args"), dict) else {}
        assert isinstance(args, dict)
        self._finish("Waits for you")
        self._question = self._turn("question", "Question to you")
        with self._question:
            el("p", "asks", str(args.get("question") or "The model asks for your view."))
            with el("div", "options", data_waiting=True):
                for option in args.get("options") or ():
                    button(str(option), lambda said=str(option): self._reply(said), "option")
                button("No answer", lambda: self._reply(""), "quiet")
            el("p", "soft", "Or write in your own words below.")

    def _settle_question(self) -> None:
        if self._question is not None:
            for one in list(self._question.descendants()):
                if "options" in one.classes:
                    one.delete()
                    break
            self._question = None

    def _show_answer(self, data: dict[str, Any]) -> None:
        self._finish("")
        index = len(self.story.answers) - 1
        answer = self.story.answers[index]
        changed = change_words(self.story, index)
        told = [said_words(answer.because), f"Against answer {index}: {changed}." * bool(changed)]
        with self._turn("answer", "Graticule"):
            answer_line(answer, told, lambda: self._again(index))

    def _show_stopped(self, data: dict[str, Any]) -> None:
        self._finish("Stopped, partial")
        self._end("stopped", "Stopped. What was found until then is kept, but it is partial: no "
                  "answer was concluded from it.")  # fmt: skip

    def _show_error(self, data: dict[str, Any]) -> None:
        self._finish("Failed, partial")
        self._end("error", str(data.get("message") or data.get("type") or "It failed."))

    def _show_fork(self, data: dict[str, Any]) -> None:
        self._finish("")
        self._end(
            "fork", "This session branches off another one here; everything above is its past."
        )

    def _show_resumed(self, data: dict[str, Any]) -> None:
        self._aside("Goes on where it stopped", "resumed")

    def _end(self, kind: str, text: str) -> None:
        with self._turn(f"note {kind}", "Note"):
            el("p", "", text)

    # Frames

    def _turn(self, kind: str, who: str) -> Element:
        with self.turns:
            turn = el("li", f"turn {kind}")
        with turn:
            el("span", "who", who)
        return turn

    def _working(self) -> Element:
        """Return the list of steps of the present run, begun where there is none."""
        if self._work is None or self._steps is None:
            with self.turns, el("li", "turn run"):
                self._work = el("details", "work-box", open=True)
                with self._work:
                    with el("summary", "work-line"):
                        self._title = el("span", "work-title", "Working")
                    self._steps = el("ol", "steps")
        return self._steps

    def _retitle(self, end: str = "") -> None:
        if self._title is not None:
            tokens = f" · {token_words(self._tokens)}" if self._tokens else ""
            count = f"{self._count} step{'' if self._count == 1 else 's'}"
            told = f"{count} · {duration(self._seconds)}{tokens}"
            set_text(self._title, f"{end}: {told}" if end else told)

    def _finish(self, end: str) -> None:
        """Close the steps of a run; what had no result is dropped from sight."""
        for row in self._rows.values():
            row.classes(add="dead", remove="pending")
        self._rows = {}
        if self._work is not None:
            set_attribute(self._work, "open", None)
            self._retitle(end)
        self._work = None

    def _numbers(self, keys: Any) -> str:
        return ", ".join(f"#{self.story.number(str(key)) or key}" for key in keys)
