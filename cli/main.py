"""`graticule`: loads a command group only when it is called, so that help is instant."""

import importlib
import os
import sys

import click

from geo.errors import GeolocationError

COMMANDS = {
    "locate": ("cli.locate:locate", "Find out where a photo was taken."),
    "gallery": ("cli.galleries:gallery", "Build and inspect galleries of geotagged photos."),
    "trace": ("cli.traces:trace", "Show and verify the trace of a run."),
    "weights": ("cli.encoders:weights", "List encoder weights and where they live."),
    "doctor": ("cli.doctor:doctor", "Say what is installed, what is reachable, what to do next."),
    "demo": ("cli.demo:demo", "Build a small gallery, locate a photo in it, show the report."),
}
"""Command -> where it lives and its one-line help, which is all that `--help` needs."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="graticule")
def cli() -> None:
    """Where on Earth was this photo taken, how sure are we, and why?

    Answers are leads with a stated uncertainty, not proof.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0 answered, 2 bad input, 3 unavailable, 130 interrupted."""
    try:
        cli.main(args=arguments, prog_name="graticule", standalone_mode=False)
    except GeolocationError as error:
        click.echo(f"graticule: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("graticule: stopped; finished work is kept and can be resumed", err=True)
        return 130
    except BrokenPipeError:
        # The reader of our output went away; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
