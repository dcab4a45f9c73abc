"""Pictures of honesty: drawn for every run, and they say under which conditions."""

import sys
from pathlib import Path

import pytest

from evaluation.assessed import assess
from evaluation.reliability_plots import (
    coverage_plot,
    draw_all,
    reliability_diagram,
    risk_coverage_plot,
    save,
    sharpness_plot,
)
from geo.errors import ConfigError, InputError
from tests.unit.honesty_samples import Pair, drawn_run


@pytest.mark.parametrize("pairs", [drawn_run(5, failed=1), drawn_run(0, failed=2)])
def test_every_run_has_its_pictures(pairs: list[Pair], tmp_path: Path) -> None:
    paths = draw_all(assess(pairs), tmp_path / "new")
    assert [path.name for path in paths] == [
        "coverage.svg", "reliability.svg", "risk-coverage.svg", "sharpness.svg",
    ]  # fmt: skip
    assert all(path.read_text().startswith("<?xml") for path in paths)


def test_the_same_run_draws_the_same_bytes(tmp_path: Path) -> None:
    figures = [coverage_plot(assess(drawn_run(4))) for _ in range(2)]
    first, second = (save(figure, tmp_path / f"{id(figure)}.svg") for figure in figures)
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_pictures_say_what_they_are_of() -> None:
    assessed = assess(drawn_run(40, failed=2), within_km=[200.0], operator="lt", distance="wgs84")
    figures = [
        coverage_plot(assessed),
        reliability_diagram(assessed, 200.0),
        risk_coverage_plot(assessed, 200.0),
        sharpness_plot(assessed),
    ]
    for figure in figures:
        said = figure.axes[0].get_title(loc="left") + figure.axes[0].get_title()
        assert "WGS84" in said
        assert "<" in said
        assert "n = 40" in said or "n = 42" in said
    for figure in figures[1:3]:
        words = [figure.get_suptitle(), *(axes.get_ylabel() for axes in figure.axes)]
        assert any("200 km" in word for word in words)


def test_what_lacks_the_models_word_is_told() -> None:
    pairs = drawn_run(20)
    truth, row = pairs[0]
    pairs[0] = truth, row.model_copy(update={"verbal_confidence": None})
    axes = risk_coverage_plot(assess(pairs), 25.0).axes[0]
    assert "1 without the model's word" in axes.get_title() + axes.get_title(loc="left")
    lines = [line.get_label() for line in axes.get_lines()]
    assert [str(label).split(":")[0] for label in lines] == [
        "belief", "the model's own word", "best possible order",
    ]  # fmt: skip


def test_png_too_and_nothing_else(tmp_path: Path) -> None:
    assessed = assess(drawn_run(3))
    path = save(sharpness_plot(assessed), tmp_path / "sharpness.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="svg or png"):
        draw_all(assessed, tmp_path, ending="pdf")
    with pytest.raises(InputError, match="0 photos"):
        draw_all(assess([]), tmp_path)


def test_without_matplotlib_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'graticule\[evaluation\]'"):
        draw_all(assess(drawn_run(2)), tmp_path)
