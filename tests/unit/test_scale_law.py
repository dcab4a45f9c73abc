"""Laws that are fitted to measured galleries, and what they say of larger ones."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.scale_law import (
    QUANTITIES,
    Form,
    Row,
    fit,
    graph_bytes,
    law_of,
    project,
    read_rows,
)

ROOT = Path(__file__).parents[2]
COUNTS = (10_000, 100_000, 1_000_000)


def basis(form: Form, count: float) -> float:
    if form == "a + b N":
        return count
    return math.log(count) * (count if form == "a + b N ln N" else 1)


@settings(deadline=None)  # the first call imports scipy
@given(
    st.sampled_from(["a + b N", "a + b N ln N", "a + b ln N"]),
    st.floats(0.0, 1e3),
    st.floats(1e-6, 1e3),
)
def test_a_law_that_holds_is_found_again(form: Form, a: float, b: float) -> None:
    values = [a + b * basis(form, count) for count in COUNTS]
    law = fit(form, COUNTS, values)
    assert law is not None
    assert law.worst < 1e-6
    far = 1_000_000_000
    assert law(far) == pytest.approx(a + b * basis(form, far), rel=1e-4)


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=3))
def test_no_law_promises_less_than_nothing(values: list[float]) -> None:
    law = fit("a + b N", COUNTS[: len(values)], values)
    assert law is not None
    assert law.a >= 0
    assert law.b >= 0
    worst = max(abs(law(n) / v - 1) for n, v in zip(COUNTS, values, strict=False))
    assert law.worst == pytest.approx(worst)


def test_one_point_is_no_law() -> None:
    assert fit("a + b N", [10_000], [1.0]) is None


def rows_of(engine: str, *, disk_each: float, query_ms: float) -> list[Row]:
    return [
        Row(
            count=count,
            dimensions=512,
            engine=engine,
            build_s=count * 1e-4,
            optimize_s=count * 1e-5,
            open_s=0.1 + count * 1e-6,
            p50_ms=query_ms * (math.log(count) if "hnsw" in engine else count),
            disk_bytes=disk_each * count,
            search_anonymous_bytes=400.0 * count,
        )
        for count in COUNTS
    ]


ROWS = [
    *rows_of("edge none", disk_each=3000, query_ms=4e-5),
    *rows_of("edge int8", disk_each=3512, query_ms=1e-5),
    *rows_of("edge int8 hnsw", disk_each=3552, query_ms=0.2),
]


def test_bytes_follow_the_dimensions_and_the_spaces() -> None:
    one = project(ROWS, "edge int8", 10**9)
    fused = project(ROWS, "edge int8", 10**9, dimensions=768, spaces=3)
    assert one
    assert fused
    assert one.disk_bytes == pytest.approx(3512e9, rel=1e-6)
    assert fused.disk_bytes - one.disk_bytes == pytest.approx(5 * (2304 - 512) * 1e9, rel=1e-6)
    assert one.resident_bytes == pytest.approx((400 + 512) * 1e9, rel=1e-6)
    assert fused.query_ms == pytest.approx(one.query_ms * 4.5)


def test_without_small_copies_whole_vectors_are_scanned() -> None:
    whole = project(ROWS, "edge none", 10**6)
    assert whole
    assert whole.resident_bytes == pytest.approx((400 + 4 * 512) * 1e6, rel=1e-6)


def test_each_space_has_a_graph_and_its_search_grows_with_the_logarithm() -> None:
    assert graph_bytes(ROWS) == pytest.approx(40, rel=1e-6)
    small, large = (project(ROWS, "edge int8 hnsw", n) for n in (10**6, 10**9))
    assert small
    assert large
    assert large.query_ms / small.query_ms == pytest.approx(9 / 6)


def test_a_cluster_has_the_memory_and_shares_the_scan() -> None:
    found = project(ROWS, "edge int8", 10**9)
    assert found
    assert found.nodes == math.ceil(912e9 / (0.75 * 64 * 2**30))
    assert found.node_query_ms == pytest.approx(found.query_ms / found.nodes)
    little = project(ROWS, "edge int8", 10**6)
    assert little
    assert little.nodes == 1


def test_what_was_not_measured_has_no_law() -> None:
    stopped = [*ROWS[:1], ROWS[1].model_copy(update={"not_measured": "too long"})]
    assert law_of(stopped, "edge none", "disk_bytes") is None
    assert project(ROWS, "edge binary", 10**6) is None


def test_the_committed_measurements_have_a_law_for_each_setting() -> None:
    rows = read_rows(ROOT / "docs/scale.json")
    for engine in ("edge none", "edge int8", "edge binary", "edge int8 hnsw"):
        for quantity in QUANTITIES:
            law = law_of(rows, engine, quantity)
            assert law is not None, (engine, quantity)
            assert np.isfinite([law.a, law.b, law.worst]).all()


def test_a_million_with_small_copies_stays_within_8_gib() -> None:
    (row,) = [
        row
        for row in read_rows(ROOT / "docs/scale.json")
        if (row.engine, row.count, row.dimensions) == ("edge int8", 1_000_000, 512)
    ]
    assert max(row.build_peak_bytes, row.search_peak_bytes) < 8 * 2**30
    assert row.recall >= 0.99


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    from evaluation.scale_report import fill

    page = (ROOT / "docs/scale.md").read_text()
    assert fill(page, ROOT / "docs/scale.json") == page, (
        "run python -m evaluation.scale_report docs/scale.json --page docs/scale.md"
    )


@pytest.mark.slow
def test_a_bench_that_was_interrupted_measures_only_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "scale.json"
    command = [
        *(sys.executable, "-m", "evaluation.bench_scale", "--sizes", "300", "--dimensions", "8"),
        *("--engines", "edge int8", "numpy", "--out", str(out), "--work", str(tmp_path)),
    ]
    first = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert len(first.stdout.splitlines()) == 2
    rows = read_rows(out)
    assert {row.engine for row in rows} == {"edge int8", "numpy"}
    assert all(row.recall > 0.9 and row.search_peak_bytes > 0 for row in rows)
    again = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert again.stdout == ""
    assert read_rows(out) == rows


def test_a_setting_that_takes_too_long_is_reported_not_measured(tmp_path: Path) -> None:
    out = tmp_path / "scale.json"
    command = [
        *(sys.executable, "-m", "evaluation.bench_scale", "--sizes", "300", "--dimensions", "8"),
        *("--engines", "numpy", "--out", str(out), "--work", str(tmp_path), "--limit", "0.01"),
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.returncode == 1
    (row,) = read_rows(out)
    assert "longer than" in row.not_measured
