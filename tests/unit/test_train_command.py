"""`graticule train` as a user meets it."""

import json
from pathlib import Path

import pytest

from cli.main import main
from encoders.saved import save_encoder
from tests.unit.encoder_samples import tiny_backbone, tiny_heads
from tests.unit.training_samples import SIZES, write_photos


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    write_photos(folder / "photos", 24)
    save_encoder(folder / "tower", tiny_heads("g3"), tiny_backbone())
    return folder


@pytest.fixture
def command(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Options of a short training that works, to change one of."""
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "home"))
    return {
        "--data": str(place / "photos" / "photos.csv"),
        "--out": str(tmp_path / "out"),
        "--backbone": str(place / "tower"),
        "--features": str(place / "features"),
        "--heads": json.dumps(SIZES["geoclip"]),
        "--batch": "8",
        "--epochs": "2",
        "--device": "cpu",
    }


def run(options: dict[str, str], *more: str, family: str = "geoclip") -> int:
    pairs = [word for pair in options.items() for word in pair]
    return main(["train", family, *pairs, "--no-tensorboard", *more])


def test_it_trains_and_says_what_came_of_it(
    command: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 0
    printed = capsys.readouterr()
    assert "before training: own location nearest for" in printed.out
    assert "4 of 4 steps, done" in printed.out
    assert "24 photos, 0 rejected" in printed.err
    assert run(command, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["finished"]
    assert facts["after"]["photos"] == 2


@pytest.mark.parametrize(
    ("option", "value", "code", "said"),
    [
        ("--data", "/nowhere/photos.csv", 2, "no training data"),
        ("--heads", "[1]", 2, "not a JSON object"),
        ("--heads", '{"hidden": 0}', 2, "heads.hidden"),
        ("--epochs", "0", 2, "setting epochs = 0"),
        ("--lr", "nan", 2, "setting lr"),
        ("--batch", "many", 2, "not a valid integer"),
        ("--backbone", "clip-vit-l-14", 3, "clip-vit-l-14"),
        ("--backbone", "no-such-tower", 2, "no-such-tower"),
        ("--device", "tpu", 2, "unknown device"),
    ],
)
def test_wrong_options_are_one_line(
    command: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    code: int,
    said: str,
) -> None:
    assert run(command | {option: value}) == code
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


def test_a_family_that_is_none_is_named(
    command: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, family="pigeon") == 2
    assert "train one of geoclip, g3" in capsys.readouterr().err
