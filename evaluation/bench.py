"""`make bench`: every figure the README or an issue leans on, measured here and now.

Each `bench_*` module yields `Measurement`s; one printed table says which targets are met.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUITES = (
    "geo", "text", "gallery", "replies", "locate", "encoders", "train", "service", "index", "build",
    "agent", "belief", "poison", "faces",
)  # fmt: skip
ON_PHOTOS = ("text", "gallery", "replies")
"""Suites that need a folder of real photos, or answers to them; none come with the product."""
MANIFEST = "photos/manifest.csv"


@dataclass(frozen=True)
class Measurement:
    """One measured figure, beside its target and the reference measured in the same run."""

    name: str
    value: float
    unit: str
    reference: str = ""
    """What was measured beside it, as text: `reverse_geocoder 63,000 points/s`."""
    target: str = ""
    met: bool | None = None
    """Whether the target is met; None where the figure is only reported."""


def main(arguments: list[str] | None = None) -> int:
    """Run the suites named, print a row each; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.bench", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--data", type=Path, help="folder with photos/manifest.csv to measure on")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.suite) - set(SUITES)):
        parser.error(f"unknown suite {unknown[0]!r}, choose from {', '.join(SUITES)}")
    if options.data and not (options.data / MANIFEST).is_file():
        parser.error(f"--data {str(options.data)!r} holds no {MANIFEST}")
    missed = 0
    for suite in options.suite or SUITES:
        if suite in ON_PHOTOS and not options.data:
            print(f"     {suite}: not measured, it needs --data FOLDER with {MANIFEST}")
            continue
        for row in measurements(suite, options.data):
            print(format_row(row), flush=True)
            missed += row.met is False
    return 1 if missed else 0


def measurements(suite: str, data: Path | None) -> Iterator[Measurement]:
    """Yield the measurements of one suite; `data` is the folder of real photos, if there is one."""
    module = importlib.import_module(f"evaluation.bench_{suite}")
    yield from module.measure(data)


def format_row(row: Measurement) -> str:
    """Return one printed line: mark, name, figure, target, reference."""
    mark = {True: "ok  ", False: "MISS", None: "    "}[row.met]
    target = f"  target {row.target}" if row.target else ""
    beside = f"  beside {row.reference}" if row.reference else ""
    return f"{mark} {row.name}: {row.value:,.4g} {row.unit}{target}{beside}"


if __name__ == "__main__":
    sys.exit(main())
