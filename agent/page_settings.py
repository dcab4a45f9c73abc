"""What the page shows beyond its own data."""

from pydantic import ConfigDict, Field

from tools.evidence import Record


class TileLayer(Record):
    """A source of map tiles; every view asks its server for pictures of the place looked at."""

    model_config = ConfigDict(strict=False)

    name: str = Field(min_length=1, max_length=40)
    url: str = Field(pattern=r"^(https?://|/)\S+$")
    """With `{z}`, `{x}`, `{y}`, such as `https://tiles.example.org/{z}/{x}/{y}.png`."""
    attribution: str = Field(default="", max_length=300)


class PageSettings(Record):
    """Of the page in the browser."""

    model_config = ConfigDict(strict=False)

    tiles: tuple[TileLayer, ...] = ()
    """Offered beside the outlines, which need no network; JSON list. None by default: a tile
    server learns which place is looked at."""
