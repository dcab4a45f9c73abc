"""`graticule`: loads a command group only when it is called, so that help is instant."""

import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

import click

from cli.lazy import LazyGroup
from geo.errors import GeolocationError

COMMANDS = {
    "locate": ("cli.locate:locate", "Find out where a photo was taken."),
    "batch": ("cli.batch:batch", "Locate every photo of a folder, into one table."),
    "chat": ("cli.chat:chat", "Talk about a photo until satisfied."),
    "sessions": ("cli.sessions:sessions", "List, go on with, fork and compare sessions."),
    "recipes": ("cli.recipes:recipes", "List the ways to locate, and which can run here."),
    "gallery": ("cli.galleries:gallery", "Build and inspect galleries of geotagged photos."),
    "evaluate": ("cli.evaluate:evaluate", "Measure accuracy and calibration where truth is known."),
    "trace": ("cli.traces:trace", "Show, verify, replay and compare traces of runs."),
    "export": ("cli.export:export", "Write a session as a report, map, table or case file."),
    "weights": ("cli.encoders:weights", "List, download and import encoder weights."),
    "train": ("cli.train:train", "Train an encoder on your own geotagged photos."),
    "serve": ("cli.serve:serve", "Serve sessions, or an encoder, over HTTP."),
    "keys": ("cli.keys:keys", "Make, list and revoke the keys of the server."),
    "mcp": ("cli.mcp:mcp", "Speak the Model Context Protocol, for assistants."),
    "doctor": ("cli.doctor:doctor", "Say what is installed, what is reachable, what to do next."),
    "demo": ("cli.demo:demo", "Build a small gallery, locate a photo in it, show the report."),
}
"""Command -> where it lives and its one-line help, which is all that `--help` needs."""
STOPPED = "graticule: stopped; finished work is kept, run the same command again to go on"
GRACE_S = 1.0


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="graticule")
def cli() -> None:
    """Where on Earth was this photo taken, how sure are we, and why?

    Answers are leads with a stated uncertainty, not proof.
    """


class Stopped(BaseException):
    """SIGINT or SIGTERM. No KeyboardInterrupt, to which click would add an empty line.

    What must be put away has `GRACE_S` for it: threads deep in a model cannot be called back.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self._timer = threading.Timer(GRACE_S, self.leave)
        self._timer.daemon = True
        self._timer.start()

    def leave(self) -> NoReturn:
        """Say that we stop, and end the process without waiting for its threads."""
        self._timer.cancel()
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        click.echo(show_cursor + STOPPED, err=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(self.exit_code)


def _stop(number: int, _: object) -> None:
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_DFL)  # asked again, end at once
    raise Stopped(number)


def _drop_quietly(dropped: "sys.UnraisableHookArgs") -> None:
    """Say nothing of a `Stopped` that Python drops inside a finaliser: its timer still ends us."""
    if not isinstance(dropped.exc_value, Stopped):
        sys.__unraisablehook__(dropped)


def _drop_unwritten() -> None:
    """Drop what standard output does not take: Python would try again at its end, and exit 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 answered, 2 bad input, 3 unavailable, 130 interrupted, 143 terminated.
    """
    if arguments is None:  # we are the program, not a function of another one
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        sys.unraisablehook = _drop_quietly
    try:
        cli.main(args=arguments, prog_name="graticule", standalone_mode=False)
    except GeolocationError as error:
        click.echo(f"graticule: {error}", err=True)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "graticule"
        message = " ".join(error.format_message().split()).rstrip(".")
        click.echo(f"graticule: {message}; see '{command} --help'", err=True)
        return error.exit_code
    except Stopped as stopped:
        stopped.leave()
    except (click.Abort, KeyboardInterrupt):
        click.echo(STOPPED, err=True)
        return 130
    except OSError as error:
        reason = error.strerror or str(error)
        where = f" {error.filename!r}" if error.filename else ""
        click.echo(f"graticule: cannot use{where or ' a file'}: {reason}; check the disk", err=True)
        _drop_unwritten()
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
