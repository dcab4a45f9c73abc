"""Bench of building a gallery: photos a second beside the encoder's own and a plain loop's.

All three on the same photos, in turn, several times over: a machine that slows down slows all of
them. The encoder's own figure is its best case: photos decoded already, nothing else to do.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from evaluation.bench import Measurement

if TYPE_CHECKING:
    from encoders.model import FamilyEncoder

PHOTOS = 384
ROUNDS = 5
BATCH = 64
TOWER = {
    "embed_dim": 384,
    "vision_cfg": {
        "image_size": 224, "layers": 12, "width": 384, "head_width": 64, "patch_size": 32,
    },
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}  # fmt: skip
GFLOPS = 2.2
"""A photo through ViT-S/32: 21.7 million weights, 50 tokens, two operations each."""


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield the build's rate as shares of the encoder's and of two loops'; `data` is not needed."""
    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder) / "photos", PHOTOS)
        size_kb = statistics.mean(path.stat().st_size for path in photos) / 1000
        rates = _rates(photos, Path(folder))
    alone, build = rates["encoder"], rates["build"]
    of = f"{PHOTOS} JPEGs of 640 x 480 px, {size_kb:.0f} KB; ViT-S/32 of {GFLOPS} GFLOPs"
    yield Measurement("encoder alone, decoded photos, batches of 64", alone, "photos/s", of)
    for name in ("plain loop, one photo at a time", "plain loop, batches of 64"):
        yield Measurement(name, rates[name], "photos/s", "small copies kept, as in the build")
    yield Measurement("gallery build", build, "photos/s", "small copies kept; cold folder")
    yield Measurement(
        "gallery build, of the encoder's own rate",
        build / alone,
        "x",
        f"{build:.1f} of {alone:.1f} photos/s",
        ">= 0.9 x",
        build >= 0.9 * alone,
    )
    one, batched = rates["plain loop, one photo at a time"], rates["plain loop, batches of 64"]
    yield Measurement(
        "gallery build, times the plain loop, one photo at a time",
        build / one,
        "x",
        f"{build:.1f} of {one:.1f} photos/s",
        ">= 1.6 x",
        build >= 1.6 * one,
    )
    # No target: on a CPU this loop leaves the tower's cores idle only while it decodes.
    yield Measurement(
        "gallery build, times the plain loop, batches of 64",
        build / batched,
        "x",
        f"{build:.1f} of {batched:.1f} photos/s, the encoder alone {alone:.1f}",
    )


def _rates(photos: Sequence[Path], folder: Path) -> dict[str, float]:
    """Return photos a second of each way, medians of rounds in which each had its turn."""
    encoder = small_encoder()
    decoded = [Image.open(path).convert("RGB") for path in photos]
    ways: dict[str, Callable[[Path], None]] = {
        "encoder": lambda _: _encode(encoder, decoded),
        "plain loop, one photo at a time": lambda out: plain_loop(encoder, photos, out, 1),
        "plain loop, batches of 64": lambda out: plain_loop(encoder, photos, out, BATCH),
        "build": lambda out: _build(encoder, photos[0].parent, out),
    }
    for way in ways.values():  # whatever is done once is done now
        with tempfile.TemporaryDirectory(dir=folder) as out:
            way(Path(out) / "gallery")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as out:
                began = time.perf_counter()
                way(Path(out) / "gallery")
                times[name].append(time.perf_counter() - began)
    return {name: len(photos) / statistics.median(taken) for name, taken in times.items()}


def _encode(encoder: "FamilyEncoder", images: Sequence[Image.Image]) -> None:
    for start in range(0, len(images), BATCH):
        encoder.encode_images(images[start : start + BATCH])


def _build(encoder: "FamilyEncoder", folder: Path, out: Path) -> None:
    from index_builder import build_gallery

    report = build_gallery(folder, out, encoder=encoder)
    assert report.added == PHOTOS


def plain_loop(encoder: "FamilyEncoder", photos: Sequence[Path], out: Path, batch: int) -> None:
    """Do the work of a build one step after the other: read, decode, encode, write.

    Args:
        encoder: of the photos.
        photos: whose positions `write_photos` wrote beside them.
        out: folder of the gallery.
        batch: photos that are encoded together.
    """
    from datetime import UTC, datetime

    from index_builder.encoding import CHUNK, ChunkEncoder, write_files
    from index_builder.files import FolderLock
    from index_builder.gallery_opening import attach
    from index_builder.manifest import EncoderIdentity, Manifest
    from index_builder.records import Record
    from index_builder.sources import open_source

    out.mkdir()
    now = datetime.now(UTC)
    manifest = Manifest(encoder=EncoderIdentity.of(encoder.card), created=now, updated=now)
    chunk = ChunkEncoder(_Plain(encoder), copies=True)
    records = [one for one in open_source(photos[0].parent) if isinstance(one, Record)]
    assert batch <= CHUNK
    with attach(out, manifest, FolderLock(out)) as gallery:
        for start in range(0, len(records), batch):
            prepared = [chunk.prepare(record) for record in records[start : start + batch]]
            good = [one for one in prepared if not hasattr(one, "reason")]
            write_files(out, good)
            gallery.add([one for one in chunk.encode(good) if isinstance(one, tuple)])
        gallery.write_manifest(0)


class _Plain:
    """An encoder as it comes: photos are prepared for its tower where they are encoded."""

    def __init__(self, encoder: "FamilyEncoder") -> None:
        self.card, self.encode_images = encoder.card, encoder.encode_images


def small_encoder() -> "FamilyEncoder":
    """Return an encoder over a ViT-S/32 of random weights."""
    from encoders.backbones import Backbone
    from encoders.families.siglip import SigLIPConfig, SigLIPHeads
    from encoders.model import FamilyEncoder

    backbone = Backbone.from_config("vit-s-32", TOWER, device="cpu")
    return FamilyEncoder(
        SigLIPHeads(SigLIPConfig(backbone_width=backbone.width)),
        lambda: backbone,
        backbone_name=backbone.spec.name,
        backbone_fingerprint=backbone.fingerprint,
    )


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write JPEGs that compress as photos do, and `positions.csv` beside them."""
    folder.mkdir(parents=True)
    paths, lines = [], ["file,lat,lon"]
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        _picture(number).save(path, quality=90)
        lines.append(f"{path.name},{36 + number % 24},{-4 + number / 16:.4f}")
        paths.append(path)
    (folder / "positions.csv").write_text("\n".join(lines) + "\n")
    return paths


def _picture(seed: int) -> Image.Image:
    """Return clouds of every size, whose amplitude falls with their fineness as in nature."""
    generator = np.random.default_rng(seed)
    total = np.zeros((480, 640, 3), np.float32)
    for level in range(1, 9):
        coarse = generator.normal(size=(3, min(480, 3 << level), min(640, 4 << level)))
        for channel in range(3):
            layer = Image.fromarray(coarse[channel].astype(np.float32))
            grown = np.asarray(layer.resize((640, 480), Image.Resampling.BICUBIC))
            total[:, :, channel] += grown * 0.62**level
    total = 128 + 52 * (total - total.mean()) / total.std()
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))
