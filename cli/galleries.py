"""`graticule gallery`: make galleries of geotagged photos, look after them, search them.

Commands are imported on use, like groups: help stays instant, and one that lacks a package does
not take the others with it.
"""

import importlib

import click

COMMANDS = {
    "build": ("cli.gallery_build:build", "Make a gallery of geotagged photos, or add to one."),
    "info": ("cli.gallery_upkeep:info", "Say what a gallery holds and how it was built."),
    "check": ("cli.gallery_upkeep:check", "Look for damage, duplicates and doubtful positions."),
    "search": ("cli.gallery_search:search", "Find photos like a photo, a text or an entry."),
    "merge": ("cli.gallery_upkeep:merge", "Put several galleries of one encoder into a new one."),
    "export": ("cli.gallery_export:export", "Write a gallery as CSV, GeoJSON, Parquet or NumPy."),
    "remove": ("cli.gallery_upkeep:remove", "Delete a source, an author or a photo for good."),
    "cells": ("cli.gallery_cells:cells", "Make a gallery of map cells out of one of photos."),
}
"""Command -> where it lives and its one-line help."""


class LazyCommands(click.Group):
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


@click.group(cls=LazyCommands)
def gallery() -> None:
    """Make galleries of geotagged photos, look after them and search them."""
