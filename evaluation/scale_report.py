"""The page and the plot about large galleries, written from what was measured.

    python -m evaluation.scale_report docs/scale.json --page docs/scale.md --plot docs/scale.png

Text between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced by the table of that name,
so that no figure on the page can differ from the measurements.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evaluation.scale_law import (
    FUSED,
    NODE_GIB,
    QUANTITIES,
    SETS,
    Law,
    Row,
    law_of,
    project,
    read_rows,
)
from index_builder.files import write_atomically

SETTINGS = ("edge none", "edge int8", "edge binary", "edge int8 hnsw")
DAY_S, HOUR_S = 86_400.0, 3_600.0


class Throughput(NamedTuple):
    """Photos a second that an image tower reads, and who says so."""

    tower: str
    device: str
    photos_per_s: float
    source: str


PUBLISHED = (
    Throughput("ViT-L/14, 224 px", "RTX 3090", 359.73, "timm"),
    Throughput("ViT-L/14, 224 px", "RTX 4090", 658.44, "timm"),
    Throughput("ViT-B/32, 224 px", "RTX 4090", 10127.52, "timm"),
)
"""`vit_*_clip_224` in `results/benchmark-infer-amp-nchw-pt240-cu124-rtx{3090,4090}.csv` of
https://github.com/huggingface/pytorch-image-models: batches of 1,024, photos already decoded."""


def main(arguments: list[str] | None = None) -> int:
    """Write the page's tables and the plot."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.scale_report", description=__doc__)
    parser.add_argument("measured", type=Path, help="JSON of evaluation.bench_scale")
    parser.add_argument("--page", type=Path, help="Markdown whose tables are replaced")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    options = parser.parse_args(arguments)
    if options.page:
        filled = fill(options.page.read_text(encoding="utf-8"), options.measured)
        write_atomically(options.page, filled.encode())
    if options.plot:
        from evaluation.scale_plot import draw

        draw(read_rows(options.measured), options.plot)
    return 0


def fill(page: str, measured: Path) -> str:
    """Return the page with every marked part replaced.

    Raises:
        KeyError: a mark names no table.
    """
    rows = read_rows(measured)
    stated: dict[str, Any] = json.loads(measured.read_text())
    parts: dict[str, Callable[[], str]] = {
        "machine": lambda: _machine(stated, rows),
        "measured": lambda: measured_table(rows),
        "memory": lambda: memory_table(rows),
        "lists": lambda: lists_part(rows),
        "laws": lambda: law_table(rows),
        "one machine": lambda: machine_table(rows),
        "fused": lambda: machine_table(rows, dimensions=FUSED[0], spaces=FUSED[1]),
        "cluster": lambda: cluster_table(rows),
        "encoding": lambda: encoding_table(stated),
        "dimensions": lambda: dimensions_check(rows),
    }

    def replaced(found: re.Match[str]) -> str:
        return f"{found[1]}\n{parts[found[2]]()}\n{found[3]}"

    mark = r"(<!-- begin ([a-z ]+) -->)\n.*?(<!-- end \2 -->)"
    return re.sub(mark, replaced, page, flags=re.DOTALL)


def _machine(stated: dict[str, Any], rows: Sequence[Row]) -> str:
    machine = stated["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    days = sorted({row.measured[:10] for row in rows if row.measured})
    busy = max(row.load for row in rows)
    return (
        f"{machine['processor']}, {machine['cores']} cores; {packages}; "
        f"{machine['queries']} queries for the {machine['nearest']} nearest; measured "
        f"{' and '.join(days)}, beside other work (load up to {busy:.0f}): times are pessimistic."
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, marks, *lines])


def measured_table(rows: Sequence[Row]) -> str:
    """Return what each engine took at each size."""
    head = ["photos", "engine", "write", "optimize", "disk", "open", "first answer"]
    head += ["query p50", "p95", "work", "recall@20"]
    own = {(row.count, row.engine): row for row in rows if row.dimensions == 512}
    engines = list(dict.fromkeys(engine for _, engine in own))
    missing = [
        Row(count=count, dimensions=512, engine=engine, not_measured="yet to be run")
        for count in sorted({count for count, _ in own})
        for engine in engines
        if (count, engine) not in own
    ]
    lines = sorted([*own.values(), *missing], key=lambda r: (r.count, engines.index(r.engine)))
    return _table(head, [_measured_line(row) for row in lines])


def _measured_line(row: Row) -> list[str]:
    name = row.engine + (f", {row.knob_name} {row.knob:.0f}" if row.knob_name else "")
    if row.not_measured:
        return [f"{row.count:,}", row.engine, f"not measured: {row.not_measured}", *[""] * 8]
    return [
        f"{row.count:,}",
        name,
        seconds(row.build_s),
        seconds(row.optimize_s) if row.optimize_s else "",
        size(row.disk_bytes),
        seconds(row.open_s),
        seconds(row.first_answer_s),
        milliseconds(row.p50_ms),
        milliseconds(row.p95_ms),
        milliseconds(row.cpu_ms),
        f"{row.recall:.3f}",
    ]


def memory_table(rows: Sequence[Row]) -> str:
    """Return the most memory of each process, its own and that of mapped files."""
    head = ("photos", "engine", "build: peak", "own", "mapped", "search: peak", "own", "mapped")
    names = ["build_peak", "build_anonymous", "build_file"]
    names += ["search_peak", "search_anonymous", "search_file"]
    lines = [
        [f"{row.count:,}", row.engine, *[size(getattr(row, f"{name}_bytes")) for name in names]]
        for row in rows
        if row.dimensions == 512 and not row.not_measured
    ]
    return _table(head, lines)


def law_table(rows: Sequence[Row]) -> str:
    """Return each fitted law with its largest deviation."""
    lines = []
    for key, quantity in QUANTITIES.items():
        laws = [law_of(rows, engine, key) for engine in SETTINGS]
        lines.append(
            [quantity.name, *[_formula(law, quantity.unit) if law else "" for law in laws]]
        )
    return _table(("", *SETTINGS), lines)


def _formula(law: Law, unit: str) -> str:
    """Return a law with its constants and how far it is from the `n` sizes it was fitted to."""
    says = {"bytes": size, "s": short_seconds, "ms": milliseconds}[unit]
    grows = law.form.removeprefix("a + b ")
    constant = f"{says(law.a)} + " if law.a > 0 else ""
    step = (
        f"{law.b:.3g} {'B' if unit == 'bytes' else unit}" if grows == "ln N" else _each(law, unit)
    )
    return f"{constant}{step} {grows} (±{100 * law.worst:.0f} %, n {len(law.counts)})"


def _each(law: Law, unit: str) -> str:
    """Return the growth a photo, in units that need no powers of ten."""
    if unit == "bytes":
        return f"{law.b:,.0f} B"
    return f"{law.b * 1e6:.3g} µs" if unit == "s" else f"{law.b * 1e6:.3g} ns"


def short_seconds(number: float) -> str:
    """Return seconds below a minute with two digits."""
    return f"{number:.2g} s"


def lists_part(rows: Sequence[Row]) -> str:
    """Return how much of writing is spent on making Python lists of vectors."""
    shares = [100 * row.lists_s / row.build_s for row in rows if row.lists_s > 0]
    return (
        f"Making Python lists of vectors, which Edge asks for, takes {min(shares):.0f} to "
        f"{max(shares):.0f} % of writing: the engine, not Python, sets the pace."
    )


def machine_table(rows: Sequence[Row], *, dimensions: int = 512, spaces: int = 1) -> str:
    """Return disk, memory and times of one machine that holds everything; extrapolated."""
    head = ("set", "setting", "disk", "memory", "build", "open", "query")
    lines = []
    for name, count in SETS.items():
        for engine in SETTINGS:
            if found := project(rows, engine, count, dimensions=dimensions, spaces=spaces):
                lines.append(
                    [
                        name,
                        engine,
                        size(found.disk_bytes),
                        size(found.resident_bytes),
                        seconds(found.build_s),
                        seconds(found.open_s),
                        milliseconds(found.query_ms),
                    ]
                )
    return _table(head, lines)


def cluster_table(rows: Sequence[Row]) -> str:
    """Return machines that hold each set together, and what a query takes there; extrapolated."""
    head = ["set", "setting", f"machines of {NODE_GIB:.0f} GiB", "with 2 replicas", "photos each"]
    head += ["disk each", "query, without network", "work a query", "queries a core-hour"]
    lines = []
    for name, count in SETS.items():
        for engine in SETTINGS[1:]:
            found, work = project(rows, engine, count), law_of(rows, engine, "cpu_ms")
            if found and work:
                each = count / found.nodes
                work_ms = found.nodes * work(each)
                lines.append(
                    [
                        name,
                        engine,
                        f"{found.nodes:,}",
                        f"{2 * found.nodes:,}",
                        f"{each / 1e6:.3g} M",
                        size(found.disk_bytes / found.nodes),
                        milliseconds(found.node_query_ms),
                        milliseconds(work_ms),
                        f"{float(f'{3.6e6 / work_ms:.2g}'):,.0f}",
                    ]
                )
    return _table(head, lines)


def encoding_table(stated: dict[str, Any]) -> str:
    """Return hours that encoding takes, by published figures and the one measured here."""
    known = list(PUBLISHED)
    for row in stated.get("encoders", []):
        known.append(Throughput(row["tower"], row["device"], row["photos_per_s"], "measured here"))
    head = ("tower", "on", "photos/s", *SETS, "source")
    lines = [
        [
            one.tower,
            one.device,
            f"{one.photos_per_s:,.3g}" if one.photos_per_s < 100 else f"{one.photos_per_s:,.0f}",
            *[seconds(count / one.photos_per_s) for count in SETS.values()],
            one.source if one.source == "measured here" else f"published: {one.source}",
        ]
        for one in known
    ]
    return _table(head, lines)


def dimensions_check(rows: Sequence[Row]) -> str:
    """Return how well the step from 512 to other dimensions is foretold."""
    said = []
    for row in rows:
        law = law_of(rows, row.engine, "disk_bytes")
        found = project(rows, row.engine, row.count, dimensions=row.dimensions)
        if row.dimensions != 512 and law and found and not row.not_measured:
            said.append(
                f"{row.count:,} photos of {row.dimensions} numbers with `{row.engine}`: "
                f"{size(found.disk_bytes)} foretold, {size(row.disk_bytes)} measured; query "
                f"{milliseconds(found.query_ms)} foretold, {milliseconds(row.p50_ms)} measured."
            )
    return "\n".join(f"- {line}" for line in said or ["Not checked: nothing else was measured."])


def size(number: float) -> str:
    """Return bytes as people say them."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= 0.9995 * scale:
            return f"{number / scale:.3g} {unit}" if number < 1e15 else f"{number / scale:,.0f} TB"
    return "" if math.isnan(number) else f"{number / 1e3:.0f} kB"


def seconds(number: float) -> str:
    """Return a time as people say it."""
    if math.isnan(number):
        return ""
    for unit, scale in (("days", DAY_S), ("h", HOUR_S), ("min", 60.0)):
        if number >= 2 * scale:
            return (
                f"{number / scale:,.3g} {unit}"
                if number < 1e3 * scale
                else (f"{number / scale:,.0f} {unit}")
            )
    return f"{number:.2f} s" if number < 10 else f"{number:.0f} s"


def milliseconds(number: float) -> str:
    """Return a short time as people say it."""
    if math.isnan(number):
        return ""
    if number >= 1000:
        return seconds(number / 1000)
    return f"{number:.2g} ms" if number < 10 else f"{number:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
