"""The build on Ray Data: the gallery that a build without workers makes, whatever happens."""

import copyreg
import io
import json
import os
import signal
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders.base import Vectors
from geo.errors import InputError, UnavailableError
from index_builder import scale
from index_builder.build import build_gallery
from index_builder.gallery_opening import open_gallery
from index_builder.scale import DEATHS, build_gallery_on_ray
from tests.aligned_fakes import GlobeEncoder
from tests.unit.encoder_samples import tiny_encoder
from tests.unit.gallery_samples import write_photos

# Ray leaves sockets and processes to the collector, and warns of what it has itself deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Fragile(GlobeEncoder):
    """Kills its own process: once, where `marker` can be made; each time without one."""

    def __init__(self, marker: Path | None) -> None:
        super().__init__()
        self.marker, self.at_home = marker, os.getpid()

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        if os.getpid() != self.at_home:
            try:
                if self.marker:
                    self.marker.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return super().encode_images(images)


class Weary(GlobeEncoder):
    """Encodes nothing; what is asked of it was not skipped."""

    def encode_images(self, images: Sequence[Image.Image]) -> dict[str, Vectors]:
        raise UnavailableError(f"asked to encode {len(images)} photos")


def jpeg(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((90 + seed % 5, 64)).save(buffer, "JPEG")
    return buffer.getvalue()


def shard(path: Path, numbers: Sequence[int], *, shift: float = 0.0) -> None:
    """Write photos with their positions; every fiftieth is no photo."""
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            stated = {"latitude": 10 + number / 100 + shift, "longitude": 9.25, "author": "A"}
            photo = b"no photo" if number % 50 == 7 else jpeg(number)
            files = {"jpg": photo, "json": json.dumps(stated).encode()}
            for kind, data in files.items():
                member = tarfile.TarInfo(f"{number:05}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards, the last with photos of the first again: some moved, some not."""
    folder = tmp_path_factory.mktemp("shards")
    shard(folder / "a.tar", range(90))
    shard(folder / "b.tar", range(90, 110))
    shard(folder / "c.tar", [*range(110, 180), *range(5)])
    shard(folder / "d.tar", range(20, 23), shift=3.0)
    return folder


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    """One Ray for all tests: to start it takes some seconds."""
    from index_builder.ray_session import Crew, session

    with session(Crew(2, "local", by_name=False)):
        yield


def contents(path: Path) -> dict[str, Any]:
    """All that a gallery holds, but the times at which it was written."""
    with open_gallery(path) as gallery:
        points = [
            (p.id, dict(p.payload), {space: v.tobytes() for space, v in p.vectors.items()})
            for p in gallery.store.scan(with_vectors=True)
        ]
        manifest = gallery.manifest.model_dump(exclude={"created", "updated"})
    copies = {f.name: f.read_bytes() for f in sorted((path / "photos").rglob("*.jpg"))}
    rejects = (path / "rejects.jsonl").read_text()
    return {"points": points, "manifest": manifest, "copies": copies, "rejects": rejects}


@pytest.mark.slow
def test_workers_make_the_same_gallery_bit_for_bit(
    shards: Path, tmp_path: Path, ray_session: None
) -> None:
    encoder = tiny_encoder("geoclip")
    copyreg.pickle(type(encoder), lambda _: (tiny_encoder, ("geoclip",)))
    alone = build_gallery(shards, tmp_path / "alone", encoder=encoder)
    crew = build_gallery_on_ray(shards, tmp_path / "crew", encoder=encoder, workers=2)
    assert alone.added > 150
    assert alone.skipped == 5
    assert alone.rejected == 7, "four are no photos, three are the same photo elsewhere"
    for name in ("added", "updated", "skipped", "rejected", "reasons", "examples", "photos"):
        assert getattr(crew, name) == getattr(alone, name), name
    assert contents(tmp_path / "crew") == contents(tmp_path / "alone")


@pytest.mark.slow
def test_a_build_goes_on_and_what_is_there_is_not_encoded_again(
    shards: Path, tmp_path: Path, ray_session: None
) -> None:
    build_gallery(shards, tmp_path / "alone", encoder=GlobeEncoder())
    out = tmp_path / "crew"
    build_gallery(shards, out, encoder=GlobeEncoder(), limit=100)
    with open_gallery(out) as gallery:
        gone = sorted((out / "photos").rglob("*.jpg"))[0]
        assert len(gallery) == 98
    gone.unlink()  # a point without its copy is not there whole
    again = build_gallery_on_ray(shards, out, encoder=GlobeEncoder(), workers=2)
    whole, clean = contents(out), contents(tmp_path / "alone")
    whole["manifest"]["settings"].pop("limit", None)
    assert whole == clean
    rested = build_gallery_on_ray(shards, out, encoder=Weary(), workers=2)
    assert (rested.added, rested.photos) == (0, again.photos)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(
    shards: Path, tmp_path: Path, ray_session: None
) -> None:
    build_gallery(shards, tmp_path / "alone", encoder=GlobeEncoder())
    marker = tmp_path / "died"
    build_gallery_on_ray(shards, tmp_path / "crew", encoder=Fragile(marker), workers=2)
    assert marker.exists()
    assert contents(tmp_path / "crew") == contents(tmp_path / "alone")


@pytest.mark.slow
def test_photos_that_kill_every_worker_end_the_build_with_advice(
    shards: Path, tmp_path: Path, ray_session: None
) -> None:
    with pytest.raises(UnavailableError, match=rf"ended {DEATHS} times.*fewer workers"):
        build_gallery_on_ray(shards / "b.tar", tmp_path / "crew", encoder=Fragile(None))


@pytest.mark.slow
def test_an_error_of_a_worker_is_the_error_of_the_build(
    shards: Path, tmp_path: Path, ray_session: None
) -> None:
    with pytest.raises(UnavailableError, match=r"^asked to encode 19 photos$"):
        build_gallery_on_ray(shards / "b.tar", tmp_path / "crew", encoder=Weary())


@pytest.mark.slow
def test_ray_listens_to_this_machine_alone_and_tells_nobody_about_itself(
    ray_session: None,
) -> None:
    import ray

    (node,) = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's own
    assert node["NodeManagerAddress"] == "127.0.0.1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    heard = Path(f"/proc/{os.getpid()}/net/tcp6").read_text().splitlines()[1:]
    ours = {node["NodeManagerPort"], node["ObjectManagerPort"]}
    found = {}
    for line in heard:
        address, port = line.split()[1].split(":")
        if int(port, 16) in ours and line.split()[3] == "0A":
            found[int(port, 16)] = address
    assert set(found) == ours
    assert set(found.values()) == {"0000000000000000FFFF00000100007F"}, "127.0.0.1"


@pytest.mark.slow
def test_coordinates_are_encoded_by_workers_too(tmp_path: Path, ray_session: None) -> None:
    table = tmp_path / "places.csv"
    lines = [f"{n / 10},{n / 5}" for n in range(1, 101)]
    table.write_text("\n".join(["latitude,longitude", *lines]))
    alone = build_gallery(table, tmp_path / "alone", encoder=GlobeEncoder())
    crew = build_gallery_on_ray(table, tmp_path / "crew", encoder=GlobeEncoder())
    assert alone.added == crew.added == 100
    assert contents(tmp_path / "crew") == contents(tmp_path / "alone")


@pytest.mark.slow
def test_a_codebook_fitted_here_is_what_workers_encode_with(
    tmp_path: Path, ray_session: None
) -> None:
    photos = write_photos(tmp_path / "photos", scenes=4)
    alone = build_gallery(photos, tmp_path / "alone")
    crew = build_gallery_on_ray(photos, tmp_path / "crew")
    assert alone.added == crew.added == 8
    assert contents(tmp_path / "crew") == contents(tmp_path / "alone")
    features = [sorted((tmp_path / n / "features").rglob("*.npz")) for n in ("alone", "crew")]
    assert [f.read_bytes() for f in features[0]] == [f.read_bytes() for f in features[1]]
    assert len(features[1]) == 8


def test_other_weights_on_a_worker_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "load_encoder", lambda name: GlobeEncoder(name=f"{name}-2"))
    share = scale.Share(
        encoder="globe",
        fingerprint=GlobeEncoder().card.fingerprint,
        copies=True,
        kind="photos",
        folder=Path(),
        known=None,
        threads=1,
    )
    with pytest.raises(InputError, match="put the same weights on all machines"):
        scale.Worker({"share": share})


@pytest.mark.slow
def test_an_encoder_that_cannot_be_sent_is_asked_for_by_name(shards: Path, tmp_path: Path) -> None:
    encoder = GlobeEncoder()
    encoder.lock = sys.stdout  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"cannot be sent to workers.*give the name or folder"):
        build_gallery_on_ray(shards, tmp_path / "crew", encoder=encoder)


def test_without_ray_the_package_to_install_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError, match=r"pip install 'graticule\[scale\]'"):
        build_gallery_on_ray(tmp_path, tmp_path / "crew")


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 workers, at least 1"):
        build_gallery_on_ray(tmp_path, tmp_path / "crew", workers=0)
