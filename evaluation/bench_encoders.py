"""Figures of the aligned encoders, each beside the public `geoclip` package in one run."""

import importlib
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

import numpy as np

from evaluation.bench import Measurement

if TYPE_CHECKING:
    import numpy.typing as npt

T = TypeVar("T")

PLACES = 100_000
PIECE = 4_096
"""Places a careful user of the public package encodes at once; its own code encodes them all."""


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield speed and agreement of GeoCLIP's location encoder; `data` is not needed."""
    from encoders import load_encoder
    from index_builder.coordinates import geoclip_coordinates

    coordinates = geoclip_coordinates()
    ours, public = load_encoder("geoclip"), public_location_encoder()
    ours.encode_locations(coordinates[:PIECE])
    public(coordinates[:PIECE])
    vectors, seconds = _timed(lambda: ours.encode_locations(coordinates)["gps"])
    reference, public_s = _timed(lambda: public(coordinates))
    _, pieces_s = _timed(lambda: [public(coordinates[i : i + PIECE]) for i in _starts()])
    ratio = public_s / seconds
    yield Measurement(
        "100,000 places embedded, times faster than the public package",
        ratio,
        "x",
        f"ours {seconds:.1f} s; geoclip {public_s:.1f} s in one call, {pieces_s:.1f} s in pieces "
        f"of {PIECE:,}",
        ">= 6 x",
        ratio >= 6,
    )
    unit = reference / np.linalg.norm(reference, axis=1, keepdims=True)
    apart = float(np.abs(vectors - unit).max())
    yield Measurement(
        "largest difference of a component from the public package",
        apart,
        "",
        "unit vectors of all 100,000 places",
        "<= 1e-5",
        apart <= 1e-5,
    )
    yield from _gallery(coordinates)


def _gallery(coordinates: "npt.NDArray[np.float64]") -> Iterator[Measurement]:
    """Yield the time to open the cached gallery and to search it with one photo's vector."""
    import tempfile

    from encoders import load_encoder
    from index_builder.places import open_places

    encoder = load_encoder("geoclip")
    with tempfile.TemporaryDirectory() as folder:
        open_places(encoder, coordinates, Path(folder))
        places, opened_s = _timed(lambda: open_places(encoder, coordinates, Path(folder)))
        yield Measurement(
            "gallery of 100,000 places opened from its cache",
            opened_s,
            "s",
            target="<= 0.3 s",
            met=opened_s <= 0.3,
        )
        generator = np.random.default_rng(0)
        queries = encoder.encode_locations(generator.uniform((-60, -180), (70, 180), (40, 2)))
        noisy = queries["gps"] + generator.normal(0, 0.02, queries["gps"].shape)
        rows = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
        times = [_timed(partial(places.search, row, 50))[1] * 1000 for row in rows]
        median = statistics.median(times)
        yield Measurement(
            "one photo's vector against it, exact top 50, median of 40",
            median,
            "ms",
            f"slowest {max(times):.1f} ms",
            "<= 15 ms",
            median <= 15,
        )


def public_location_encoder() -> "Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float32]]":
    """Return the public package's location encoder: `[N, 2]` degrees to `[N, 512]`.

    Its parent packages are stood in for by empty ones: they would load a photo tower's library.
    """
    import torch

    spec = importlib.util.find_spec("geoclip")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    stand_ins: dict[str, Any] = {
        name: types.ModuleType(name) for name in ("geoclip", "geoclip.model")
    }
    stand_ins["geoclip"].__path__ = [str(root)]
    stand_ins["geoclip.model"].__path__ = [str(root / "model")]
    with patch.dict(sys.modules, stand_ins):
        module = importlib.import_module("geoclip.model.location_encoder")
        encoder = module.LocationEncoder().eval()

    def encode(coordinates: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float32]":
        with torch.inference_mode():
            found: npt.NDArray[np.float32] = encoder(torch.from_numpy(coordinates).float()).numpy()
        return found

    return encode


def _starts() -> range:
    return range(0, PLACES, PIECE)


def _timed(work: "Callable[[], T]") -> "tuple[T, float]":
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began
