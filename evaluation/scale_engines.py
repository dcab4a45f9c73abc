"""What is measured at scale: the embedded gallery's settings, and faiss and numpy beside it.

Each engine is built in one process and opened and searched in another; both are its own, so that
its memory is its own. faiss and numpy keep vectors alone, without payload, filter or deletion.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evaluation.scale_material import (
    NEAREST,
    VectorFile,
    Vectors,
    number_of,
    points,
)
from index_builder.edge_points import EdgeStore
from index_builder.points import IndexSettings

SPACE = "image"
BATCH = 1024
Search = Callable[[Vectors], Sequence[int]]


class Engine(Protocol):
    """One way to keep vectors."""

    knobs: Sequence[int]
    """Settings of a search to try, from fast to thorough."""

    @property
    def knob_name(self) -> str:
        """What they set; empty where there is nothing to set."""
        ...

    def build(self, file: VectorFile, count: int, folder: Path) -> dict[str, float]:
        """Write an index of the first `count` vectors into `folder`; return seconds by name."""
        ...

    def open(self, folder: Path, dimensions: int, knob: int) -> Search:
        """Return a function from `[D]` to the numbers of the `NEAREST` points."""
        ...


@dataclass
class Edge:
    """The embedded gallery's store."""

    index: IndexSettings
    knobs: Sequence[int] = (0,)
    knob_name: str = ""
    _store: EdgeStore | None = field(default=None, init=False)

    def build(self, file: VectorFile, count: int, folder: Path) -> dict[str, float]:
        """See `Engine.build`; `lists` is the part of it that makes Python lists of vectors."""
        started, lists = time.perf_counter(), list[float]()
        store = EdgeStore(folder / "points", {SPACE: file.dimensions}, self.index)
        for start, vectors in file.blocks(count, BATCH):
            if start // BATCH % 16 == 8:
                before = time.perf_counter()
                [vector.tolist() for vector in vectors]
                lists.append((time.perf_counter() - before) / len(vectors))
            store.upsert(points(SPACE, start, vectors))
        written = time.perf_counter()
        store.optimize()
        optimized = time.perf_counter()
        store.close()
        return {
            "build_s": written - started,
            "optimize_s": optimized - written,
            "lists_s": count * float(np.mean(lists)),
        }

    def open(self, folder: Path, dimensions: int, knob: int) -> Search:
        """See `Engine.open`."""
        if self._store:
            self._store.close()
        index = self.index.model_copy(update={self.knob_name: knob} if self.knob_name else {})
        store = EdgeStore(folder / "points", {SPACE: dimensions}, index)
        self._store = store

        def search(query: Vectors) -> Sequence[int]:
            return [number_of(hit.payload) for hit in store.search(SPACE, query, NEAREST)]

        return search


@dataclass
class Faiss:
    """An index of faiss, written to a file and read whole."""

    graph: bool
    knobs: Sequence[int]

    @property
    def knob_name(self) -> str:
        """What `knobs` set."""
        return "ef" if self.graph else "nprobe"

    def build(self, file: VectorFile, count: int, folder: Path) -> dict[str, float]:
        """See `Engine.build`."""
        import faiss

        started = time.perf_counter()
        index: Any
        if self.graph:
            index = faiss.IndexHNSWFlat(file.dimensions, 16, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = 100
        else:
            lists = int(4 * np.sqrt(count))
            index = faiss.IndexIVFScalarQuantizer(
                faiss.IndexFlatIP(file.dimensions),
                file.dimensions,
                lists,
                faiss.ScalarQuantizer.QT_8bit,
                faiss.METRIC_INNER_PRODUCT,
            )
            # The points are in random order, so the first ones are a sample of all.
            index.train(next(file.blocks(count, min(count, 40 * lists)))[1])
        trained = time.perf_counter()
        for _, vectors in file.blocks(count):
            index.add(vectors)
        built = time.perf_counter()
        faiss.write_index(index, str(folder / "index.faiss"))
        return {"build_s": built - started, "optimize_s": 0.0, "train_s": trained - started}

    def open(self, folder: Path, dimensions: int, knob: int) -> Search:
        """See `Engine.open`."""
        import faiss

        index: Any = faiss.read_index(str(folder / "index.faiss"))
        if self.graph:
            index.hnsw.efSearch = knob
        else:
            index.nprobe = knob

        def search(query: Vectors) -> Sequence[int]:
            return [int(number) for number in index.search(query[None], NEAREST)[1][0]]

        return search


@dataclass
class Numpy:
    """All vectors in memory, compared with each; the reference for exactness."""

    knobs: Sequence[int] = (0,)
    knob_name: str = ""

    def build(self, file: VectorFile, count: int, folder: Path) -> dict[str, float]:
        """See `Engine.build`."""
        started = time.perf_counter()
        with (folder / "all.f32").open("wb") as target:
            for _, vectors in file.blocks(count):
                vectors.tofile(target)
        return {"build_s": time.perf_counter() - started, "optimize_s": 0.0}

    def open(self, folder: Path, dimensions: int, knob: int) -> Search:
        """See `Engine.open`."""
        vectors = np.fromfile(folder / "all.f32", np.float32).reshape(-1, dimensions)

        def search(query: Vectors) -> Sequence[int]:
            scores = vectors @ query
            best = np.argpartition(-scores, NEAREST)[:NEAREST]
            found: list[int] = best.tolist()
            return found

        return search


ENGINES: dict[str, Callable[[], Engine]] = {
    "edge none": lambda: Edge(IndexSettings(quantization="none")),
    "edge int8": lambda: Edge(IndexSettings(quantization="int8")),
    "edge binary": lambda: Edge(IndexSettings(quantization="binary"), (3, 10, 30), "oversampling"),
    "numpy": Numpy,
    "faiss IVF-SQ8": lambda: Faiss(graph=False, knobs=(8, 32, 128, 256)),
    "edge int8 hnsw": lambda: Edge(
        IndexSettings(quantization="int8", hnsw=True), (32, 64, 128, 256, 512), "ef"
    ),
    "faiss HNSW": lambda: Faiss(graph=True, knobs=(32, 64, 128, 256, 512)),
}
GRAPHS = ("edge int8 hnsw", "faiss HNSW")
GOOD_RECALL = 0.99


def build(spec: dict[str, Any]) -> dict[str, float]:
    """Build what `spec` names; return seconds."""
    file = VectorFile(Path(spec["material"]), spec["dimensions"])
    engine = ENGINES[spec["engine"]]()
    return engine.build(file, spec["count"], Path(spec["folder"]))


def search(spec: dict[str, Any]) -> dict[str, Any]:
    """Open and search what `build` wrote; return seconds, milliseconds and recall."""
    from evaluation.scale_material import queries

    dimensions, folder = spec["dimensions"], Path(spec["folder"])
    truth = [set(row) for row in json.loads(Path(spec["truth"]).read_text())]
    wanted, engine = queries(dimensions), ENGINES[spec["engine"]]()
    started = time.perf_counter()
    find = engine.open(folder, dimensions, engine.knobs[0])
    opened = time.perf_counter()
    find(wanted[0])
    answered = time.perf_counter()
    tried: list[dict[str, float]] = []
    for knob in engine.knobs:
        if tried:
            find = engine.open(folder, dimensions, knob)
        tried.append({"knob": float(knob)} | _timed(find, wanted, truth))
        if tried[-1]["recall"] >= GOOD_RECALL:
            break
    best = max(tried, key=lambda row: row["recall"])
    return {
        "open_s": opened - started,
        "first_answer_s": answered - started,
        "knob_name": engine.knob_name,
        "tried": tried,
        **best,
    }


def _timed(find: Search, wanted: Vectors, truth: Sequence[set[int]]) -> dict[str, float]:
    for query in wanted[:20]:
        find(query)
    took, right = [], 0
    busy = time.process_time()
    for query, true in zip(wanted, truth, strict=True):
        started = time.perf_counter()
        found = find(query)
        took.append(1000 * (time.perf_counter() - started))
        right += len(true & set(found))
    busy = time.process_time() - busy
    return {
        "cpu_ms": 1000 * busy / len(took),
        "p50_ms": float(np.percentile(took, 50)),
        "p95_ms": float(np.percentile(took, 95)),
        "recall": right / (len(truth) * NEAREST),
    }
