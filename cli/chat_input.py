"""What is typed in a conversation: lines with completion on a terminal, plain lines from a pipe."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

Completer = Callable[[str], list[str]]
"""Takes the line up to the cursor, returns what its last word may become."""


class Reader:
    """Reads lines from a person or from a pipe.

    Args:
        complete: what the last word of a line may become.
        echo: writes what came from a pipe, so that the output reads as a conversation.
    """

    def __init__(self, complete: Completer, echo: Callable[[str], object]) -> None:
        self.typed = sys.stdin.isatty() and sys.stdout.isatty()
        self._echo = echo
        self._lines: list[str] = []
        if self.typed:
            _complete_with(complete)

    def read(self, prompt: str) -> str | None:
        """Return the next line without its end; None where nothing comes any more.

        Raises:
            KeyboardInterrupt: Ctrl-C was typed into the line.
        """
        if self.typed:
            try:
                return input(prompt).strip()
            except EOFError:
                return None
        line = sys.stdin.readline()
        if not line:
            return None
        self._echo(f"{prompt}{line.strip()}")
        return line.strip()

    def confirm(self, question: str) -> bool:
        """Return whether a question is answered with yes."""
        return (self.read(f"{question} [y/N] ") or "").casefold() in ("y", "yes")


def _complete_with(complete: Completer) -> None:
    """Have readline, where it is there, edit lines and complete words; no history is written."""
    try:
        import readline
    except ImportError:
        return
    found: list[str] = []

    def completer(_: str, state: int) -> str | None:
        if state == 0:
            found[:] = complete(readline.get_line_buffer()[: readline.get_endidx()])
        return found[state] if state < len(found) else None

    readline.set_completer_delims(" \t\n,")
    readline.set_completer(completer)
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")


def paths_like(text: str) -> list[str]:
    """Return the paths that begin like `text`; folders end with a slash."""
    start = Path(text).expanduser()
    folder = start if text.endswith("/") else start.parent
    head = text[: len(text) - len("" if text.endswith("/") else start.name)]
    beginning = "" if text.endswith("/") else start.name
    try:
        names = sorted(one for one in folder.iterdir() if one.name.startswith(beginning))
    except OSError:
        return []
    hidden = beginning.startswith(".")
    return [
        f"{head}{one.name}{'/' if one.is_dir() else ''}"
        for one in names
        if hidden or not one.name.startswith(".")
    ]


@contextlib.contextmanager
def interrupts(handle: Callable[[], bool]) -> Iterator[None]:
    """Have Ctrl-C handled by a function, and end the program where that does not.

    Args:
        handle: called at each Ctrl-C, in the main thread, in the middle of anything; may raise
            KeyboardInterrupt. Where it returns False, what Ctrl-C did before is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: Any = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: FrameType | None) -> None:
        if not handle():
            before(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
