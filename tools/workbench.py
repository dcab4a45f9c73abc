"""What the tools of one run may touch, built once at the edge and passed down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from geo.gazetteer import Gazetteer
from tools.photos import PhotoStore

if TYPE_CHECKING:
    from index_builder.gallery import Gallery


@dataclass
class Workbench:
    """Photo store, gazetteer, galleries: opened on first use, shared by every tool of a run."""

    photos: PhotoStore
    galleries: "tuple[Gallery, ...]" = ()
    open_gazetteer: Callable[[], Gazetteer] = field(default=Gazetteer.open)

    @cached_property
    def gazetteer(self) -> Gazetteer:
        """The offline gazetteer, built on first use where it is missing."""
        return self.open_gazetteer()
