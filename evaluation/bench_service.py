"""The encoder service under load, beside the same encoder in process, in one run.

Sixteen clients send one photo at a time to a service in a process of its own; the reference
encodes the same photos in batches of sixteen. Both sides take turns, so that whatever else the
machine does falls on both.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from evaluation.bench import Measurement, format_row

if TYPE_CHECKING:
    from encoders.model import FamilyEncoder

CLIENTS = 16
PHOTOS_EACH = 4
ROUNDS = 5
PHOTO_SIZE = (640, 480)
TARGET = 0.8
START_S = 180.0
TINY: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": 112,
        "layers": 3,
        "width": 128,
        "head_width": 32,
        "patch_size": 16,
    },
    "text_cfg": {"context_length": 32, "vocab_size": 512, "width": 32, "heads": 2, "layers": 1},
}
TOWERS = ("ViT-B-32", "tiny")


@dataclass(frozen=True)
class Load:
    """What came out of one run: photos per second on either side, seconds of each request."""

    in_process: list[float]
    service: list[float]
    latencies_s: list[float]
    cpu_in_process_s: list[float]
    """Processor time of all threads, for each photo."""
    cpu_service_s: list[float]
    """The same, of clients and service together."""

    @property
    def ratio(self) -> float:
        """Median over rounds of service over in-process throughput."""
        pairs = zip(self.service, self.in_process, strict=True)
        return statistics.median(one / other for one, other in pairs)


def measure(data: Path | None) -> Iterator[Measurement]:
    """Yield throughput and latency of the service over a tower of ViT-B/32's size."""
    yield from rows(TOWERS[0], run(TOWERS[0]))


def rows(tower: str, load: Load) -> Iterator[Measurement]:
    """Yield the printed rows of one run."""
    alone, served = statistics.median(load.in_process), statistics.median(load.service)
    spread = [one / other for one, other in zip(load.service, load.in_process, strict=True)]
    yield Measurement(
        f"encoder service, {CLIENTS} clients of one photo each, over batches of {CLIENTS} in "
        f"process ({tower})",
        load.ratio,
        "x",
        f"{served:.1f} against {alone:.1f} photos/s, rounds {min(spread):.2f}-{max(spread):.2f}",
        f">= {TARGET}",
        load.ratio >= TARGET,
    )
    for share in (50, 95):
        value = 1000 * float(np.percentile(load.latencies_s, share))
        yield Measurement(
            f"encoder service latency under that load, p{share} ({tower})", value, "ms"
        )
    alone, served = statistics.median(load.cpu_in_process_s), statistics.median(load.cpu_service_s)
    yield Measurement(
        f"encoder service, processor time of one photo, clients included ({tower})",
        1000 * served,
        "ms",
        f"in process {1000 * alone:,.1f} ms: where the processor is all there is, "
        f"{alone / served:.2f} x the throughput",
    )


def run(tower: str, rounds: int = ROUNDS, photos_each: int = PHOTOS_EACH, threads: int = 0) -> Load:
    """Measure both sides in turn and check that they give the same vectors.

    Args:
        tower: of `TOWERS`.
        rounds: how often each side has its turn.
        photos_each: photos that each client sends in a round.
        threads: of torch on either side; 0 leaves them to torch. On a machine whose cores others
            use as well, threads that wait for each other measure the others.
    """
    from encoders.client import RemoteEncoder

    photos = _photos(CLIENTS * photos_each)
    load = Load([], [], [], [], [])
    with (
        _service(tower, threads) as (url, service),
        ThreadPoolExecutor(CLIENTS) as clients,
        ThreadPoolExecutor(1) as alone,
    ):
        local, remote = build(tower, threads), RemoteEncoder(url)
        _compare(local, remote, photos[:CLIENTS])
        for _ in range(rounds):
            # In a thread as well: OpenMP spins longer where only the main thread computes, and
            # on shared cores that alone halved the reference.
            alone.submit(_in_process, local, photos, load).result()
            _through_service(remote, photos, load, clients, service)
        remote.close()
    return load


def _in_process(local: Any, photos: list[Image.Image], load: Load) -> None:
    start, used = time.perf_counter(), time.process_time()
    for first in range(0, len(photos), CLIENTS):
        local.encode_images(photos[first : first + CLIENTS])
    load.in_process.append(len(photos) / (time.perf_counter() - start))
    load.cpu_in_process_s.append((time.process_time() - used) / len(photos))


def _through_service(
    remote: Any, photos: list[Image.Image], load: Load, clients: ThreadPoolExecutor, service: int
) -> None:
    shares = [photos[number::CLIENTS] for number in range(CLIENTS)]
    start, used = time.perf_counter(), time.process_time() + _cpu_s(service)
    for times in clients.map(lambda share: _one_by_one(remote, share), shares):
        load.latencies_s.extend(times)
    load.service.append(len(photos) / (time.perf_counter() - start))
    load.cpu_service_s.append((time.process_time() + _cpu_s(service) - used) / len(photos))


def _cpu_s(process: int) -> float:
    """Return the processor time that another process has used (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def build(tower: str, threads: int = 0) -> "FamilyEncoder":
    """Return GeoCLIP's heads over a tower of random weights."""
    from encoders.backbones import Backbone
    from encoders.families.geoclip import GeoCLIPConfig, GeoCLIPHeads
    from encoders.model import FamilyEncoder
    from encoders.torch_setup import need

    config = TINY
    if tower != "tiny":
        config = need("open_clip").get_model_config(tower) | {"text_cfg": TINY["text_cfg"]}
    torch = need("torch")
    if threads:
        torch.set_num_threads(threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        heads = GeoCLIPHeads(GeoCLIPConfig(backbone_width=config["embed_dim"]))
    backbone = Backbone.from_config(tower, config, seed=5, device="cpu")
    return FamilyEncoder(
        heads,
        lambda: backbone,
        backbone_name=tower,
        backbone_fingerprint=backbone.fingerprint,
    )


@contextmanager
def _service(tower: str, threads: int) -> Iterator[tuple[str, int]]:
    """Run the service in a process of its own; give its address and process number."""
    process_kind = multiprocessing.get_context("spawn")
    here, there = process_kind.Pipe(duplex=False)
    process = process_kind.Process(target=_serve, args=(tower, threads, there), daemon=True)
    process.start()
    try:
        if not here.poll(START_S):
            raise RuntimeError(f"no service within {START_S:g} s")
        url = next(word for word in str(here.recv()).split() if word.startswith("http://"))
        while here.recv() != "ready":
            pass
        yield url, process.pid or 0
    finally:
        process.terminate()
        process.join()


def _serve(tower: str, threads: int, announced: Connection) -> None:
    from encoders.serving import run_service

    run_service(build(tower, threads), "127.0.0.1", 0, announce=announced.send)


def _compare(local: Any, remote: Any, photos: list[Image.Image]) -> None:
    """Fail where the two sides do not encode alike: a figure would mean nothing."""
    ours, theirs = local.encode_images(photos), remote.encode_images(photos)
    if local.card != remote.card or max(np.abs(ours[s] - theirs[s]).max() for s in ours) > 1e-5:
        raise AssertionError("the service gives other vectors than the encoder in process")


def _one_by_one(remote: Any, photos: list[Image.Image]) -> list[float]:
    """Send photos one after the other; return how long each took, in seconds."""
    times = []
    for photo in photos:
        start = time.perf_counter()
        remote.encode_images([photo])
        times.append(time.perf_counter() - start)
    return times


def _photos(count: int) -> list[Image.Image]:
    random = np.random.default_rng(11)
    coarse = random.integers(0, 256, (count, 40, 40, 3), dtype=np.uint8)
    return [Image.fromarray(one).resize(PHOTO_SIZE, Image.Resampling.BICUBIC) for one in coarse]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m evaluation.bench_service", description=__doc__)
    parser.add_argument("--tower", choices=TOWERS, default=TOWERS[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--photos-each", type=int, default=PHOTOS_EACH)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves them to torch")
    options = parser.parse_args()
    load = run(options.tower, options.rounds, options.photos_each, options.threads)
    for row in rows(options.tower, load):
        print(format_row(row))
