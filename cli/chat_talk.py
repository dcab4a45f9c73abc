"""A conversation about a photo on the terminal: what is said, and what is shown of the runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.text import Text

from agent.answer import Answer
from agent.answer_changes import changes
from agent.report_format import visible
from agent.session_records import SessionInfo
from agent.session_run import SessionRun
from agent.sessions import Sessions
from agent.trace import Event
from cli.chat_input import Reader
from cli.geolocator_options import Chosen
from cli.run import revision_panel, shown
from cli.session_options import remember, session_options
from cli.terminal_pictures import Way, picture
from encoders.photo_file import printable
from geo.errors import GeolocationError, InputError

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot

PHOTO_SIZE, CROP_SIZE = (60, 18), (40, 9)
"""Most columns and lines of a picture."""
SHOWN_ID = 8
STOPPING = "Stopping after this step; Ctrl-C again leaves at once ..."


class Talk:
    """One conversation; it can go over to another session.

    Args:
        sessions: where they are kept.
        console: what is written to.
        reader: what is read from.
        way: how pictures are shown.
        chosen: what sessions that are begun here are begun with.
    """

    def __init__(
        self,
        sessions: Sessions,
        console: Console,
        reader: Reader,
        way: Way,
        chosen: Chosen,
    ) -> None:
        self.sessions, self.console, self.reader, self.way = sessions, console, reader, way
        self.chosen = chosen
        self.session_id = ""
        self.left = False
        self.failed: GeolocationError | None = None
        """Why the latest run or command failed."""
        self._run: SessionRun | None = None
        self._status: Status | None = None
        self._prepared = False

    @property
    def info(self) -> SessionInfo:
        """What is known of the session that is talked about.

        Raises:
            InputError: there is none yet.
        """
        if not self.session_id:
            raise InputError("no photo yet; begin with /new PHOTO, or /open an old session")
        return self.sessions.get(self.session_id)

    @property
    def answer(self) -> Answer:
        """The latest answer.

        Raises:
            InputError: there is none yet.
        """
        found = self.sessions.answer(self.info.id)
        if found is None:
            raise InputError("no answer yet; /resume goes on, or say something")
        return found

    def snapshot(self) -> "StateSnapshot":
        """Return the state of the session."""
        return self.sessions.snapshot(self.info.id)

    @property
    def waiting(self) -> bool:
        """Whether the next line answers a question."""
        return bool(self.session_id) and self.info.status == "waiting"

    # What happens

    def begin(self, photo: Path) -> None:
        """Begin a session with a photo and locate it."""
        options = session_options(self.chosen)
        info = self.sessions.create(photo, options=options)
        remember(self.sessions, info.id, self.chosen)
        self.session_id = info.id
        self.note(f"Session {info.id[:SHOWN_ID]}: {printable(info.name)}")
        self.show_photo(info.photos[0], PHOTO_SIZE)
        if not self._prepared:
            self.chosen.prepare(self.sessions.geolocators.get(options), quiet=not self.reader.typed)
            self._prepared = True
        self.say()

    def open(self, name: str) -> None:
        """Go on with a session, by its id, the beginning of it, or its name."""
        info = self.sessions.find(name)
        self.session_id = info.id
        self.note(f"Session {info.id[:SHOWN_ID]}: {printable(info.name)}, {info.status}")
        if info.photos:
            self.show_photo(info.photos[0], PHOTO_SIZE)
        if (answer := self.sessions.answer(info.id)) is not None:
            self.console.print(revision_panel(answer, info.name))
        if info.status == "waiting":
            self.show_question(self.question())
        elif info.status in ("stopped", "error"):
            self.note("It was stopped in the middle; /resume goes on, or say something.")

    def say(self, text: str = "", **more: Any) -> None:
        """Say something in the session and show what comes of it; see `Sessions.send`."""
        self.follow(self.sessions.send(self.info.id, text, **more))

    def reply(self, text: str) -> None:
        """Answer the question that the session waits with; an empty text is no answer."""
        options = self.question().get("options") or []
        number = int(text[:3]) if text.isdecimal() else 0
        if 1 <= number <= len(options):
            text = str(options[number - 1])
        self.follow(self.sessions.resume(self.info.id, text or None))

    def resume(self) -> None:
        """Go on where the session stopped."""
        if self.info.status == "waiting":
            self.show_question(self.question())
        else:
            self.follow(self.sessions.resume(self.info.id))

    def interrupt(self) -> bool:
        """Handle Ctrl-C: what runs stops after its step; asked once more, the program shall end.

        Raises:
            KeyboardInterrupt: nothing runs; it is meant for what is being typed.
        """
        run = self._run
        if run is None or run.status != "busy":
            raise KeyboardInterrupt
        if run.stopping:
            click.echo(f"\ngraticule: {self.way_back()}", err=True)
            return False
        run.stop()
        if self._status is not None:
            self._status.update(STOPPING)
        return True

    def way_back(self) -> str:
        """Return how the session is gone on with another day."""
        return f"go on with: graticule chat --session {self.session_id[:SHOWN_ID]}"

    def part(self) -> None:
        """Say how to come back."""
        if self.session_id:
            self.note(f"Session {printable(self.info.name)!r} is kept; {self.way_back()}")

    def follow(self, run: SessionRun) -> None:
        """Show a run until it ends, asks or stops, and what it came to."""
        self._run = run
        with self.console.status("Opening the photo ...") as self._status:
            for event in shown(run.events(), self.console, status=self._status):
                self._show_pictures(event)
                if run.stopping:
                    self._status.update(STOPPING)
        self._status = None
        if run.status == "idle" and run.answer is not None:
            self.console.print(
                revision_panel(run.answer, self.info.name, self._changed(run.answer))
            )
        elif run.status == "waiting":
            self.show_question(self.question())
        elif run.status == "stopped":
            self.note("Stopped; what was found is kept. /resume goes on, or say something.")
        elif run.error is not None:
            self._fail(run.error)

    def _changed(self, answer: Answer) -> tuple[str, ...]:
        """Return what an answer changes of the one before it, if there is one."""
        if answer.revision < 2:
            return ()
        before = self.sessions.answer(self.info.id, answer.revision - 1)
        assert before is not None, "revisions are numbered without gaps"
        return changes(before, answer) or ("nothing",)

    def _fail(self, error: Exception) -> None:
        """Tell why a run failed; a fault in the program is no less told."""
        if not isinstance(error, GeolocationError):
            error = GeolocationError(f"a fault in the program: {type(error).__name__}: {error}")
        self.fail(error)
        self.note("What was found is kept. /resume tries again.")

    # What is shown

    def fail(self, error: GeolocationError) -> None:
        """Tell of an error, and remember it for the exit code."""
        self.failed = error
        self.console.print(Text(f"✗ {printable(str(error), 1000)}", "yellow"))

    def note(self, text: str) -> None:
        """Tell something on the side."""
        self.console.print(Text(visible(text), "dim"))

    def show_photo(self, photo_id: str, size: tuple[int, int]) -> None:
        """Show a photo of the store, where the terminal can."""
        if self.way == "none":
            return
        try:
            image = self.sessions.photos.image(photo_id)
        except GeolocationError as error:
            self.note(f"(no picture: {printable(str(error), 200)})")
            return
        width = min(size[0], self.console.width - 2)
        if (made := picture(image, self.way, width, size[1])) is not None:
            self.console.print(made)

    def _show_pictures(self, event: Event) -> None:
        found = event.data.get("pictures") if event.kind == "tool_result" else None
        for one in found if isinstance(found, list) else []:
            if isinstance(one, dict) and one.get("photo_id"):
                self.show_photo(str(one["photo_id"]), CROP_SIZE)

    def question(self) -> dict[str, Any]:
        """Return what the session waits with: `question`, and `options`, if any."""
        for one in self.snapshot().interrupts:
            request = one.value.get("action_request") if isinstance(one.value, dict) else None
            if isinstance(request, dict) and isinstance(request.get("args"), dict):
                return dict(request["args"])
        return {"question": "The run waits for a reply."}

    def show_question(self, question: dict[str, Any]) -> None:
        """Show a question of the model, and how it is answered."""
        asked = escape(printable(str(question.get("question", "")), 500))
        self.console.print(f"[bold blue]The model asks:[/] {asked}")
        options = question.get("options") or []
        for number, option in enumerate(options, start=1):
            self.console.print(f"  {number}. {escape(printable(str(option), 120))}")
        how = "A number, or your own words" if options else "Your own words"
        self.note(f"{how}; an empty line is no answer.")
