"""Galleries of ten thousand, a hundred thousand and a million vectors: time, disk, memory, recall.

    python -m evaluation.bench_scale --out docs/scale.json

Every (size, engine) is built in a fresh process and searched in another, both watched from
outside. What the file already holds is not measured again, so an interrupted run goes on.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.scale_engines import ENGINES, GRAPHS, build, search
from evaluation.scale_material import NEAREST, QUERIES, VectorFile, true_neighbours
from index_builder.files import write_atomically

SIZES = (10_000, 100_000, 1_000_000)
LIMIT_S = 3_600.0
"""Seconds that building or searching one setting may take; a graph of a million can take longer."""


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing; 1 if a limit was passed."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.bench_scale", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--out", type=Path, help="JSON to add to; only printed without")
    parser.add_argument("--work", type=Path, help="folder for vectors and indices, 6 GB a million")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds a setting may take")
    parser.add_argument("--tower", help="measure this open_clip image tower instead: ViT-L-14")
    options = parser.parse_args(arguments)
    if options.tower:
        found = measure_tower(options.tower)
        print(json.dumps(found))
        _write(options.out, _known(options.out), found)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        rows = _known(options.out)
        for count, engine in _order(options.sizes, options.engines):
            if any(_key(row) == (count, options.dimensions, engine) for row in rows):
                continue
            row = measure_one(engine, count, options.dimensions, work, options.limit)
            print(json.dumps(row), flush=True)
            rows = _add(options.out, rows, row)
    return int(any("not_measured" in row for row in rows))


def _order(sizes: Sequence[int], engines: Sequence[str]) -> list[tuple[int, str]]:
    """Return what to measure, the largest graphs last: they take longer than all else."""
    pairs = [(count, engine) for count in sorted(sizes) for engine in engines]
    return sorted(pairs, key=lambda pair: pair[1] in GRAPHS and pair[0] > 200_000)


def _known(out: Path | None) -> list[dict[str, Any]]:
    if not out or not out.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(out.read_text())["rows"]
    return rows


def _key(row: dict[str, Any]) -> tuple[int, int, str]:
    return row["count"], row["dimensions"], row["engine"]


def _add(out: Path | None, rows: list[dict[str, Any]], row: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [*(_known(out) or rows), row]
    _write(out, rows)
    return rows


def _write(
    out: Path | None, rows: Sequence[dict[str, Any]], tower: dict[str, Any] | None = None
) -> None:
    if not out:
        return
    stated = json.loads(out.read_text()) if out.exists() else {}
    towers = [
        one for one in stated.get("encoders", []) if not tower or one["tower"] != tower["tower"]
    ]
    towers += [tower] if tower else []
    text = json.dumps({"machine": machine(), "encoders": towers, "rows": rows}, indent=1)
    write_atomically(out, text.encode())


def measure_tower(name: str, photos: int = 4) -> dict[str, Any]:
    """Return photos a second that one core encodes: random weights, processor time."""
    from encoders.torch_setup import need, prepare_torchvision

    torch = need("torch")
    prepare_torchvision()
    open_clip = need("open_clip")
    torch.set_num_threads(1)
    model = open_clip.create_model(name, pretrained=None).eval()
    size = model.visual.image_size
    pixels = torch.rand(photos, 3, *(size if isinstance(size, tuple) else (size, size)))
    with torch.inference_mode():
        model.encode_image(pixels[:1])
        started = time.process_time()
        model.encode_image(pixels)
        took = time.process_time() - started
    return {"tower": name, "device": "one core here", "photos_per_s": photos / took}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import importlib.metadata

    packages = ("qdrant-edge-py", "faiss-cpu", "numpy")
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "queries": QUERIES,
        "nearest": NEAREST,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def measure_one(
    engine: str, count: int, dimensions: int, work: Path, limit_s: float
) -> dict[str, Any]:
    """Build and search one engine in processes of their own.

    Args:
        engine: of `ENGINES`.
        count: vectors.
        dimensions: numbers a vector.
        work: where vectors and index are written; the vectors stay for the next engine.
        limit_s: seconds either of the two may take.

    Returns:
        A row: seconds, bytes, milliseconds, recall; `not_measured` where the limit was passed.
    """
    file = VectorFile(work, dimensions)
    file.grow(count)
    truth = work / f"truth-{dimensions}-{count}.json"
    if not truth.exists():
        write_atomically(truth, json.dumps(true_neighbours(file, count).tolist()).encode())
    folder = work / "index"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    row: dict[str, Any] = {"count": count, "dimensions": dimensions, "engine": engine}
    row["measured"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    row["load"] = os.getloadavg()[0]
    spec = {
        **{key: row[key] for key in ("count", "dimensions", "engine")},
        "material": str(work),
        "folder": str(folder),
        "truth": str(truth),
    }
    try:
        row |= {**_child("build", spec, limit_s), "disk_bytes": bytes_in(folder)}
        _forget_cached(folder)
        row |= _child("search", spec, limit_s)
    except subprocess.TimeoutExpired as expired:
        row["not_measured"] = f"{expired.cmd} took longer than {limit_s:,.0f} s"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def bytes_in(folder: Path) -> int:
    """Return bytes allocated on disk; engines reserve more than they use in sparse files."""
    return sum(512 * p.stat().st_blocks for p in folder.rglob("*") if p.is_file())


def _forget_cached(folder: Path) -> None:
    """Drop the folder from the page cache, so that opening it reads the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _child(what: str, spec: dict[str, Any], limit_s: float) -> dict[str, Any]:
    """Run `build` or `search` in a process, watching its memory.

    Raises:
        subprocess.TimeoutExpired: it took longer than `limit_s`.
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "evaluation.bench_scale", "--child", what, json.dumps(spec)]
    peaks = {"RssAnon": 0, "RssFile": 0, "VmHWM": 0}
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        while process.poll() is None:
            if time.monotonic() - started > limit_s:
                process.kill()
                raise subprocess.TimeoutExpired(what, limit_s)
            for name, value in _memory(process.pid).items():
                peaks[name] = max(peaks[name], value)
            time.sleep(0.05)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{what} of {spec['engine']} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found | {
        f"{what}_peak_bytes": peaks["VmHWM"],
        f"{what}_anonymous_bytes": peaks["RssAnon"],
        f"{what}_file_bytes": peaks["RssFile"],
    }


def _memory(process_id: int) -> dict[str, int]:
    """Return bytes a process has resident: its own, of mapped files, and the most it ever had.

    The high-water mark is of this program alone; `ru_maxrss` would count its parent's too.
    """
    wanted = ("RssAnon", "RssFile", "VmHWM")
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: 1024 * int(fields[name].split()[0]) for name in wanted if name in fields}


def _run_child(what: str, spec: str) -> None:
    stated = json.loads(spec)
    print(json.dumps(build(stated) if what == "build" else search(stated)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _run_child(*sys.argv[2:4])
        sys.exit(0)
    sys.exit(main())
