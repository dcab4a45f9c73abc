"""A NumPy archive (.npz) written in one pass, whatever its size.

An array's file begins with its shape and, for texts, their longest length, which are known only
at the end: columns gather in files beside the archive first and are zipped when all is there.
"""

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from index_builder.exports import Row, Writer
    from index_builder.points import StoredPoint

_DTYPES = {
    "latitude": "<f8", "longitude": "<f8", "accuracy_km": "<f8", "members": "<i8", "aerial": "|b1",
}  # fmt: skip
_ROWS = 4096


@contextlib.contextmanager
def npz_writer(
    path: Path, columns: tuple[str, ...], spaces: Mapping[str, int]
) -> "Iterator[Writer]":
    """Yield what takes rows; the archive is whole when the context ends.

    Read it with `numpy.load(path)`: an array `[N]` for each column (`accuracy_km` is NaN where
    nobody said), and `vector_SPACE` `[N, D]` float32, NaN where a point has none.

    Args:
        path: archive to write.
        columns: of each row.
        spaces: whose vectors are kept, and their lengths.
    """
    with contextlib.ExitStack() as stack:
        # Of its own name: what a killed export leaves is swept like any unfinished file.
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent, prefix=path.name))
        )
        rows = stack.enter_context((folder / "rows.jsonl").open("w+", encoding="utf-8"))
        blocks = {
            s: stack.enter_context((folder / f"{n}").open("w+b")) for n, s in enumerate(spaces)
        }
        longest = dict.fromkeys((column for column in columns if column not in _DTYPES), 1)
        count = 0

        def write(chunk: "list[tuple[Row, StoredPoint]]") -> None:
            nonlocal count
            for row, point in chunk:
                rows.write(json.dumps(list(row.values())) + "\n")
                for column in longest:
                    longest[column] = max(longest[column], len(str(row[column])))
                for space, size in spaces.items():
                    vector = point.vectors.get(space, np.full(size, np.nan, np.float32))
                    blocks[space].write(vector.astype("<f4").tobytes())
            count += len(chunk)

        yield write
        with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
            for number, column in enumerate(columns):
                dtype = np.dtype(_DTYPES.get(column, f"<U{longest.get(column, 1)}"))
                with _member(archive, column, dtype, (count,), packed=True) as member:
                    _copy_column(rows, number, dtype, member.write)
            for space, size in spaces.items():
                shape, dtype = (count, size), np.dtype("<f4")
                with _member(archive, f"vector_{space}", dtype, shape, packed=False) as member:
                    _copy_file(blocks[space], member.write)


@contextlib.contextmanager
def _member(
    archive: zipfile.ZipFile,
    name: str,
    dtype: "np.dtype[np.generic]",
    shape: tuple[int, ...],
    *,
    packed: bool,
) -> Iterator[IO[bytes]]:
    """Yield an array's file in the archive, its header written."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array_header_2_0(member, header)
        yield member


def _copy_column(
    rows: IO[str], number: int, dtype: "np.dtype[np.generic]", write: Callable[[bytes], int]
) -> None:
    """Write one column of the rows gathered, a few thousand at a time."""
    rows.flush()
    rows.seek(0)
    waiting: list[object] = []

    def flush() -> None:
        missing = np.nan if dtype.kind == "f" else ""
        array: npt.NDArray[np.generic] = np.array(
            [missing if value is None else value for value in waiting], dtype
        )
        write(array.tobytes())
        waiting.clear()

    for line in rows:
        waiting.append(json.loads(line)[number])
        if len(waiting) == _ROWS:
            flush()
    if waiting:
        flush()


def _copy_file(file: IO[bytes], write: Callable[[bytes], int]) -> None:
    file.flush()
    file.seek(0)
    while block := file.read(1 << 20):
        write(block)
