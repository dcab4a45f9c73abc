"""`graticule gallery`: make galleries of geotagged photos, look after them, search them.

Commands are imported on use, like groups: help stays instant, and one that lacks a package does
not take the others with it.
"""

import click

from cli.lazy import LazyGroup

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


@click.group(cls=LazyGroup, lazy=COMMANDS)
def gallery() -> None:
    """Make galleries of geotagged photos, look after them and search them."""
