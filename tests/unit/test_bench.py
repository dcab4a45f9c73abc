"""`make bench` fails where a target is missed, and says what it could not measure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation import bench
from evaluation.bench import Measurement


def test_a_missed_target_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Measurement("speed", 3.0, "s", target="under 2 s", met=False)]

    def measurements(suite: str, data: Path | None) -> Iterator[Measurement]:
        yield from rows

    monkeypatch.setattr(bench, "measurements", measurements)
    assert bench.main(["geo"]) == 1
    assert capsys.readouterr().out == "MISS speed: 3 s  target under 2 s\n"
    rows[0] = Measurement("speed", 1.0, "s", reference="other 4 s", target="under 2 s", met=True)
    assert bench.main(["geo"]) == 0
    assert capsys.readouterr().out.startswith("ok   speed: 1 s")


def test_what_needs_photos_is_named_where_there_are_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench.main(["text", "gallery"]) == 0
    assert capsys.readouterr().out.count("not measured, it needs --data") == 2


@pytest.mark.parametrize("arguments", [["speed"], ["text", "--data", "/nowhere"]])
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2
