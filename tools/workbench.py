"""What the tools of one run may touch, built once at the edge and passed down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock, RLock
from typing import TYPE_CHECKING

from geo.errors import UnavailableError
from geo.gazetteer import Gazetteer
from tools.photos import PhotoStore

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder, Vectors
    from index_builder.gallery import Gallery
    from index_builder.places import Places
    from tools.read_text import TextReader


REMEMBERED_PHOTOS = 64
"""Photos whose vectors are kept: every tool of a run asks for the same ones."""


@dataclass
class Workbench:
    """Photo store, gazetteer, galleries: opened on first use, shared by every tool of a run."""

    photos: PhotoStore
    galleries: "tuple[Gallery, ...]" = ()
    open_gazetteer: Callable[[], Gazetteer] = field(default=Gazetteer.open)
    open_encoder: "Callable[[], AlignedEncoder] | None" = None
    """Loads the encoder that aligns photos with places; None where there is none."""
    owns_encoder: bool = False
    """Whether that encoder is closed with the bench."""
    open_places: "Callable[[AlignedEncoder], Places] | None" = None
    """Opens the gallery of places of that encoder, embedding it where it is missing."""
    missing: tuple[str, ...] = ()
    """What this machine lacks that could have said more, one line each with its remedy."""
    _lock: Lock = field(default_factory=Lock, repr=False)
    _encoder_lock: RLock = field(default_factory=RLock, repr=False)
    _vectors: "dict[str, Vectors]" = field(default_factory=dict, repr=False)

    @property
    def gazetteer(self) -> Gazetteer:
        """The offline gazetteer, built on first use where it is missing."""
        # Tools run in threads, and cached_property alone would open one for each of them.
        with self._lock:
            return self._gazetteer

    @cached_property
    def _gazetteer(self) -> Gazetteer:
        return self.open_gazetteer()

    @property
    def encoder(self) -> "AlignedEncoder | None":
        """The encoder that aligns photos with places, loaded on first use; None without one.

        Raises:
            UnavailableError: it cannot be loaded now.
        """
        with self._encoder_lock:
            return self._encoder

    @cached_property
    def _encoder(self) -> "AlignedEncoder | None":
        return self.open_encoder() if self.open_encoder else None

    @property
    def places(self) -> "Places | None":
        """The gallery of places, opened on first use, embedded where it is missing; or None.

        Raises:
            UnavailableError: the encoder fails, or another process is embedding them.
        """
        with self._encoder_lock:
            return self._places

    @cached_property
    def _places(self) -> "Places | None":
        encoder = self.encoder
        return self.open_places(encoder) if encoder and self.open_places else None

    def photo_vector(self, photo_id: str) -> "Vectors":
        """Return a photo's vector `[D]` in the alignment space; zeros where nothing is seen in it.

        Raises:
            InputError: there is no such photo, or it is too small or too long a strip.
            UnavailableError: there is no encoder, or its image tower is missing.
        """
        from encoders.base import check_vectors

        photo = self.photos.get(photo_id)
        with self._encoder_lock:  # one photo at a time: a tower fills all cores by itself
            if photo.id not in self._vectors:
                if (encoder := self.encoder) is None:
                    raise UnavailableError("no encoder aligns photos with places; choose one")
                found = encoder.encode_images([self.photos.image(photo.id)])
                row = check_vectors(encoder.card, encoder.card.alignment, found)[0]
                if len(self._vectors) >= REMEMBERED_PHOTOS:
                    del self._vectors[next(iter(self._vectors))]
                self._vectors[photo.id] = row
            return self._vectors[photo.id]

    def close(self) -> None:
        """Close what was opened here; galleries belong to who opened them."""
        with self._encoder_lock:
            self.__dict__.pop("_places", None)
            encoder = self.__dict__.pop("_encoder", None)
            if self.owns_encoder and hasattr(encoder, "close"):
                encoder.close()
        with self._lock:
            if "_gazetteer" in self.__dict__:
                self.__dict__.pop("_gazetteer").close()

    @cached_property
    def reader(self) -> "TextReader":
        """The text reader of this process; its models load on first use."""
        from tools.read_text import shared_reader

        return shared_reader()
