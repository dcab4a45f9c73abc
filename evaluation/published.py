"""Figures that others published on the known benchmarks, each with where it was read.

Percentages of photos within 1, 25, 200, 750 and 2500 km. They are facts about other systems, kept
as they were read: galleries, training data, distances and operators differ between the rows, so
they say where a system stands, not by how much it is better.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from tools.evidence import Record

KM = (1, 25, 200, 750, 2500)
Tag = Literal["measured", "readme", "extract", "survey", "note"]
TAGS: dict[Tag, str] = {
    "measured": "computed again from the answers for each photo that its authors published",
    "readme": "stated in the authors' repository",
    "extract": "read in a table of the paper",
    "survey": "read in the table that goes with a survey of 2026",
    "note": "read in notes on the paper, not in its table",
}
Percent = Annotated[float, Field(ge=0, le=100)]
_COMPARABLE_SHARE = 0.9


class Benchmark(Record):
    """A public benchmark.

    Attributes:
        key: its name in lower case without marks.
        photos: how many its protocol evaluates.
    """

    key: str
    name: str
    photos: int


class Published(Record):
    """One system's row on one benchmark.

    Attributes:
        benchmark: key of the `Benchmark`.
        accuracies: percent within each of `KM`; None where not published or not readable.
        source: arXiv number, or venue and year.
        tag: how the figures were read.
        open_web: whether the system may search the web, where the photo itself may stand.
    """

    system: str
    benchmark: str
    accuracies: tuple[
        Percent | None, Percent | None, Percent | None, Percent | None, Percent | None
    ]
    source: str
    tag: Tag
    open_web: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The accuracies with as many decimals as they were published with; a dash for none."""
        fine = any(one is not None and round(one, 1) != one for one in self.accuracies)
        digits = 2 if fine else 1
        return tuple("–" if one is None else f"{one:.{digits}f}" for one in self.accuracies)


BENCHMARKS = {
    key: Benchmark(key=key, name=name, photos=photos)
    for key, name, photos in (
        ("im2gps", "Im2GPS", 237),
        ("im2gps3k", "Im2GPS3k", 2997),
        ("yfcc4k", "YFCC4k", 4536),
        ("yfcc26k", "YFCC26k", 25_600),
        ("gws15k", "GWS15k", 14_955),
        ("osv5m", "OSV-5M", 210_122),
    )
}

_ROWS = """
im2gps | ISNs | 16.88 43.04 51.90 66.67 80.17 | ECCV 2018 | measured
im2gps | SemP | 16.9 45.6 57.4 72.6 85.7 | WACV 2022 | readme
im2gps | GeoSURGE | 27.0 - - - 93.2 | arXiv 2510.01448 | note
im2gps | GeoCLIP, run by GeoSURGE | 16.5 - - - 88.6 | arXiv 2510.01448 | note
im2gps | GeoCoT with GPT-4o | 22 55 - - - | GeoComp | note
im2gps3k | ISNs | 10.54 27.99 36.64 49.68 65.97 | ECCV 2018 | measured
im2gps3k | SemP | 12.5 31.4 42.7 57.3 72.0 | WACV 2022 | readme
im2gps3k | GeoCLIP | 14.11 34.47 50.65 69.67 83.82 | arXiv 2309.16020 | note
im2gps3k | PIGEOTTO | 11.3 36.7 53.8 72.4 85.3 | arXiv 2307.05845 | survey
im2gps3k | Img2Loc | 17.1 45.1 57.9 72.9 84.7 | arXiv 2403.19584 | survey
im2gps3k | G3 | 16.65 40.94 55.56 71.24 84.68 | arXiv 2405.14702 | extract
im2gps3k | GLOBE | 9.84 40.18 56.19 71.45 82.38 | arXiv 2506.14674 | extract
im2gps3k | GeoRanker | 18.79 45.05 61.49 76.31 89.29 | arXiv 2505.13731 | extract
im2gps3k | LocDiff-H | 15.3 36.5 56.4 75.2 87.4 | arXiv 2503.18142 | survey
im2gps3k | GRE Suite | 11.3 35.3 51.7 69.3 85.7 | arXiv 2505.18700 | survey
im2gps3k | VLM-VPR | 18.9 46.1 59.8 73.7 86.0 | arXiv 2507.17455 | survey
im2gps3k | GeoSURGE | 17.2 42.5 58.1 74.6 87.6 | arXiv 2510.01448 | survey
im2gps3k | GeoToken | 16.8 39.6 53.8 70.8 85.0 | arXiv 2511.01082 | extract
im2gps3k | GeoToken with Gemini | 19.0 46.0 60.1 76.6 88.8 | arXiv 2511.01082 | extract
im2gps3k | Geo-R | 18.10 41.53 58.31 75.33 86.42 | arXiv 2601.00388 | survey
im2gps3k | HierLoc | 11.3 43.8 58.4 74.1 85.1 | arXiv 2601.23064 | survey
im2gps3k | SpotAgent | 14.1 40.4 57.8 73.4 85.8 | arXiv 2602.09463 | survey
im2gps3k | GeoAgent | - 40.8 58.6 76.2 89.9 | arXiv 2602.12617 | survey
im2gps3k | GeoMR | 17.0 41.7 57.5 73.7 85.7 | KBS 2026 | survey
im2gps3k | Geo-ADAPT | 17.9 45.3 62.6 77.9 89.5 | arXiv 2603.13628 | survey
im2gps3k | GeoRouter | 20.82 50.48 65.73 80.35 90.66 | arXiv 2603.24376 | extract
im2gps3k | DualGeo | 17.25 41.47 55.76 71.71 85.05 | arXiv 2604.25533 | extract
im2gps3k | GeoSearch + GeoRanker | 23.56 55.06 67.10 79.81 89.59 | arXiv 2604.25390 | extract | web
im2gps3k | Pinpoint | 20.5 47.4 63.5 79.0 90.2 | arXiv 2606.04133 | survey
im2gps3k | TransGeoCLIP | 17.72 42.17 56.80 71.71 86.12 | arXiv 2606.08918 | extract
yfcc4k | SemP | 9.4 20.3 30.5 44.8 61.3 | WACV 2022 | readme
yfcc4k | GeoCLIP, run by G3 | 9.59 19.31 32.63 55.0 74.7 | arXiv 2405.14702 | survey
yfcc4k | PIGEOTTO | 10.4 23.7 40.6 62.2 77.7 | arXiv 2307.05845 | survey
yfcc4k | Img2Loc | 14.1 29.6 41.4 59.3 76.9 | arXiv 2403.19584 | survey
yfcc4k | G3 | 23.99 35.89 46.98 64.26 78.15 | arXiv 2405.14702 | extract
yfcc4k | PLONK | - 23.7 36.4 54.5 73.6 | arXiv 2412.06781 | survey
yfcc4k | GeoRanker | 32.94 43.54 54.32 69.79 82.45 | arXiv 2505.13731 | extract
yfcc4k | GeoSURGE | 19.9 33.6 48.7 67.4 82.0 | arXiv 2510.01448 | survey
yfcc4k | Geo-R | 10.5 22.7 40.0 60.8 75.8 | arXiv 2601.00388 | survey
yfcc4k | HierLoc | 8.4 30.2 43.3 61.7 75.8 | arXiv 2601.23064 | survey
yfcc4k | SpotAgent | 7.3 21.5 36.2 55.0 70.8 | arXiv 2602.09463 | survey
yfcc4k | GeoMR | 26.3 37.6 49.3 66.3 81.4 | KBS 2026 | survey
yfcc4k | Geo-ADAPT | 32.5 39.1 55.4 70.8 84.5 | arXiv 2603.13628 | survey
yfcc4k | GeoRouter | 32.98 46.01 57.52 72.02 83.02 | arXiv 2603.24376 | extract
yfcc4k | DualGeo | 27.49 36.45 45.03 61.58 75.92 | arXiv 2604.25533 | extract
yfcc4k | GeoSearch + G3 | 17.53 35.21 48.19 63.49 79.85 | arXiv 2604.25390 | extract | web
yfcc4k | Pinpoint | 33.0 44.4 57.5 71.8 84.5 | arXiv 2606.04133 | survey
yfcc4k | TransGeoCLIP | 31.17 41.09 51.84 67.75 81.01 | arXiv 2606.08918 | extract
yfcc26k | GeoCLIP | 11.6 - - - - | arXiv 2309.16020 | note
yfcc26k | GeoSURGE | 17.8 31.5 - - - | arXiv 2510.01448 | note
gws15k | GeoCLIP | 0.6 3.1 16.9 45.7 74.1 | arXiv 2309.16020 | survey
gws15k | PIGEOTTO | 0.7 9.2 31.2 65.7 85.1 | arXiv 2307.05845 | survey
gws15k | LocDiff | 2.1 12.4 33.7 67.0 85.0 | arXiv 2503.18142 | survey
gws15k | GRE Suite | 0.9 4.1 18.9 54.8 78.3 | arXiv 2505.18700 | survey
gws15k | VLM-VPR | 0.5 9.6 32.3 65.2 87.2 | arXiv 2507.17455 | survey
gws15k | GeoSURGE | 1.0 4.6 21.9 54.7 80.8 | arXiv 2510.01448 | survey
osv5m | LocDiff | - 11.0 46.3 77.0 88.2 | arXiv 2503.18142 | survey
osv5m | Pinpoint | - 35.6 67.5 83.7 93.2 | arXiv 2606.04133 | survey
"""


def _row(line: str) -> Published:
    benchmark, system, figures, source, tag, *web = (part.strip() for part in line.split("|"))
    accuracies = [None if figure == "-" else float(figure) for figure in figures.split()]
    return Published.model_validate(
        {
            "system": system,
            "benchmark": benchmark,
            "accuracies": tuple(accuracies),
            "source": source,
            "tag": tag,
            "open_web": bool(web),
        }
    )


PUBLISHED = tuple(map(_row, _ROWS.strip().splitlines()))


class Comparison(Record):
    """What of others' figures may stand beside a run, and what has to be said about it."""

    rows: tuple[Published, ...] = ()
    note: str


def benchmark_of(dataset: str) -> Benchmark | None:
    """Return the benchmark that a dataset's name means, whatever its case and marks; else None."""
    return BENCHMARKS.get(re.sub(r"[^a-z0-9]", "", dataset.lower()).removesuffix("test"))


def published_for(dataset: str, photos: int) -> Comparison:
    """Return the published rows that a run over `photos` photos of a dataset may stand beside.

    The rows that may not search the web come first, then by accuracy at 25 km; none, and the
    reason, where the dataset is no known benchmark or too little of it.
    """
    benchmark = benchmark_of(dataset)
    if benchmark is None:
        known = ", ".join(one.name for one in BENCHMARKS.values())
        return Comparison(
            note=f"No published figures are shown: this dataset is none of {known}, and figures of "
            "other photos say nothing about these."
        )
    if photos < _COMPARABLE_SHARE * benchmark.photos:
        return Comparison(
            note=f"No published figures are shown: these are {photos:,} of the "
            f"{benchmark.photos:,} photos of {benchmark.name}, and published figures are of all."
        )
    rows = sorted(
        (row for row in PUBLISHED if row.benchmark == benchmark.key),
        key=lambda row: (row.open_web, -(row.accuracies[1] or 0.0), row.system),
    )
    return Comparison(rows=tuple(rows), note=_caution(benchmark, photos))


def _caution(benchmark: Benchmark, photos: int) -> str:
    said = (
        "Figures of others as they were published: their galleries, training data, models, "
        "distances and operators differ from ours and from each other, and few of them keep "
        "photographers of the test out of the gallery or count failures. They say where a "
        "system stands, not by how much it is better."
    )
    if photos != benchmark.photos:
        said += f" They are of {benchmark.photos:,} photos of {benchmark.name}, ours of {photos:,}."
    return said
