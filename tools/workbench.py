"""What the tools of one run may touch, built once at the edge and passed down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from geo.gazetteer import Gazetteer
from tools.photos import PhotoStore

if TYPE_CHECKING:
    from index_builder.gallery import Gallery
    from tools.read_text import TextReader


@dataclass
class Workbench:
    """Photo store, gazetteer, galleries: opened on first use, shared by every tool of a run."""

    photos: PhotoStore
    galleries: "tuple[Gallery, ...]" = ()
    open_gazetteer: Callable[[], Gazetteer] = field(default=Gazetteer.open)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def gazetteer(self) -> Gazetteer:
        """The offline gazetteer, built on first use where it is missing."""
        # Tools run in threads, and cached_property alone would open one for each of them.
        with self._lock:
            return self._gazetteer

    @cached_property
    def _gazetteer(self) -> Gazetteer:
        return self.open_gazetteer()

    def close(self) -> None:
        """Close the gazetteer, if it was opened; galleries belong to who opened them."""
        with self._lock:
            if "_gazetteer" in self.__dict__:
                self.__dict__.pop("_gazetteer").close()

    @cached_property
    def reader(self) -> "TextReader":
        """The text reader of this process; its models load on first use."""
        from tools.read_text import shared_reader

        return shared_reader()
