"""From galleries that were measured to galleries that are larger: fitted laws, and what follows.

Bytes, and the time to build, open and scan, grow with the number of photos; a graph's search with
its logarithm. Each law has two constants, found by least squares on relative deviations, so that
the smallest gallery counts as much as the largest. What a law says far outside the measured
sizes is an extrapolation, and is called one wherever it is printed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

Form = Literal["a + b N", "a + b N ln N", "a + b ln N"]

SETS = {
    "MP-16": 4_100_000,
    "OSV-5M": 5_100_000,
    "100 million": 100_000_000,
    "1 billion": 1_000_000_000,
}
"""Photos of the public sets, and of two that nobody has published."""
SMALL_BYTES = {"none": 0.0, "int8": 1.0, "binary": 0.125}
"""Bytes a number in the copy that a search looks at first; the whole number takes 4."""
FUSED = (768, 3)
"""Dimensions and spaces of the families whose index vector is three of CLIP's joined."""
MEASURED_NUMBERS = 512
"""Dimensions that the laws were fitted to."""
NODE_GIB = 64.0
"""Memory of the machine that a cluster is reckoned in."""
NODE_SHARE = 0.75
"""What of it a gallery may take."""


class Row(BaseModel):
    """One (size, engine) as `evaluation.bench_scale` measured it; bytes, seconds, milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    count: int
    dimensions: int
    engine: str
    measured: str = ""
    load: float = 0.0
    """Of the machine when it began."""
    not_measured: str = ""
    build_s: float = math.nan
    optimize_s: float = math.nan
    lists_s: float = math.nan
    open_s: float = math.nan
    first_answer_s: float = math.nan
    knob: float = 0
    knob_name: str = ""
    p50_ms: float = math.nan
    p95_ms: float = math.nan
    cpu_ms: float = math.nan
    recall: float = math.nan
    disk_bytes: float = math.nan
    build_peak_bytes: float = math.nan
    build_anonymous_bytes: float = math.nan
    build_file_bytes: float = math.nan
    search_peak_bytes: float = math.nan
    search_anonymous_bytes: float = math.nan
    search_file_bytes: float = math.nan

    @property
    def whole_build_s(self) -> float:
        """Seconds until the gallery is written and its index is up to date."""
        return self.build_s + self.optimize_s

    @property
    def is_graph(self) -> bool:
        """Whether a search follows a graph."""
        return "hnsw" in self.engine.lower()


@dataclass(frozen=True)
class Law:
    """`a + b f(N)` with what it was fitted to."""

    form: Form
    a: float
    b: float
    counts: tuple[int, ...]
    """Sizes measured."""
    worst: float
    """Largest relative deviation of the law from a measured point."""

    def __call__(self, count: float) -> float:
        """Return what the law says of a gallery of `count` photos."""
        return self.a + self.b * _basis(self.form, count)


def _basis(form: Form, count: float) -> float:
    if form == "a + b ln N":
        return math.log(count)
    return count * math.log(count) if form == "a + b N ln N" else float(count)


def fit(form: Form, counts: Sequence[int], values: Sequence[float]) -> Law | None:
    """Fit a law by least squares on relative deviations; None below two points.

    `a` and `b` are not negative: a gallery of no photos takes no less than nothing.

    Args:
        form: of the law.
        counts: photos.
        values: what was measured, positive.
    """
    from scipy.optimize import nnls

    if len(counts) < 2:
        return None
    measured = np.asarray(values, np.float64)
    basis = np.array([[1.0, _basis(form, count)] for count in counts])
    scale = basis.max(axis=0)
    (a, b), _ = nnls(basis / scale / measured[:, None], np.ones(len(counts)))
    law = Law(form, a / scale[0], b / scale[1], tuple(counts), 0.0)
    worst = max(abs(law(n) / v - 1) for n, v in zip(counts, measured, strict=True))
    return Law(form, law.a, law.b, law.counts, worst)


class Quantity(NamedTuple):
    """Something that grows with a gallery."""

    name: str
    unit: str
    flat: Form
    graph: Form


QUANTITIES = {
    "disk_bytes": Quantity("disk", "bytes", "a + b N", "a + b N"),
    "search_peak_bytes": Quantity("memory to search", "bytes", "a + b N", "a + b N"),
    "search_anonymous_bytes": Quantity("own memory to search", "bytes", "a + b N", "a + b N"),
    "build_anonymous_bytes": Quantity("memory to build", "bytes", "a + b N", "a + b N"),
    "whole_build_s": Quantity("build", "s", "a + b N", "a + b N ln N"),
    "open_s": Quantity("open", "s", "a + b N", "a + b N"),
    "p50_ms": Quantity("query", "ms", "a + b N", "a + b ln N"),
    "cpu_ms": Quantity("work of a query", "ms", "a + b N", "a + b ln N"),
}


def read_rows(path: Path) -> list[Row]:
    """Return what `evaluation.bench_scale` wrote, by engine and size."""
    rows = [Row.model_validate(row) for row in json.loads(path.read_text())["rows"]]
    return sorted(rows, key=lambda row: (row.dimensions, row.count))


def law_of(rows: Sequence[Row], engine: str, quantity: str, dimensions: int = 512) -> Law | None:
    """Return the law of one quantity of one engine; None where too little was measured."""
    own = [
        row
        for row in rows
        if row.engine == engine and row.dimensions == dimensions and not row.not_measured
    ]
    values = [float(getattr(row, quantity)) for row in own]
    known = [(row.count, v) for row, v in zip(own, values, strict=True) if math.isfinite(v)]
    stated = QUANTITIES[quantity]
    form = stated.graph if own and own[0].is_graph else stated.flat
    return fit(form, [count for count, _ in known], [value for _, value in known])


def small_bytes(engine: str) -> float:
    """Return bytes a number of the copy that this engine looks at first."""
    return next((size for name, size in SMALL_BYTES.items() if name in engine), 0.0)


class Projection(NamedTuple):
    """What one setting would take at one size; extrapolated."""

    disk_bytes: float
    resident_bytes: float
    """In memory for searches at the measured speed: what is scanned, graph, ids, payload index."""
    build_s: float
    """On one machine."""
    open_s: float
    query_ms: float
    """On one machine that has the memory."""
    nodes: int
    """Machines of `NODE_GIB` that hold `resident_bytes` together."""
    node_query_ms: float
    """A query whose share each of them searches at once; the network is not counted."""


def project(
    rows: Sequence[Row], engine: str, count: int, *, dimensions: int = 512, spaces: int = 1
) -> Projection | None:
    """Extrapolate one setting of the embedded store; None where it was measured too little.

    Ids and payload take what they took at 512 numbers. Vectors and their small copies grow with
    `dimensions * spaces`, and so does the time to write and to scan them; there is a graph for
    each space.
    """
    names = ("disk_bytes", "search_anonymous_bytes", "whole_build_s", "open_s", "p50_ms")
    disk, own, build, opened, query = (law_of(rows, engine, name) for name in names)
    if not (disk and own and build and opened and query):
        return None
    graph = graph_bytes(rows) if "hnsw" in engine else 0.0
    small, numbers = small_bytes(engine), dimensions * spaces
    disk_each = disk.b + (4 + small) * (numbers - MEASURED_NUMBERS) + graph * (spaces - 1)
    resident = count * (own.b + (small or 4.0) * numbers + graph * spaces)
    nodes = max(1, math.ceil(resident / (NODE_SHARE * NODE_GIB * 2**30)))
    larger = numbers / MEASURED_NUMBERS
    slower = spaces if graph else larger
    return Projection(
        disk_bytes=disk.a + disk_each * count,
        resident_bytes=resident,
        build_s=build(count) * larger,
        open_s=opened(count) * larger,
        query_ms=query(count) * slower,
        nodes=nodes,
        node_query_ms=query(count / nodes) * slower,
    )


def graph_bytes(rows: Sequence[Row]) -> float:
    """Return bytes a photo that the graph adds to a store with 8-bit copies."""
    with_graph = law_of(rows, "edge int8 hnsw", "disk_bytes")
    without = law_of(rows, "edge int8", "disk_bytes")
    return max(0.0, with_graph.b - without.b) if with_graph and without else 0.0
