"""A gallery: geotagged photos, places or cells one can compare with.

    manifest.json   what it is: format, encoder, index, store, counts
    codebook.npz    visual words, where its encoder is `embedded`
    points/         vectors and payloads (Qdrant Edge), unless a Qdrant server has them
    features/       local features of each photo, about 136 KB each, where its encoder is `embedded`
    photos/         small JPEGs without metadata, to show and verify what matched
    rejects.jsonl   what the last build could not use, and why
    lock            held by the one process that has it open

Knows the folder and its invariants, and how to search. How things get in is
`index_builder.build`; how galleries are checked, merged and exported, `index_builder.upkeep`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pydantic import JsonValue

from encoders.local_features import LocalFeatures, extract_features, unpack_features
from encoders.photo_file import printable
from geo.errors import InputError
from index_builder.files import FolderLock, read_regular, write_atomically
from index_builder.gallery_photo import GalleryPhoto, Hit, payload_of, photo_of
from index_builder.manifest import BUILD, Counts, Manifest
from index_builder.points import (
    EVERYWHERE,
    PointStore,
    StoredPoint,
    Vector,
    Where,
)
from index_builder.search import Hits, NearDuplicates, search_fused, search_one

if TYPE_CHECKING:
    from PIL import Image

    from encoders.embedded import EmbeddedEncoder

EXACT_UP_TO = 20_000
"""Points of a gallery that is searched exactly unless told otherwise: 2 ms at 512 numbers. Of
larger ones a first search would read every vector from the disk, not the small copies alone."""


@dataclass
class Gallery:
    """An open gallery. Close it, or use it in a `with` statement."""

    path: Path | None
    """Its folder; None where only a server has it."""
    manifest: Manifest
    store: PointStore
    codebook_encoder: "EmbeddedEncoder | None" = None
    """What made its vectors, where that is the encoder `embedded`."""
    lock: FolderLock | None = None

    @property
    def name(self) -> str:
        """Name of its folder, or of its collection."""
        return printable(self.path.name if self.path else self.manifest.store.collection)

    @property
    def encoder(self) -> "EmbeddedEncoder":
        """The encoder `embedded` of this gallery.

        Raises:
            InputError: another encoder made its vectors.
        """
        if self.codebook_encoder is None:
            made = self.manifest.encoder.name
            raise InputError(f"gallery {self.name!r} was built by encoder {made!r}; encode with it")
        return self.codebook_encoder

    def __len__(self) -> int:
        return self.store.count()

    def search(
        self,
        query: Vector | Mapping[str, Vector],
        limit: int,
        *,
        where: Where = EVERYWHERE,
        dissimilar: bool = False,
        apart_from: NearDuplicates | None = None,
        exact: bool | None = None,
    ) -> list[Hit]:
        """Return the photos most similar to a query, best first.

        Args:
            query: `[D]` unit vector of the family's index space; or such a vector for each of
                several spaces, whose cosines are summed: all of `manifest.encoder.retrieval` for
                the family's own rule, a text's vector for the space that texts share.
            limit: at most this many, and never fewer where so many pass.
            where: which photos.
            dissimilar: return the least similar instead, the least first.
            apart_from: leave out near duplicates of this photo.
            exact: compare whole vectors with all; None does so up to 20,000 photos.

        Raises:
            InputError: a vector is not one of this gallery's spaces, or a condition is none.
        """
        vectors = self._vectors(query)
        sign = -1 if dissimilar else 1
        signed = {space: sign * vector for space, vector in vectors.items()}
        # Counting the points would take longer than many a search.
        exactly = self.manifest.photos <= EXACT_UP_TO if exact is None else exact

        def find(count: int) -> Hits:
            if len(signed) == 1:
                ((space, vector),) = signed.items()
                return search_one(self.store, space, vector, count, where, exact=exactly)
            return search_fused(self.store, signed, count, where, exact=exactly)

        hits = apart_from.filter(find, limit, sign, len(signed)) if apart_from else find(limit)
        return [Hit(photo=photo_of(payload), score=sign * score) for payload, score in hits]

    def _vectors(self, query: Vector | Mapping[str, Vector]) -> dict[str, Vector]:
        known = self.manifest.encoder
        if not isinstance(query, Mapping):
            if len(known.retrieval) != 1:
                raise InputError(
                    f"gallery {self.name!r} is searched in {', '.join(known.retrieval)} at once; "
                    "give a vector for each"
                )
            return {known.retrieval[0]: query}
        if unknown := sorted(set(query) - set(known.spaces)) or not query:
            raise InputError(
                f"gallery {self.name!r} has the spaces {', '.join(known.spaces)}, not "
                f"{printable(str(unknown))}; give vectors of those"
            )
        return dict(query)

    def photo(self, reference: str) -> GalleryPhoto:
        """Return the photo whose SHA-256 begins with `reference`, of 8 digits or more.

        Raises:
            InputError: no photo or several begin with it.
        """
        if len(reference) == 64:
            found = [photo_of(point.payload) for point in self.store.get([reference])]
        else:
            found = [p for p in self.photos() if p.id.startswith(reference)]
        if len(reference) < 8 or len(found) != 1:
            raise InputError(
                f"gallery {self.name!r} has {len(found)} photos {printable(reference)!r}, limit "
                "1; give the SHA-256 of one, or at least its first 8 digits"
            )
        return found[0]

    def photos(self, where: Where = EVERYWHERE) -> Iterator[GalleryPhoto]:
        """Yield every photo that passes, in the order of ids."""
        return (photo_of(point.payload) for point in self.store.scan(where=where))

    def features(self, photo_id: str) -> LocalFeatures:
        """Return the local features of a photo, found in its small copy where none are kept.

        Raises:
            InputError: they are missing or damaged, and so is the copy.
        """
        if self.manifest.encoder.name != "embedded":
            return extract_features(self.image(photo_id))
        return unpack_features(self._read(self.features_path(photo_id)))

    def image(self, photo_id: str) -> "Image.Image":
        """Return the small copy of a photo, RGB.

        Raises:
            InputError: it is missing or damaged.
        """
        from encoders.pixels import open_photo

        return open_photo(self._read(self.image_path(photo_id))).image

    def _read(self, path: Path) -> bytes:
        try:
            return read_regular(path)
        except OSError as error:
            raise InputError(
                f"gallery {self.name!r} cannot read {path.name!r} ({error.strerror}); "
                f"delete it and build it again: {BUILD}"
            ) from None

    @property
    def folder(self) -> Path:
        """Its folder.

        Raises:
            InputError: only a server has this gallery.
        """
        if self.path is None:
            raise InputError(
                f"gallery {self.name!r} has no photos on this machine, only vectors in a server; "
                "open the folder it was built in"
            )
        return self.path

    def features_path(self, photo_id: str) -> Path:
        """Return where the local features of a photo are kept."""
        return self.folder / "features" / photo_id[:2] / f"{photo_id}.npz"

    def image_path(self, photo_id: str) -> Path:
        """Return where the small copy of a photo is kept."""
        return self.folder / "photos" / photo_id[:2] / f"{photo_id}.jpg"

    def has_image(self, photo_id: str) -> bool:
        """Return whether the small copy of a photo is on this machine."""
        return self.path is not None and self.image_path(photo_id).is_file()

    def add(self, photos: Sequence[tuple[GalleryPhoto, Mapping[str, Vector]]]) -> None:
        """Write photos with a vector for each space; the same photo again replaces the former."""
        self.store.upsert([StoredPoint(p.id, vectors, payload_of(p)) for p, vectors in photos])

    def write_manifest(self, rejected: int | None = None) -> None:
        """Bring the manifest up to date with the store, in the folder and in the server."""
        self.manifest = self.manifest.model_copy(
            update={
                "photos": len(self),
                "counts": Counts(
                    sources=self.store.counts("source"),
                    countries=self.store.counts("country"),
                    licences=self.store.counts("licence"),
                ),
                "rejected": self.manifest.rejected if rejected is None else rejected,
                "updated": datetime.now(UTC),
            }
        )
        if self.path:
            text = self.manifest.model_dump_json(indent=2)
            write_atomically(self.path / "manifest.json", text.encode())
        if self.manifest.store.url:
            from index_builder.server_points import ServerStore, write_collection_manifest

            assert isinstance(self.store, ServerStore)
            write_collection_manifest(self.store, self.manifest)

    def info(self) -> dict[str, JsonValue]:
        """Return the manifest, name and path as JSON."""
        stated: dict[str, JsonValue] = json.loads(self.manifest.model_dump_json())
        where = printable(str(self.path or self.manifest.store.url))
        return {"name": self.name, "path": where, **stated, "photos": len(self)}

    def close(self) -> None:
        """Write what is pending and release the folder."""
        self.store.close()
        if self.lock:
            self.lock.release()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
