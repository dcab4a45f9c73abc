"""Bench of the gallery's index at 100,000 x 512: speed, recall, filters, disk, cold open.

Vectors are synthetic: 2,000 places with 50 photos each, on average; a photo is its place's unit
vector plus noise of 0.8 of its length, a query another photo of such a place. Payloads are those
of photos. Numpy compares with all in the same run, a query with a query in turn.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.base import EncoderCard
from evaluation.bench import Measurement
from geo.sphere import haversine_km
from index_builder.files import FolderLock
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach
from index_builder.gallery_photo import GalleryPhoto, vectors_digest
from index_builder.manifest import EncoderIdentity, Manifest
from index_builder.points import Circle, IndexSettings, Vector, Where
from index_builder.records import content_id

COUNT, SIZE, PLACES, NOISE = 100_000, 512, 2_000, 0.8
LIMIT, QUERIES = 20, 100
SHARES = (2, 10, 100, 1000)
"""A filter lets one of so many points through."""
SPACE = "image"
MODES = {
    "exact only": IndexSettings(quantization="none"),
    "int8": IndexSettings(),
    "binary": IndexSettings(quantization="binary"),
    "graph of int8": IndexSettings(hnsw=True),
}
EARTH_KM = 6371.0088
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Photos:
    """Synthetic photos: vectors `[N, D]`, queries `[Q, D]`, positions `[N]` in degrees."""

    vectors: Vector
    queries: Vector
    latitudes: npt.NDArray[np.float64]
    longitudes: npt.NDArray[np.float64]
    ids: list[str] = field(default_factory=list)

    @classmethod
    def make(cls) -> "_Photos":
        draw = np.random.default_rng(0)
        places = _unit(draw.standard_normal((PLACES, SIZE), np.float32))

        def photos(count: int) -> Vector:
            noise = draw.standard_normal((count, SIZE), np.float32)
            noise *= np.float32(NOISE / np.sqrt(SIZE))
            noise += places[draw.integers(0, PLACES, count)]
            return _unit(noise)

        latitudes = np.degrees(np.arcsin(draw.uniform(-1, 1, COUNT))).round(6)
        longitudes = draw.uniform(-180, 180, COUNT).round(6)
        ids = [content_id(str(row).encode()) for row in range(COUNT)]
        return cls(photos(COUNT), photos(QUERIES), latitudes, longitudes, ids)

    def photo(self, row: int) -> GalleryPhoto:
        """Return what a gallery would know of photo `row`; every 1,000th is of one source."""
        return GalleryPhoto(
            id=self.ids[row],
            name=f"{row % 97:02}/{row:09}_{self.ids[row][:10]}.jpg",
            latitude=float(self.latitudes[row]),
            longitude=float(self.longitudes[row]),
            accuracy_km=0.01,
            author=f"photographer {row % 5000}",
            date=f"20{row % 24:02}-{row % 12 + 1:02}-{row % 28 + 1:02}",
            licence="CC BY-SA 4.0",
            source=f"source {row % 1000}",
            country=("AT", "BR", "CA", "DE", "ES", "FR", "GB", "IN", "JP", "US")[row % 10],
            stated_country="Österreich",
            region="Tyrol",
            city="Innsbruck",
            dhash=self.ids[row][:16],
            digest=vectors_digest({SPACE: self.vectors[row]}),
            copy_sha256=self.ids[row],
        )

    def best(self, query: Vector, mask: _Mask | None = None) -> set[str]:
        """Return the ids of the `LIMIT` photos that pass with the largest inner products."""
        scores = self.vectors @ query
        if mask is not None:
            scores[~mask] = -2
        first = np.argpartition(-scores, LIMIT)[:LIMIT]
        return {self.ids[row] for row in first if scores[row] > -2}


def _unit(vectors: npt.NDArray[np.float32]) -> Vector:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield what the index reaches; `data` is not needed."""
    photos = _Photos.make()
    with tempfile.TemporaryDirectory() as folder:
        for mode, index in MODES.items():
            path = Path(folder) / mode.replace(" ", "-")
            gallery, seconds = _build(path, photos, index)
            yield Measurement(
                f"index, {mode}: build",
                COUNT / sum(seconds),
                "photos/s",
                f"write {seconds[0]:.1f} s, optimize {seconds[1]:.1f} s",
            )
            with gallery:
                yield from _searches(gallery, photos, mode)
                if mode in ("int8", "graph of int8", "binary"):
                    yield from _filtered(gallery, photos, mode)
            yield _on_disk(path, mode)
            if mode == "int8":
                yield from _cold(path, photos)


def _build(
    path: Path, photos: _Photos, index: IndexSettings
) -> tuple[Gallery, tuple[float, float]]:
    path.mkdir()
    card = EncoderCard(
        name="synthetic", fingerprint="0" * 64, spaces={SPACE: SIZE}, image_spaces=(SPACE,)
    )
    now = datetime.now(UTC)
    encoder = EncoderIdentity.of(card)
    manifest = Manifest(encoder=encoder, index=index, created=now, updated=now)
    gallery = attach(path, manifest, FolderLock(path))
    began = time.perf_counter()
    for start in range(0, COUNT, 512):
        rows = range(start, min(start + 512, COUNT))
        gallery.add([(photos.photo(row), {SPACE: photos.vectors[row]}) for row in rows])
    written = time.perf_counter()
    gallery.store.optimize()
    done = time.perf_counter()
    gallery.write_manifest(0)
    return gallery, (written - began, done - written)


def _searches(gallery: Gallery, photos: _Photos, mode: str) -> Iterator[Measurement]:
    """Compare exact search with numpy, a query each in turn; then search as the mode says."""
    store = gallery.store

    def find(query: Vector, *, exact: bool) -> set[str]:
        hits = store.search(SPACE, query, LIMIT, exact=exact)
        return {str(hit.payload["id"]) for hit in hits}

    best = [photos.best(query) for query in photos.queries]
    if mode == "exact only":
        for query in photos.queries[:10]:
            find(query, exact=True)
        ours, numpys = [], []
        for query, right in zip(photos.queries, best, strict=True):
            ours.append(_timed(partial(find, query, exact=True), right))
            numpys.append(_timed(partial(photos.best, query), right))
        ratio = float(np.median(ours) / np.median(numpys))
        yield Measurement(
            f"index, exact search of {COUNT:,} x {SIZE}, p50 beside numpy's",
            ratio,
            "x",
            f"{1000 * np.median(ours):.2f} ms, numpy {1000 * np.median(numpys):.2f} ms",
            "< 1.2 x",
            ratio < 1.2,
        )
        return
    for query in photos.queries[:10]:
        find(query, exact=False)
    seconds, found = [], 0
    for query, right in zip(photos.queries, best, strict=True):
        began = time.perf_counter()
        hits = find(query, exact=False)
        seconds.append(time.perf_counter() - began)
        found += len(hits & right)
    recall = found / (LIMIT * len(best))
    p50 = 1000 * float(np.median(seconds))
    yield Measurement(
        f"index, {mode}: search p50",
        p50,
        "ms",
        f"recall@{LIMIT} {recall:.4f}, p95 {1000 * np.quantile(seconds, 0.95):.2f} ms",
        "< 5 ms at recall >= 0.99",
        p50 < 5 and recall >= 0.99,
    )


def _timed(call: Callable[[], set[str]], right: set[str]) -> float:
    began = time.perf_counter()
    found = call()
    seconds = time.perf_counter() - began
    if len(found & right) < LIMIT - 1:  # one may be of an equal score
        raise AssertionError(f"exact search found {len(found & right)} of {LIMIT}")
    return seconds


def _filtered(gallery: Gallery, photos: _Photos, mode: str) -> Iterator[Measurement]:
    """Search behind filters of every share, by keyword and by distance."""
    rows = np.arange(COUNT)
    far = np.asarray(haversine_km(20.0, 30.0, photos.latitudes, photos.longitudes))
    for share in SHARES:
        values = [f"source {value}" for value in range(0, 1000, share)]
        keyword = (Where(sources=values), rows % 1000 % share == 0)
        radius = EARTH_KM * float(np.arccos(1 - 2 / share))
        circle = (Where(circle=Circle(20, 30, radius)), far <= radius)
        for kind, (where, mask) in {"keyword": keyword, "circle": circle}.items():
            recall, full, p50 = _behind(gallery, photos, where, mask)
            yield Measurement(
                f"index, {mode}: recall@{LIMIT} behind a {kind} for 1/{share}",
                recall,
                "",
                f"{full} of {QUERIES // 2} searches full, {mask.sum():,} pass, p50 {p50:.2f} ms",
                ">= 0.99, all full",
                recall >= 0.99 and full == QUERIES // 2,
            )


def _behind(
    gallery: Gallery, photos: _Photos, where: Where, mask: _Mask
) -> tuple[float, int, float]:
    found = wanted = full = 0
    seconds = []
    for query in photos.queries[: QUERIES // 2]:
        began = time.perf_counter()
        hits = gallery.store.search(SPACE, query, LIMIT, where=where)
        seconds.append(time.perf_counter() - began)
        best = photos.best(query, mask)
        full += len(hits) == min(LIMIT, int(mask.sum()))
        wanted += len(best)
        found += len(best & {str(hit.payload["id"]) for hit in hits})
    return found / wanted, full, 1000 * float(np.median(seconds))


def _on_disk(path: Path, mode: str) -> Measurement:
    used = sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())
    whole = COUNT * SIZE * 4
    return Measurement(
        f"index, {mode}: disk",
        used / COUNT,
        "bytes/photo",
        f"{used / 1e6:,.0f} MB; the vectors alone are {whole / 1e6:,.0f} MB",
    )


_COLD = """
import json, sys, time
began = time.perf_counter()
from pathlib import Path
import numpy as np
from index_builder import open_gallery
ready, worked = time.perf_counter(), time.process_time()
query = np.load(sys.argv[2])
with open_gallery(Path(sys.argv[1])) as gallery:
    hits = gallery.search(query, 20)
    answered, worked = time.perf_counter(), time.process_time() - worked
print(json.dumps([answered - ready, worked, ready - began, len(hits), hits[0].photo.id]))
"""


def _cold(path: Path, photos: _Photos) -> Iterator[Measurement]:
    """Open the gallery in fresh processes: from the call of `open_gallery` to the first answer.

    Qdrant Edge puts its files out of the system's cache when it closes them, so that each of
    these reads the index from disk.
    """
    query = path.parent / "query.npy"
    np.save(query, photos.queries[0])
    opened, whole, imports, busy = [], [], [], []
    for _ in range(5):
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", _COLD, str(path), str(query)],
            capture_output=True,
            check=True,
            text=True,
        )
        whole.append(time.perf_counter() - began)
        seconds, working, importing, count, first = json.loads(done.stdout)
        if count != LIMIT or first not in photos.best(photos.queries[0]):
            raise AssertionError(f"a fresh process found {count} photos, {first} first")
        opened.append(seconds)
        imports.append(importing)
        busy.append(working)
    worst = max(opened)
    yield Measurement(
        f"index, cold open of {COUNT:,} photos to the first answer",
        worst,
        "s",
        f"worst of {len(opened)} fresh processes, best {min(opened):.2f} s, of which computing "
        f"{np.median(busy):.2f} s; whole process {np.median(whole):.2f} s, "
        f"of which imports before the call {np.median(imports):.2f} s",
        "< 1 s",
        worst < 1,
    )
