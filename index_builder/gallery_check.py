"""Is a gallery whole, and is what it says likely? Nothing is changed by looking.

All points are read once (`index_builder.gallery_scan`). Files are many and large: of those a
sample is hashed again, the same each time, or all. What is found is told by
`index_builder.gallery_findings`.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from encoders.photo_file import Limits, printable, read_photo_bytes
from geo.errors import InputError
from geo.regions import country_name
from index_builder.countries import is_near
from index_builder.density_map import DensityGrid, draw_density
from index_builder.files import write_atomically
from index_builder.gallery import Gallery
from index_builder.gallery_duplicates import Pairs, distances_km, equal_pairs, near_pairs
from index_builder.gallery_facts import Coverage, coverage, uncovered
from index_builder.gallery_findings import Finding, Tally
from index_builder.gallery_photo import GalleryPhoto, photo_of, vectors_digest
from index_builder.gallery_scan import Scanned, scan_gallery
from index_builder.points import PAGE
from index_builder.records import content_id
from index_builder.removal_note import read_removal
from index_builder.upkeep import Progress, no_progress

SAMPLE = 200
APART_KM = 1.0
"""Distance from which two photos that look the same cannot both be right."""
CROWD = 10
"""Photos on exactly one coordinate from which on it is suspicious."""
MAX_BORDER_TESTS = 20_000
_SEED = 7


class Duplicates(BaseModel):
    """How many photos are the same as others, wherever they lie."""

    same_vectors: int = 0
    """Points whose vectors another one has too, beyond the first of each."""
    same_hashes: int = 0
    """Photos whose difference hash another one has too, beyond the first of each."""
    near_hashes: int = 0
    """Pairs of hashes that differ in 1 to 6 bits."""
    near_compared: bool = True
    """Whether those were looked for; in many millions they are not."""


class CheckReport(BaseModel):
    """What a check found."""

    gallery: str
    kind: str
    photos: int
    sampled: int
    """Points whose files were hashed again."""
    originals: int | None = None
    """Of those, whose original photo was found and hashed; None where no folder was given."""
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    uncovered: tuple[str, ...]
    """Countries and territories without a photo, the largest first."""
    duplicates: Duplicates
    seconds: float

    @property
    def wrong(self) -> int:
        """How many kinds of damage there are."""
        return sum(finding.level == "wrong" for finding in self.findings)


def check_gallery(
    gallery: Gallery,
    *,
    sample: int | None = SAMPLE,
    originals: Path | None = None,
    picture: Path | None = None,
    progress: Progress = no_progress,
) -> CheckReport:
    """Check a gallery.

    Args:
        gallery: open.
        sample: so many points whose files are hashed again; None for all.
        originals: folder the gallery was built from, whose photos are hashed too.
        picture: write a map of the density to this PNG.
        progress: told how far it is.

    Raises:
        InputError: the picture cannot be written, or `sample` is below 0.
    """
    if sample is not None and sample < 0:
        raise InputError(f"sample of {sample} photos, limit 0 or more; give another or --all")
    began = time.monotonic()
    found = scan_gallery(gallery, progress)
    tally = found.tally
    _check_counts(gallery, found)
    ids = _sample(found, sample)
    matched = _check_sample(gallery, ids, originals, tally, progress)
    if gallery.path:
        _check_orphans(gallery.path, found, tally)
    duplicates = _check_duplicates(gallery, found)
    _check_countries(found)
    counts = found.counters["country"]
    if picture:
        write_atomically(picture, density_picture(gallery, found.grid, len(+counts)))
    return CheckReport(
        gallery=gallery.name,
        kind=gallery.manifest.kind,
        photos=found.points,
        sampled=len(ids),
        originals=matched if originals else None,
        findings=tuple(tally.findings()),
        coverage=tuple(coverage(counts)),
        uncovered=tuple(uncovered(counts)),
        duplicates=duplicates,
        seconds=time.monotonic() - began,
    )


def density_picture(gallery: Gallery, grid: DensityGrid, countries: int) -> bytes:
    """Return the map of a gallery as the bytes of a PNG."""
    noun = gallery.manifest.kind
    date = gallery.manifest.updated.date().isoformat()
    facts = f"{grid.points:,} {noun} · {countries:,} countries · updated {date}"
    return draw_density(grid, gallery.name, facts, noun)


def _check_counts(gallery: Gallery, found: Scanned) -> None:
    stated = gallery.manifest
    if stated.photos != found.points:
        found.tally.add("counts", f"{stated.photos:,} photos stated, {found.points:,} there")
    pairs = {
        "source": stated.counts.sources,
        "country": stated.counts.countries,
        "licence": stated.counts.licences,
    }
    for key, said in pairs.items():
        there = found.counters[key]
        differing = sorted(value for value in {*said, *there} if said.get(value, 0) != there[value])
        if differing:
            value = differing[0]
            example = f"{key} {value!r}: {said.get(value, 0):,} stated, {there[value]:,} there"
            found.tally.add("counts", example, len(differing))


def _sample(found: Scanned, sample: int | None) -> list[str]:
    """Return ids drawn the same way each time, in the order of ids."""
    total = len(found)
    if sample is None or sample >= total:
        return [found.id(number) for number in range(total)]
    drawn = np.random.default_rng(_SEED).choice(total, sample, replace=False)
    return [found.id(number) for number in np.sort(drawn).tolist()]


def _check_sample(
    gallery: Gallery, ids: Sequence[str], originals: Path | None, tally: Tally, progress: Progress
) -> int:
    """Hash the files of points again and return how many original photos were found."""
    matched = 0
    for start in range(0, len(ids), PAGE):
        wanted = ids[start : start + PAGE]
        points = {point.id: point for point in gallery.store.get(wanted, with_vectors=True)}
        for number, one in enumerate(wanted):
            if one not in points:
                tally.add("lookup", one[:12])
                continue
            photo = photo_of(points[one].payload)
            if photo.digest and vectors_digest(points[one].vectors) != photo.digest:
                tally.add("lookup", f"{_called(photo)}, found with other vectors")
            if gallery.path:
                _check_files(gallery, photo, tally)
            if originals:
                matched += _check_original(originals, photo, tally)
            progress("hashing files", start + number + 1, len(ids))
    return matched


def _check_files(gallery: Gallery, photo: GalleryPhoto, tally: Tally) -> None:
    """Check a photo's small copy and its local features, where it must have them."""
    if photo.copy_sha256:
        try:
            data = read_photo_bytes(gallery.image_path(photo.id), Limits())
            if content_id(data) != photo.copy_sha256:
                raise InputError("its bytes changed")
            gallery.image(photo.id)
        except InputError as error:
            tally.add("copies", f"{_called(photo)}: {error}")
    if gallery.manifest.encoder.name == "embedded" and gallery.manifest.kind == "photos":
        try:
            features = gallery.features(photo.id)
            if not np.isfinite(features.xy).all() or len(features) != len(features.descriptors):
                raise InputError("its numbers make no sense")
            if photo.dhash and features.dhash != int(photo.dhash, 16):
                raise InputError("they are another photo's")
        except InputError as error:
            tally.add("features", f"{_called(photo)}: {error}")


def _check_original(folder: Path, photo: GalleryPhoto, tally: Tally) -> bool:
    """Return whether the photo's file is in the folder; a changed one is told."""
    root = folder.resolve()
    path = (root / photo.name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        tally.add("originals-missing", _called(photo))
        return False
    try:
        if content_id(read_photo_bytes(path, Limits())) != photo.id:
            raise InputError("its bytes changed")
    except InputError as error:
        tally.add("originals", f"{_called(photo)}: {error}")
    return True


def _check_orphans(folder: Path, found: Scanned, tally: Tally) -> None:
    """Tell files of no point, and a removal that was stopped."""
    try:
        if pending := read_removal(folder):
            tally.add("removal", f"{pending.by} {', '.join(pending.values)}", len(pending.ids))
    except InputError as error:
        tally.add("removal", str(error))
    known = np.sort(found.prefixes())
    for kind in ("photos", "features"):
        names = [path for path in (folder / kind).glob("*/*") if not path.name.startswith(".")]
        for path in names:
            if not _is_known(path.stem, known):
                tally.add("files", str(path.relative_to(folder)))


def _is_known(stem: str, known: npt.NDArray[np.uint64]) -> bool:
    try:
        prefix = np.uint64(int(stem[:16], 16))
    except ValueError:
        return False
    place = int(np.searchsorted(known, prefix))
    return len(stem) == 64 and place < len(known) and known[place] == prefix


def _check_duplicates(gallery: Gallery, found: Scanned) -> Duplicates:
    """Tell equal vectors and look-alikes that lie apart, and crowds on one coordinate."""
    positions = found.positions()
    same = equal_pairs(np.array(found.vectors, np.uint64))
    result = Duplicates(same_vectors=len(same))
    if gallery.manifest.kind != "photos":  # places and cells that share a code are no copies
        return result
    _tell_apart(gallery, found, "same-vectors", same, positions)
    hashes = np.array(found.dhash, np.uint64)
    # Flat pictures all hash to nothing: that is no likeness.
    hashed = np.flatnonzero(np.array(found.hashed, bool) & (hashes != 0))
    equal = hashed[equal_pairs(hashes[hashed])].reshape(-1, 2)
    values, first = np.unique(hashes[hashed], return_index=True)
    alike = near_pairs(values)
    near = hashed[first][alike.pairs].reshape(-1, 2)
    _tell_apart(gallery, found, "look-alikes", np.concatenate([equal, near]), positions)
    _check_crowds(found, positions)
    result.same_hashes, result.near_hashes = len(equal), len(near)
    result.near_compared = alike.complete
    return result


def _tell_apart(
    gallery: Gallery,
    found: Scanned,
    check: str,
    pairs: Pairs,
    positions: npt.NDArray[np.float64],
) -> None:
    """Tell pairs that lie more than a kilometre apart; the farthest is the example."""
    distance = distances_km(positions, pairs)
    count = int((distance > APART_KM).sum())
    if not count:
        return
    worst = int(distance.argmax())
    ids = [found.id(int(number)) for number in pairs[worst]]
    names = " and ".join(_called(photo_of(p.payload)) for p in gallery.store.get(ids))
    found.tally.add(check, f"{names}, {distance[worst]:,.0f} km apart", count)


def _check_crowds(found: Scanned, positions: npt.NDArray[np.float64]) -> None:
    if not len(positions):
        return
    places, counts = np.unique(positions, axis=0, return_counts=True)
    crowded = np.flatnonzero(counts >= CROWD)
    if not len(crowded):
        return
    worst = crowded[counts[crowded].argmax()]
    latitude, longitude = places[worst].tolist()
    example = f"({latitude:g}, {longitude:g}) with {counts[worst]:,} photos"
    found.tally.add("one-coordinate", example, len(crowded))


def _check_countries(found: Scanned) -> None:
    """Tell photos that state another country than they lie in; border regions pass."""
    for number, (photo, stated, there) in enumerate(found.disagreeing):
        if number < MAX_BORDER_TESTS and is_near(stated, photo.latitude, photo.longitude):
            continue
        lies = f"lies in {country_name(there)}" if there else "lies at sea"
        example = f"{_called(photo)} says {country_name(stated)}, {lies}"
        found.tally.add("country", example)


def _called(photo: GalleryPhoto) -> str:
    return f"{printable(photo.name, 80)} ({photo.id[:12]})"
