"""Datasets: photos whose place is known, to measure by; each by its name, or any folder or table.

None is here and none is downloaded: truth and photos are read where the user keeps them. What is
known to go wrong with a benchmark is closed in `evaluation.protocol`, not only told.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from encoders.photo_file import printable
from evaluation.dataset_sources import Found, read_folder, read_table, reasons_of
from evaluation.runs import Truth
from geo.errors import InputError
from index_builder.sources.folder import POSITION_FILES, photo_files

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".gz", ".bz2")
OSV5M_TABLE = "test.csv"


@dataclass(frozen=True)
class Benchmark:
    """A published dataset, as far as it can be known without it.

    Attributes:
        title: as papers call it.
        photos: that figures are published on.
        notes: what to know when its figures are read.
    """

    title: str
    photos: int
    notes: tuple[str, ...] = ()


BENCHMARKS: Mapping[str, Benchmark] = {
    "im2gps": Benchmark(
        "Im2GPS",
        237,
        (
            "one photo is 0.42 points",
            "file names hold place names, JPEG comments hold positions: neither is passed on",
        ),
    ),
    "im2gps3k": Benchmark(
        "Im2GPS3k",
        2_997,
        ("198 photographers: errors are clustered; some are in YFCC26k too",),
    ),
    "yfcc4k": Benchmark(
        "YFCC4k",
        4_536,
        ("photographers shared with MP-16 and YFCC26k", "1.5 to 3 % placeholders"),
    ),
    "yfcc26k": Benchmark(
        "YFCC26k", 25_600, ("often published on what was left of it: compare the photos counted",)
    ),
    "gws15k": Benchmark(
        "GWS15k",
        14_955,
        ("never released: what is called so elsewhere is another set; do not mix",),
    ),
    "osv5m": Benchmark("OSV-5M test", 210_122, ("one photo of each sequence, Mapillary",)),
}


@dataclass(frozen=True)
class Dataset:
    """Photos whose place is known.

    Attributes:
        name: of the benchmark, or of the folder or table.
        truths: one for each photo, those without a file too.
        paths: file of each photo that has one, by id.
        missing: why a photo has none, by id.
        left_out: (row, reason) of rows without a usable truth, which nothing can be told of.
        unlisted: photos of its folder that its table does not name.
    """

    name: str
    truths: tuple[Truth, ...]
    paths: Mapping[str, Path]
    missing: Mapping[str, str]
    left_out: tuple[tuple[str, str], ...] = ()
    unlisted: int = 0

    @property
    def title(self) -> str:
        """What papers call it, or its name."""
        known = BENCHMARKS.get(self.name)
        return known.title if known else self.name

    @property
    def authors(self) -> frozenset[str]:
        """Photographers that the truth names."""
        return frozenset(truth.author for truth in self.truths if truth.author)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over ids and positions, whatever their order."""
        rows = sorted(f"{t.image_id}\t{t.latitude:.6f}\t{t.longitude:.6f}" for t in self.truths)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]

    def limited(self, limit: int | None) -> "Dataset":
        """Return its first photos."""
        return replace(self, truths=self.truths[:limit])

    def without(self, image_ids: frozenset[str]) -> "Dataset":
        """Return it without some photos.

        Raises:
            InputError: none is left.
        """
        kept = tuple(truth for truth in self.truths if truth.image_id not in image_ids)
        if not kept:
            raise InputError(
                f"all {len(self.truths):,} photos of {self.name!r} would be left out; keep them"
            )
        return replace(self, truths=kept)

    @property
    def described(self) -> dict[str, JsonValue]:
        """What a manifest says of it: counts, rows without truth, and what to know of it."""
        known = BENCHMARKS.get(self.name)
        stated: dict[str, JsonValue] = {
            "fingerprint": self.fingerprint,
            "photographers": len(self.authors),
        }
        if self.left_out:
            counts = reasons_of(self.left_out)
            stated["rows_without_truth"] = {"rows": len(self.left_out), **counts}
        if known:
            stated |= {"published_photos": known.photos, "notes": list(known.notes)}
        return stated

    @property
    def told(self) -> tuple[str, ...]:
        """What people should hear of it before they read a figure."""
        lines = [
            f"{count:,} rows without a usable truth are no part of it: {reason}"
            for reason, count in reasons_of(self.left_out).items()
        ]
        if absent := [one for one in self.truths if one.image_id in self.missing]:
            lines.append(
                f"{len(absent):,} of {len(self.truths):,} photos have no file and count as misses, "
                f"for example {absent[0].image_id!r}: {self.missing[absent[0].image_id]}"
            )
        if self.unlisted:
            lines.append(
                f"{self.unlisted:,} photos of the folder have no row and are no part of it"
            )
        known = BENCHMARKS.get(self.name)
        if known and len(self.truths) != known.photos:
            lines.append(
                f"{known.title} is published on {known.photos:,} photos, here are "
                f"{len(self.truths):,}: the figures are of another set"
            )
        if known:
            lines += [f"{known.title}: {note}" for note in known.notes]
        return tuple(lines)


def open_dataset(
    source: str | Path, *, truth: Path | None = None, images: Path | None = None
) -> Dataset:
    """Return a dataset.

    Args:
        source: the name of a benchmark, see `BENCHMARKS`; a table of truth; or a folder of photos
            whose positions stand in a table in it, beside them, or in their metadata.
        truth: table of truth: CSV, TSV, JSON or JSON lines.
        images: folder of the photos; beside the table otherwise.

    Raises:
        InputError: nothing there, or nothing that can be measured by; the message says what to
            give.
    """
    name = str(source).lower().replace("-", "").replace("_", "")
    name = {"osv5mtest": "osv5m"}.get(name, name)
    if name in BENCHMARKS and not Path(source).exists():
        return _benchmark(name, truth, images)
    path = Path(source)
    if path.is_dir():
        return _folder(path, truth, images)
    if path.is_file() and path.suffix.lower() in TABLES:
        if truth is not None:
            raise InputError(
                f"{_shown(path)} is a table of truth, and --truth names another; give one"
            )
        return _dataset(_name(path), read_table(path, images or path.parent))
    raise InputError(
        f"{_shown(path)} is no folder, no table ({', '.join(TABLES[:5])}) and none of "
        f"{', '.join(BENCHMARKS)}; give one of these"
    )


def _benchmark(name: str, truth: Path | None, images: Path | None) -> Dataset:
    known = BENCHMARKS[name]
    if truth is None and images is not None and (images / OSV5M_TABLE).is_file():
        truth = images / OSV5M_TABLE
    if truth is None:
        raise InputError(
            f"{known.title} is not on this machine and nothing is downloaded; give --truth CSV "
            "(image_id, author, latitude, longitude) and --images FOLDER"
        )
    return _dataset(name, read_table(truth, images or truth.parent))


def _folder(folder: Path, truth: Path | None, images: Path | None) -> Dataset:
    """Return a folder as a dataset: its own table of positions, else what its photos say."""
    if images is not None:
        raise InputError(f"{_shown(folder)} is a folder of photos, and --images another; give one")
    names = (*POSITION_FILES, OSV5M_TABLE)
    own = next((folder / name for name in names if (folder / name).is_file()), None)
    name = printable(os.fsencode(folder.resolve().name))
    if table := truth or own:
        found = _dataset(name, read_table(table, folder))
        there = sum(1 for _ in photo_files(folder))
        return replace(found, unlisted=max(there - len(found.paths), 0))
    return _dataset(name, read_folder(folder))


def _name(table: Path) -> str:
    """Return what a table is called, or its folder where any table would be called so."""
    generic = {Path(name).stem for name in (*POSITION_FILES, OSV5M_TABLE, "truth.csv")}
    stem = table.name.partition(".")[0]
    return printable(os.fsencode(table.resolve().parent.name if stem in generic else stem))


def _dataset(name: str, found: Found) -> Dataset:
    return Dataset(name, tuple(found.truths), found.paths, found.missing, tuple(found.left_out))


def _shown(path: Path) -> str:
    return repr(printable(os.fsencode(path)))
