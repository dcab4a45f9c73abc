"""Training: resumed bit for bit, refused where it would be another, stopped where it is lost."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders import load_encoder
from encoders.families.geoclip import GeoCLIPHeads
from encoders.heads import Heads
from geo.errors import ConfigError, InputError, UnavailableError
from index_builder.feature_store import lock_folder
from index_builder.files import write_atomically
from index_builder.train import TrainReport, train_family
from index_builder.train_heads import check_processes, fresh_heads
from index_builder.train_loop import Pace, TrainingError
from index_builder.train_material import Options
from index_builder.train_settings import PUBLISHED, train_settings
from index_builder.train_validation import split_rows
from tests.unit.encoder_samples import tiny_backbone
from tests.unit.training_samples import SIZES, write_photos


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos; features are shared by the tests of this file."""
    folder = tmp_path_factory.mktemp("training")
    write_photos(folder / "photos", 30)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny products are slower on several threads, much slower on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(
    place: Path, out: Path, family: str = "g3", options: dict[str, Any] | None = None, **given: Any
) -> TrainReport:
    """Train for a few steps."""
    few = {"epochs": 3, "batch": 8, "lr": 1e-3, "heads": SIZES[family]} | given
    shared = Options(place / "features", device="cpu", **({"tensorboard": False} | (options or {})))
    table = place / "photos" / "photos.csv"
    return train_family(train_settings(family, **few), table, out, tiny_backbone, shared)


def after(steps: int) -> Callable[[], bool]:
    """Return a wish to stop at the end of that step."""
    asked = itertools.count(1)
    return lambda: next(asked) >= steps


def losses(out: Path) -> bytes:
    return (out / "training" / "loss.jsonl").read_bytes()


@pytest.mark.parametrize("family", list(PUBLISHED))
def test_every_family_trains_stops_anywhere_and_ends_alike(
    place: Path, tmp_path: Path, family: str
) -> None:
    unbroken = train(place, tmp_path / "unbroken", family)
    assert unbroken.finished
    assert unbroken.steps == 9
    for stop in (1, 3, 2):
        report = train(place, tmp_path / "broken", family, {"asked_to_stop": after(stop)})
        assert not report.finished
    assert report.steps == 6
    report = train(place, tmp_path / "broken", family)
    assert report == TrainReport(
        tmp_path / "broken", True, 9, 9, 30, (), unbroken.before, unbroken.after
    )
    assert losses(tmp_path / "broken") == losses(tmp_path / "unbroken")
    weights = [tmp_path / name / "heads.safetensors" for name in ("broken", "unbroken")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    encoder = load_encoder(str(tmp_path / "broken"), device="cpu")
    found = encoder.encode_locations([(52.5, 13.4)])
    assert all(np.isfinite(rows).all() for rows in found.values())


def test_training_learns_where_photos_are(place: Path, tmp_path: Path) -> None:
    report = train(place, tmp_path, "g3", epochs=100, lr=3e-3, held_out=0.3)
    curve = [json.loads(line)["loss"] for line in losses(tmp_path).splitlines()]
    assert np.mean(curve[-5:]) < 0.7 * np.mean(curve[:5])
    # Towns look alike inside and are thousands of kilometres apart.
    assert float(report.after["median_km"]) < 150 < float(report.before["median_km"])


def test_a_finished_training_is_not_done_again(place: Path, tmp_path: Path) -> None:
    first = train(place, tmp_path)
    written = (tmp_path / "card.json").stat().st_mtime_ns
    assert train(place, tmp_path) == first
    assert (tmp_path / "card.json").stat().st_mtime_ns == written


def test_another_training_is_refused_by_name(place: Path, tmp_path: Path) -> None:
    stop = {"asked_to_stop": after(2)}
    train(place, tmp_path, options=stop)
    with pytest.raises(InputError, match=r"settings\.lr was 0\.001, is 0\.01"):
        train(place, tmp_path, lr=1e-2)
    with pytest.raises(InputError, match=r'settings\.family was "g3", is "geoclip"'):
        train(place, tmp_path, "geoclip")
    other = tmp_path / "other"
    write_photos(other / "photos", 30, seed=4)
    with pytest.raises(InputError, match=r"data\.sha256 was"):
        train(other, tmp_path)


def test_folders_of_others_are_left_alone(place: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        train(place, tmp_path)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(InputError, match="holds another encoder"):
        train(place, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        train(place, tmp_path / "notes.txt")


def test_two_trainings_in_one_folder_do_not_meet(place: Path, tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "training", "checkpoints in")
    with pytest.raises(UnavailableError, match="another process"):
        train(place, tmp_path)
    lock.release()
    assert train(place, tmp_path).finished


def test_a_damaged_checkpoint_is_noticed(place: Path, tmp_path: Path) -> None:
    train(place, tmp_path, options={"asked_to_stop": after(2)})
    (file,) = (tmp_path / "training").glob("checkpoint-*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match=r"checkpoint .* damaged"):
        train(place, tmp_path)


def test_a_lost_training_names_step_and_term_and_keeps_its_checkpoint(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()
    plain = GeoCLIPHeads.loss

    def spoiled(self: GeoCLIPHeads, embedded: dict[str, Tensor]) -> dict[str, Tensor]:
        terms = plain(self, embedded)
        return {k: v * (torch.nan if next(calls) == 5 else 1) for k, v in terms.items()}

    monkeypatch.setattr(GeoCLIPHeads, "loss", spoiled)
    with pytest.raises(TrainingError, match="loss term 'photo_gps' is nan at step 5"):
        train(place, tmp_path, "geoclip", {"pace": Pace(steps=2)})
    stated = json.loads((tmp_path / "training" / "checkpoint.json").read_text())
    assert stated["step"] == 4
    monkeypatch.setattr(GeoCLIPHeads, "loss", plain)
    assert train(place, tmp_path, "geoclip").finished


def test_a_gradient_that_is_no_number_is_named(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = GeoCLIPHeads.loss

    def steep(self: GeoCLIPHeads, embedded: dict[str, Tensor]) -> dict[str, Tensor]:
        zero = (self.logit_scale * 0).sqrt()  # 0 itself, of infinite slope
        return {k: v + zero for k, v in plain(self, embedded).items()}

    monkeypatch.setattr(GeoCLIPHeads, "loss", steep)
    with pytest.raises(TrainingError, match="gradient of 'logit_scale' is nan at step 0"):
        train(place, tmp_path, "geoclip")


def test_a_full_disk_stops_with_the_former_checkpoint_whole(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(place, tmp_path, options={"asked_to_stop": after(2)})

    def full(path: Path, data: bytes) -> None:
        if path.name.startswith("checkpoint-"):
            raise InputError(f"cannot write {path.name!r} (No space left on device); free space")
        write_atomically(path, data)

    monkeypatch.setattr("index_builder.train_state.write_atomically", full)
    with pytest.raises(UnavailableError, match="No space left"):
        train(place, tmp_path)
    monkeypatch.undo()
    assert train(place, tmp_path).finished


def test_data_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 1)
    with pytest.raises(InputError, match=r"1 photo .* at least 2"):
        train(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rejects_are_written_with_their_reasons(tmp_path: Path) -> None:
    table = write_photos(tmp_path / "photos", 12)
    (tmp_path / "photos" / "3.png").write_bytes(b"")
    table.write_text(table.read_text() + "x.png,nan,4,,,,,\n")
    report = train(tmp_path, tmp_path / "out", epochs=1)
    lines = [json.loads(x) for x in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["x.png", "3.png"]
    assert "not a number" in lines[0]["reason"]
    assert "empty" in lines[1]["reason"]
    assert (report.photos, len(report.rejected)) == (11, 2)


@pytest.mark.parametrize(
    ("family", "changes", "said"),
    [
        ("pigeon", {}, "is unknown"),
        ("siglip", {}, "trains nothing"),
        ("g3", {"epochs": 0}, "setting epochs = 0"),
        ("g3", {"lr": float("nan")}, "setting lr"),
        ("g3", {"speed": 9}, "setting speed"),
    ],
)
def test_wrong_settings_are_named(family: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        train_settings(family, **changes)


def test_wrong_heads_are_named() -> None:
    with pytest.raises(ConfigError, match=r"heads\.wings"):
        fresh_heads(train_settings("g3", heads={"wings": 2}), 24, 32)
    with pytest.raises(ConfigError, match="too small to save memory"):
        fresh_heads(train_settings("geoclip", checkpointing=True, heads=SIZES["geoclip"]), 24, 32)


def test_what_processes_cannot_share_is_refused() -> None:
    heads: Heads = fresh_heads(train_settings("g3", heads=SIZES["g3"]), 24, 32)
    with pytest.raises(ConfigError, match="batch 7 cannot be shared by 2"):
        check_processes(heads, 2, 7)
    heads.add_module("norm", torch.nn.BatchNorm1d(3))
    with pytest.raises(ConfigError, match="normalise over their own share"):
        check_processes(heads, 2, 8)
    check_processes(heads, 1, 7)


def test_checkpointing_changes_no_number(place: Path, tmp_path: Path) -> None:
    train(place, tmp_path / "plain", "transgeoclip")
    train(place, tmp_path / "saving", "transgeoclip", checkpointing=True)
    assert losses(tmp_path / "plain") == losses(tmp_path / "saving")


def test_clipping_bounds_a_step(place: Path, tmp_path: Path) -> None:
    train(place, tmp_path / "free", max_steps=3)
    train(place, tmp_path / "held", max_steps=3, clip_norm=1e-6)
    first, other = (losses(tmp_path / name).splitlines() for name in ("free", "held"))
    assert json.loads(first[0]) == json.loads(other[0]), "the norm is logged before it is clipped"
    assert json.loads(first[2])["loss"] != json.loads(other[2])["loss"]


def test_schedules_are_those_published() -> None:
    g3, dualgeo = train_settings("g3"), train_settings("dualgeo")
    assert (g3.lr, g3.weight_decay, g3.epochs, g3.batch) == (3e-5, 1e-6, 10, 256)
    assert g3.learning_rate(99, 100) == 3e-5
    assert g3.learning_rate(100, 100) == pytest.approx(3e-5 * 0.87)
    assert dualgeo.learning_rate(199, 100) == 4e-5
    assert dualgeo.learning_rate(200, 100) == pytest.approx(4e-5 * 0.87)
    assert (train_settings("geoclip").optimizer, train_settings("geoclip").batch) == ("adam", 512)
    cosine = train_settings("g3", schedule="cosine", warmup_steps=9, epochs=2)
    assert cosine.learning_rate(0, 100) == pytest.approx(3e-6)
    assert cosine.learning_rate(100, 100) == pytest.approx(1.5e-5)


def test_photos_are_held_out_at_random_or_by_squares() -> None:
    points = np.random.default_rng(0).uniform((40, 0), (50, 10), (500, 2))
    for split in ("random", "spatial"):
        training, held = split_rows(points, 0.1, split, seed=1)
        assert sorted([*training, *held]) == list(range(500))
        assert 50 <= len(held) <= (50 if split == "random" else 60)
    squares = np.floor(points)
    assert not {tuple(s) for s in squares[training]} & {tuple(s) for s in squares[held]}
    training, held = split_rows(points[:3], 0.5, "spatial", seed=1)
    assert len(training) >= 2


def test_tensorboard_logs_are_written(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(place, tmp_path, options={"tensorboard": True})
    (events,) = (tmp_path / "training" / "tensorboard").glob("events.*")
    assert events.stat().st_size > 500
