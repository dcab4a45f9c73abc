"""What belief costs at a step: adding one piece of evidence, and reading what follows from it.

Belief is a pure function of the evidence list, so each step computes it again from all of it; what
unchanged evidence asks of the mesh, and where cells lie, is kept from the step before. The first
belief over the same evidence, when nothing is kept, stands beside each figure.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evaluation.bench import Measurement

if TYPE_CHECKING:
    from agent.factors import Settlements
    from tools.evidence import Evidence

MANY, LEAST_PEOPLE, ROUNDS = 200, 5_000, 15
TARGET_MANY_MS, TARGET_FEW_MS = 20.0, 6.0
THREADS = 64
Place = tuple[float, float]


class Case(NamedTuple):
    """Evidence that is there already, and how much adding to it may cost."""

    name: str
    held: list["Evidence"]
    target_ms: float


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield the cost of adding a piece to no, few and many candidates, and from many threads."""
    from geo.gazetteer import Gazetteer

    settlements = Gazetteer.open().settlements(LEAST_PEOPLE)
    cases = _cases(np.random.default_rng(0))
    for case in cases:
        yield _added(case, settlements)
    yield _together(cases[1], settlements)


def _cases(generator: np.random.Generator) -> list[Case]:
    """Return evidence near one place and all over the globe, in one group and in many."""
    near = np.add((48.0, 11.0), generator.normal(size=(MANY, 2)))
    height = generator.uniform(-1, 1, MANY)
    far = np.column_stack([np.degrees(np.arcsin(height)), generator.uniform(-180, 180, MANY)])
    everywhere: list[Place] = [(float(a), float(b)) for a, b in far]
    around: list[Place] = [(float(a), float(b)) for a, b in near]
    few, many = TARGET_FEW_MS, TARGET_MANY_MS
    return [
        Case("no evidence", [], few),
        Case("10 groups of one near each other", _grouped(around[:10], 2.0, 10, 0.7), few),
        Case("200 candidates near each other, one group", _grouped(around, 0.2, 1, 0.5), many),
        Case("200 candidates over the globe, 4 groups", _grouped(everywhere, 0.2, 4, 0.5), many),
        Case("200 groups of one over the globe", _grouped(everywhere, 25.0, 200, 0.1), many),
    ]  # fmt: skip


def _grouped(
    places: Sequence[Place], radius_km: float, groups: int, weight: float
) -> list["Evidence"]:
    """Return one piece of evidence for each group."""
    return [
        _piece(places[g::groups], radius_km, weight, f"group {g} of {groups}")
        for g in range(groups)
    ]


def _piece(places: Sequence[Place], radius_km: float, weight: float, name: str) -> "Evidence":
    from tools.evidence import Candidate, Evidence

    candidates = tuple(
        Candidate(
            latitude=latitude, longitude=longitude, radius_km=radius_km, score=1 / len(places),
            rank=rank, source="bench", kind="photo",
        )
        for rank, (latitude, longitude) in enumerate(places, start=1)
    )  # fmt: skip
    return Evidence(
        tool="bench", kind="match", summary=name, candidates=candidates, weight=weight, group=name
    )


def _added(case: Case, settlements: "Settlements") -> Measurement:
    """Return the processor time that one piece more takes, another one each round.

    The best round counts: other programs on the machine lengthen the others.
    """
    wall, cpu = list[float](), list[float]()
    first = _timed(case.held, settlements)
    for number in range(ROUNDS):
        _timed(case.held, settlements)
        extra = _piece([(48.0 + 0.01 * number, 11.5)], 5.0, 0.6, f"one more {number}")
        took = _timed([*case.held, extra], settlements)
        wall.append(took[0])
        cpu.append(took[1])
    return Measurement(
        f"belief: one candidate more beside {case.name}, believe and summarise",
        min(cpu),
        "ms of processor time",
        f"{statistics.median(cpu):.1f} ms in the median; by the clock {min(wall):.1f} and "
        f"{statistics.median(wall):.1f} ms; "
        f"{first[1]:.1f} ms for the first belief over the others{_busy()}",
        f"<= {case.target_ms:g}",
        min(cpu) <= case.target_ms and min(wall) <= case.target_ms,
    )


def _timed(evidence: Sequence["Evidence"], settlements: "Settlements") -> tuple[float, float]:
    """Return what a belief and its summary take, in ms: by the clock, and of the processor."""
    from agent.belief import believe, summarise

    _ = [item.id for item in evidence]  # evidence knows its id from when it came
    wall, cpu = time.perf_counter(), time.process_time()
    summarise(believe(evidence, settlements))
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def _together(case: Case, settlements: "Settlements") -> Measurement:
    """Return the processor time of a belief when many threads want one at once."""
    from agent.belief import believe, summarise

    alone = summarise(believe(case.held, settlements))
    with ThreadPoolExecutor(THREADS) as pool:
        cpu = time.process_time()
        found = list(
            pool.map(lambda _: summarise(believe(case.held, settlements)), range(4 * THREADS))
        )
        took = 1000 * (time.process_time() - cpu) / len(found)
    return Measurement(
        f"belief: {THREADS} threads at once, {case.name}; each",
        took,
        "ms of processor time",
        f"all alike: {set(map(repr, found)) == {repr(alone)}}{_busy()}",
        f"<= {2 * case.target_ms:g}",
        took <= 2 * case.target_ms and all(one == alone for one in found),
    )


def _busy() -> str:
    """Return what else the machine did, where that was more than this bench alone does."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"; load {load:.1f} on {cores} processors" if load > cores else ""


if __name__ == "__main__":
    from evaluation.bench import main

    sys.exit(main(["belief"]))
