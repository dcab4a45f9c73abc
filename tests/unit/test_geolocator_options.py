"""What is said on the command line counts instead of the settings, and nothing else changes."""

from pathlib import Path
from typing import Any

import pytest

from agent.abstain import AnswerLoss
from agent.settings import Settings
from cli.geolocator_options import Chosen
from cli.main import main

BARE: dict[str, Any] = {
    "recipe": "", "model": "", "model_url": "", "trajectories": None, "galleries": (),
    "encoder": "none", "places": None, "calibration": None, "point": None, "abstain_cost": None,
    "download": False, "trust_metadata": False,
}  # fmt: skip


def opened(settings: Settings, **said: Any) -> Any:
    with Chosen(**BARE | {"recipe": "pipeline"} | said).open(settings, quiet=True) as geolocator:
        return geolocator


def test_nothing_said_leaves_the_settings(settings: Settings) -> None:
    loss = AnswerLoss(right_within_km=5.0, wrong=2.0, abstain=0.2)
    given = settings.model_copy(
        update={"abstain": loss, "point": "mean", "calibration": Path("none")}
    )
    made = opened(given)
    assert (made.settings, made.machine.loss, made.recipe.point) == (given, loss, "mean")
    assert opened(settings).settings == settings


def test_the_cost_of_abstaining_is_in_parts_of_a_wrong_answer(settings: Settings) -> None:
    loss = AnswerLoss(right_within_km=5.0, wrong=2.0)
    made = opened(settings.model_copy(update={"abstain": loss}), abstain_cost=0.1)
    assert made.machine.loss == AnswerLoss(right_within_km=5.0, wrong=2.0, abstain=0.2)
    assert made.machine.loss.threshold == 0.9
    assert opened(settings, abstain_cost=0.0).machine.loss.threshold == 1.0


def test_point_and_calibration_are_the_ones_that_were_named(settings: Settings) -> None:
    given = settings.model_copy(update={"point": "mean", "calibration": Path("gone.json")})
    made = opened(given, point="medoid", calibration=Path("none"))
    assert (made.recipe.point, made.calibration) == ("medoid", None)


@pytest.mark.parametrize(
    "words",
    [("--point", "best"), ("--abstain-cost", "-1"), ("--abstain-cost", "nan"),
     ("--calibration", ""), ("--calibration", "gone.json")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    words: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(b"")
    assert main(["locate", "photo.png", "--recipe", "pipeline", "--encoder", "none", *words]) == 2
    assert words[0].strip("-") in capsys.readouterr().err  # not because of the photo
