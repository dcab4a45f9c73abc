"""Galleries without the test's photographers and without its photos, as they are searched.

A gallery photo by a photographer of the test set shows the same trip, and a near duplicate is the
test photo itself: both answer for the gallery instead of for the method. They are kept from every
search, look-up and count; the gallery on the disk stays as it is.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from encoders.local_features import hash_distance
from evaluation.store_without import StoreWithout
from geo.errors import ConfigError
from index_builder.files import unwritable
from index_builder.points import MAX_LIMIT, Where
from index_builder.search import SAME_COSINE, SAME_HASH_BITS

if TYPE_CHECKING:
    from evaluation.datasets import Dataset
    from evaluation.survey import Surveyed, Tell
    from index_builder.gallery import Gallery
    from index_builder.gallery_photo import Hit
    from tools.workbench import Workbench

Neutral = Callable[[str], AbstractContextManager[Path]]
NEAR = "near.jsonl"
FIRST_HITS = 32
"""Hits looked through for near duplicates at first; four times as many while all are some."""


@dataclass(frozen=True)
class Clean:
    """Galleries as they are to be searched, and what was taken out of them."""

    galleries: "tuple[Gallery, ...]"
    stated: dict[str, JsonValue]
    told: tuple[str, ...] = ()


def clean_galleries(
    bench: "Workbench",
    dataset: "Dataset",
    seen: "Mapping[str, Surveyed]",
    neutral: Neutral,
    folder: Path,
    *,
    accept_cells: bool = False,
    stop: threading.Event | None = None,
    tell: "Tell" = lambda *_: None,
) -> Clean:
    """Return the galleries of a bench without what would answer for the test.

    Taken out of each are the photos of the dataset's photographers, the dataset's own files, and
    near duplicates of each of its photos: a cosine of 0.95 and more in the gallery's own spaces
    (the mean of several), or a difference hash of at most 6 other bits among its nearest.

    Args:
        bench: whose galleries and encoders.
        dataset: whose photos and photographers; all of them, where only some are located.
        seen: what was seen of its photos.
        neutral: lends the neutral copy of a photo, by id.
        folder: of the run; near duplicates that were found are kept there.
        accept_cells: whether a gallery of cells may be searched all the same.
        stop: once set, the rest is not looked for.
        tell: called with what is going on, how many are done, and how many there are.

    Raises:
        ConfigError: a gallery of cells, from which no photo can be taken.
        InputError: the folder cannot be written to, or a gallery's encoder is another by now.
        UnavailableError: a gallery's encoder cannot be loaded.
    """
    kept: list[Gallery] = []
    stated: dict[str, JsonValue] = {}
    told: list[str] = []
    for number, gallery in enumerate(bench.galleries, start=1):
        name = gallery.name if gallery.name not in stated else f"{gallery.name} ({number})"
        if gallery.manifest.kind != "photos":
            stated[name] = _without_photos(gallery, accept_cells)
            kept.append(gallery)
            continue
        known = {author for author in gallery.store.counts("author") if author}
        authors = frozenset(dataset.authors & known)
        found = _Near(bench, gallery, folder).of(dataset, seen, neutral, stop, tell)
        own = {point.id for point in gallery.store.get([s.photo_id for s in seen.values()])}
        ids = frozenset(found | own)
        store = StoreWithout(gallery.store, authors, ids)
        kept.append(replace(gallery, store=store))
        theirs = gallery.store.count(Where(authors=authors)) if authors else 0
        if dataset.authors and not known:
            told.append(f"gallery {name!r} names no photographers: none could be kept out")
        told.append(
            f"gallery {name!r} is searched without {theirs:,} photos of {len(authors):,} of the "
            f"dataset's photographers and {len(ids):,} near duplicates of its photos"
        )
        stated[name] = {
            "photographers_of_the_gallery": len(known),
            "photographers_excluded": len(authors),
            "photos_of_theirs": theirs,
            "near_duplicates_excluded": len(ids),
            "photos_left": len(kept[-1]),
            "sha256": _digest(authors, ids),
        }
    return Clean(tuple(kept), stated, tuple(told))


def _without_photos(gallery: "Gallery", accepted: bool) -> str:
    """Return what is said of a gallery of places or cells."""
    if gallery.manifest.kind == "places":
        return "places without photos or photographers: nothing to exclude"
    if not accepted:
        raise ConfigError(
            f"gallery {gallery.name!r} holds cells, means of photos, from which neither a "
            "photographer nor a near duplicate of the test can be taken. Make it from a clean "
            "gallery: `graticule gallery remove PHOTOS --author NAME`, then `graticule gallery "
            "cells PHOTOS`; and say so with --accept-cells"
        )
    return "cells: taken for clean because the user said so; nothing is checked"


def _digest(*parts: Collection[str]) -> str:
    text = "\n\n".join("\n".join(sorted(part)) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class _Near:
    """Finds near duplicates of a dataset's photos in one gallery; what it found is kept."""

    bench: "Workbench"
    gallery: "Gallery"
    folder: Path

    def of(
        self,
        dataset: "Dataset",
        seen: "Mapping[str, Surveyed]",
        neutral: Neutral,
        stop: threading.Event | None,
        tell: "Tell",
    ) -> set[str]:
        known, found = self._held(), set[str]()
        usable = [t.image_id for t in dataset.truths if _pixels(seen, t.image_id)]
        try:
            with (self.folder / NEAR).open("ab") as file:
                if file.tell():
                    file.write(b"\n")
                for number, image_id in enumerate(usable, start=1):
                    if stop is not None and stop.is_set():
                        break
                    pixels = _pixels(seen, image_id)
                    if pixels not in known:
                        with neutral(image_id) as photo:
                            known[pixels] = self._near(photo, int(seen[image_id].dhash, 16))
                        row = {"gallery": self._key, "pixels": pixels, "ids": known[pixels]}
                        file.write(json.dumps(row).encode() + b"\n")
                        file.flush()
                    found |= set(known[pixels])
                    tell("looking for near duplicates", number, len(usable))
        except OSError as error:
            raise unwritable(self.folder / NEAR, error) from None
        return found

    @property
    def _key(self) -> str:
        made = self.gallery.manifest
        return f"{self.gallery.name} {made.encoder.fingerprint} {made.updated} {made.photos}"

    def _held(self) -> dict[str, list[str]]:
        path, found = self.folder / NEAR, {}
        for line in path.read_bytes().split(b"\n") if path.is_file() else ():
            try:
                row = json.loads(line)
                if row["gallery"] == self._key:
                    found[str(row["pixels"])] = [str(one) for one in row["ids"]]
            except (ValueError, KeyError, TypeError):  # a stop cut it
                continue
        return found

    def _near(self, photo: Path, dhash: int) -> list[str]:
        from tools.queries import PhotoQuery, vectors_of

        stored = self.bench.photos.add(photo)
        query = PhotoQuery(self.bench.photos, stored.id)
        vectors = vectors_of(self.bench, self.gallery, query)
        if vectors is None:
            return []
        count = FIRST_HITS
        while True:
            hits = self.gallery.search(vectors, count)
            near = [hit for hit in hits if _same(hit, len(vectors), dhash)]
            if len(near) < len(hits) or len(hits) < count or count == MAX_LIMIT:
                return sorted(hit.photo.id for hit in near)
            count = min(4 * count, MAX_LIMIT)


def _pixels(seen: "Mapping[str, Surveyed]", image_id: str) -> str:
    return seen[image_id].pixels if image_id in seen else ""


def _same(hit: "Hit", spaces: int, dhash: int) -> bool:
    if hit.score / spaces >= SAME_COSINE:
        return True
    stated = hit.photo.dhash
    return bool(stated) and hash_distance(dhash, int(stated, 16)) <= SAME_HASH_BITS
