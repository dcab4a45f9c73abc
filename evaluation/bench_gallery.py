"""Bench of the gallery matcher on real photos: how often it answers, and how often it is right.

Leave one out: each photo with a good position is searched for among all others, near
duplicates (difference hash within 6 bits) left out as if they were not in the gallery.
"""

import csv
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.local_features import LocalFeatures, hash_distance
from evaluation.bench import Measurement
from geo.sphere import distance_km
from index_builder import build_gallery, open_gallery
from index_builder.gallery import Gallery
from index_builder.points import Where
from tools.matched import agreeing
from tools.matching import verify_pair
from tools.retrieve import search_gallery

QUERY_CATEGORIES = ("photo", "street")
LOOK_ALIKES = "lookalike-landmark"
RIGHT_KM = 0.3
DUPLICATE_BITS = 6


@dataclass(frozen=True)
class _Row:
    """A photo of the manifest."""

    id: str
    latitude: float
    longitude: float
    radius_km: float
    category: str

    def km_to(self, latitude: float, longitude: float) -> float:
        return float(distance_km(self.latitude, self.longitude, latitude, longitude))


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield what the gallery matcher reaches on `data/photos`; nothing where that is absent."""
    if data is None or not (data / "photos" / "manifest.csv").exists():
        return
    photos = data / "photos"
    rows = _read_rows(photos / "manifest.csv")
    with tempfile.TemporaryDirectory() as folder:
        report = build_gallery(photos, Path(folder) / "gallery")
        yield Measurement(
            "gallery build", report.added / report.seconds, "photos/s", f"{report.added} photos"
        )
        with open_gallery(report.path) as gallery:
            features = {photo.id: gallery.features(photo.id) for photo in gallery.photos()}
            known = [row for row in rows if row.id in features]
            yield from _leave_one_out(gallery, known, features)
            yield from _look_alikes(known, features)


def _read_rows(path: Path) -> list[_Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            _Row(
                r["sha256"],
                float(r["latitude"]),
                float(r["longitude"]),
                float(r["label_radius_km"]),
                r["category"],
            )
            for r in csv.DictReader(file)
        ]


def _leave_one_out(
    gallery: Gallery, rows: Sequence[_Row], features: dict[str, LocalFeatures]
) -> Iterator[Measurement]:
    queries = [
        row for row in rows if row.category in QUERY_CATEGORIES and row.radius_km <= RIGHT_KM
    ]
    errors, answerable, seconds = [], 0, 0.0
    for row in queries:
        excluded = _duplicates(row.id, features)
        started = time.monotonic()
        matched, _ = agreeing(
            search_gallery(gallery, features[row.id], where=Where(exclude_ids=excluded))
        )
        seconds += time.monotonic() - started
        if matched:
            errors.append(row.km_to(matched[0].photo.latitude, matched[0].photo.longitude))
        answerable += _has_neighbour(row, rows, excluded)
    right = sum(error <= RIGHT_KM for error in errors)
    share = 100 * right / max(1, len(errors))
    yield Measurement(
        "gallery answers within 0.3 km",
        share,
        "%",
        f"{right} of {len(errors)} answers, worst {max(errors, default=0):.3f} km",
        ">= 95 %",
        bool(errors) and share >= 95,
    )
    yield Measurement(
        "gallery queries answered",
        100 * len(errors) / max(1, len(queries)),
        "%",
        f"{len(errors)} of {len(queries)}; {answerable} have any other photo within 0.3 km",
    )
    yield Measurement("gallery search and verify, warm", seconds / max(1, len(queries)), "s/query")


def _duplicates(photo_id: str, features: dict[str, LocalFeatures]) -> list[str]:
    """Return the photo itself and its near duplicates."""
    own = features[photo_id].dhash
    return [key for key, f in features.items() if hash_distance(own, f.dhash) <= DUPLICATE_BITS]


def _has_neighbour(row: _Row, rows: Sequence[_Row], excluded: Sequence[str]) -> bool:
    return any(
        row.km_to(other.latitude, other.longitude) <= RIGHT_KM
        for other in rows
        if other.id not in excluded and other.radius_km <= RIGHT_KM
    )


def _look_alikes(rows: Sequence[_Row], features: dict[str, LocalFeatures]) -> Iterator[Measurement]:
    """Compare all pairs of famous landmarks and their copies in other cities."""
    landmarks = [row for row in rows if row.category == LOOK_ALIKES]
    false = true = pairs = highest = 0
    for first, second in itertools.combinations(landmarks, 2):
        match = verify_pair(features[first.id], features[second.id])
        if first.km_to(second.latitude, second.longitude) <= RIGHT_KM:
            true += match.verified
        else:
            pairs += 1
            false += match.verified
            highest = max(highest, match.inliers)
    yield Measurement(
        "look-alike landmarks, false matches",
        false,
        f"of {pairs} pairs",
        f"most inliers {highest}; {true} true pairs verified",
        "0",
        pairs > 0 and false == 0,
    )
