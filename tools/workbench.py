"""What the tools of one run may touch, built once at the edge and passed down."""

from collections.abc import Callable
from contextlib import suppress
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
    from tools.judge import Judge
    from tools.read_text import TextReader
    from tools.same_picture import Sameness


REMEMBERED_PHOTOS = 64
"""Photos whose vectors are kept: every tool of a run asks for the same ones."""


def _load_encoder(name: str) -> "AlignedEncoder":
    from encoders import load_encoder

    return load_encoder(name)


def _same_as(photo_id: str, others: "list[str]", photos: PhotoStore) -> "tuple[Sameness, str]":
    from tools.same_picture import same_as

    return same_as(photo_id, others, photos)


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
    shares_encoders: bool = False
    """Whether others use the encoders that are loaded here, too, and somebody else closes them."""
    open_places: "Callable[[AlignedEncoder], Places] | None" = None
    """Opens the gallery of places of that encoder, embedding it where it is missing."""
    load_encoder: "Callable[[str], AlignedEncoder]" = _load_encoder
    """Loads the encoder that made a gallery, by the name in its manifest."""
    same_as: "Callable[[str, list[str], PhotoStore], tuple[Sameness, str]]" = _same_as
    """Tells whether a further photo repeats one of others; see `tools.same_picture.same_as`."""
    judge: "Judge | None" = None
    """Looks at photos that are compared, beside the geometric check; None where no model can."""
    missing: tuple[str, ...] = ()
    """What this machine lacks that could have said more, one line each with its remedy."""
    _lock: Lock = field(default_factory=Lock, repr=False)
    _encoder_lock: RLock = field(default_factory=RLock, repr=False)
    _vectors: "dict[tuple[str, str], dict[str, Vectors]]" = field(default_factory=dict, repr=False)
    _loaded: "dict[str, AlignedEncoder]" = field(default_factory=dict, repr=False)

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

    def encoder_of(self, gallery: "Gallery") -> "AlignedEncoder":
        """Return the encoder that made the vectors of a gallery, loaded on first use.

        Raises:
            InputError: what its manifest names is another encoder by now.
            UnavailableError: it cannot be loaded on this machine.
        """
        from index_builder.gallery_opening import check_encoder

        wanted = gallery.manifest.encoder
        with self._encoder_lock:
            if wanted.fingerprint in self._loaded:
                return self._loaded[wanted.fingerprint]
            own = None
            with suppress(UnavailableError):  # of places, not of this gallery
                own = self.encoder
            if own and own.card.fingerprint == wanted.fingerprint:
                return own
            found = self.load_encoder(wanted.load)
            check_encoder(repr(gallery.name), gallery.manifest, found.card)
            self._loaded[wanted.fingerprint] = found
            return found

    def photo_vector(self, photo_id: str) -> "Vectors":
        """Return a photo's vector `[D]` in the alignment space; zeros where nothing is seen in it.

        Raises:
            InputError: there is no such photo, or it is too small or too long a strip.
            UnavailableError: there is no encoder, or its image tower is missing.
        """
        with self._encoder_lock:
            if (encoder := self.encoder) is None:
                raise UnavailableError("no encoder aligns photos with places; choose one")
            return self.photo_vectors(photo_id, encoder)[encoder.card.alignment]

    def photo_vectors(self, photo_id: str, encoder: "AlignedEncoder") -> "dict[str, Vectors]":
        """Return a photo's vector `[D]` for each image space of an encoder; see `photo_vector`."""
        from encoders.base import check_vectors

        photo, card = self.photos.get(photo_id), encoder.card
        key = card.fingerprint, photo.id
        with self._encoder_lock:  # one photo at a time: a tower fills all cores by itself
            if key not in self._vectors:
                found = encoder.encode_images([self.photos.image(photo.id)])
                rows = {s: check_vectors(card, s, found)[0] for s in card.image_spaces}
                if len(self._vectors) >= REMEMBERED_PHOTOS:
                    del self._vectors[next(iter(self._vectors))]
                self._vectors[key] = rows
            return self._vectors[key]

    def close(self) -> None:
        """Close what was opened here; galleries belong to who opened them."""
        with self._encoder_lock:
            self.__dict__.pop("_places", None)
            encoder = self.__dict__.pop("_encoder", None)
            owned = [*self._loaded.values(), *([encoder] if self.owns_encoder else [])]
            self._loaded.clear()
            if self.shares_encoders:
                owned = []
            for one in owned:
                if hasattr(one, "close"):
                    one.close()
        with self._lock:
            if "_gazetteer" in self.__dict__:
                self.__dict__.pop("_gazetteer").close()

    @cached_property
    def reader(self) -> "TextReader":
        """The text reader of this process; its models load on first use."""
        from tools.read_text import shared_reader

        return shared_reader()
