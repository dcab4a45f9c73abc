"""`graticule evaluate score` and `compare` as a person or a program meets them."""

import resource
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.conftest import Command, program

HEAD = "image_id,latitude,longitude\n"
TRUTH = "image_id,latitude,longitude,author,kind\na,10,20,x,sea\nb,30,40,x,city\nc,50,60,y,city\n"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.csv"
    path.write_text(TRUTH)
    return path


@pytest.fixture
def guesses(tmp_path: Path) -> Path:
    path = tmp_path / "guesses.csv"
    path.write_text(HEAD + "a,10,20\nb,somewhere,40\nzz,1,2\n")
    return path


def test_a_score_says_everything_that_it_depends_on(
    command: Command, guesses: Path, truth: Path
) -> None:
    found = command("evaluate", "score", guesses, truth, "--operator", "lt", "--slices", "kind")
    assert found.code == 0, found.stderr
    said = " ".join(found.stdout.split())
    for words in (
        "3 photos, 1 answered (33.33 %); 2 failures, each a miss everywhere",
        "latitude is no number: 1",
        "no prediction: 1",
        "haversine on a sphere of 6371 km; within means distance < threshold",
        "over 2 authors",
        "33.33 % 1/3",
        "Naive By author",
        "Note: 1 prediction of photos that the truth does not know, left out: 'zz'",
        "'somewhere' of 'b'",
        "city 2 0 0.0 0.0",
    ):
        assert words in said, found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_json_is_alone_and_whole(command: Command, guesses: Path, truth: Path) -> None:
    options = ("--json", "--distance", "wgs84", "--thresholds", "0.5,25", "--bootstrap", "50")
    found = command("evaluate", "score", guesses, truth, *options).document()
    assert (found["distance"], found["operator"], found["photos"]) == ("wgs84", "le", 3)
    accuracies = found["accuracies"]
    assert isinstance(accuracies, list)
    assert [one["threshold_km"] for one in accuracies] == [0.5, 25.0]
    assert {"naive", "clustered", "hits", "value"} <= accuracies[0].keys()
    assert found["failure_reasons"] == {"no prediction": 1, "latitude is no number": 1}


@pytest.mark.slow  # the tree of all settlements
def test_areas_and_towns_by_name_and_by_place(command: Command, tmp_path: Path) -> None:
    """By name (Bavaria, München), by place where the truth has its own word for it (IDF)."""
    truth, guesses = tmp_path / "t.csv", tmp_path / "p.csv"
    truth.write_text(
        "image_id,latitude,longitude,country,state,city\n"
        "a,48.137,11.576,Deutschland,Bavaria,Munich\n"
        "b,48.857,2.352,FRA,IDF,Paris\n"
        "c,52.52,13.405,Germany,,Berlin\n"
        "d,-33.87,151.21,AU,New South Wales,Sydney\n"
    )
    guesses.write_text(HEAD + "a,49.45,11.08\nb,48.857,2.352\nc,52.52,13.405\nd,,\n")
    options = ("--names", "country,admin1,city", "--json")
    found = command("evaluate", "score", guesses, truth, *options).document()
    names = found["names"]
    assert isinstance(names, list)
    assert [(one["kind"], one["hits"], one["photos"]) for one in names] == [
        ("country", 3, 4), ("admin1", 2, 3), ("city", 2, 4),
    ]  # fmt: skip


def test_a_comparison_on_the_terminal_and_as_json(
    command: Command, guesses: Path, truth: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(HEAD + "a,10,20\nb,30,40\nzz,1,2\n")
    found = command("evaluate", "compare", guesses, other, truth, "--slices", "kind,country")
    assert found.code == 0, found.stderr
    said = " ".join(found.stdout.split())
    for words in (
        "A guesses, B other against truth",
        "3 photos; without an answer, a miss everywhere: A 2, B 1",
        "Differences are B minus A",
        "<= 1 km 33.33 66.67 +33.33 1 0 1.000",
        "b no answer 0.0 km",
        "1 photo of the truth in neither A nor B: misses of both",
    ):
        assert words in said, found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80
    document = command("evaluate", "compare", guesses, other, truth, "--json").document()
    assert isinstance(document["differences"], list)
    assert document["differences"][0]["won"] == 1


def test_foreign_text_is_neither_markup_nor_control(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "t[b].csv"
    path.write_text("image_id,latitude,longitude,[red]k\na,10,20,[bold]\x1b[2J\nb,1,1,[/]\n")
    found = command("evaluate", "score", path, path, "--slices", "[red]k")
    assert found.code == 0, found.stderr
    assert "[red]k" in found.stdout
    assert "[bold]" in found.stdout
    assert "\x1b" not in found.stdout
    assert "t[b] against t[b]" in found.stdout
    found = command("evaluate", "compare", path, path, path, "--slices", "[red]k")
    assert found.code == 0, found.stderr
    assert "[bold]" in found.stdout
    assert "\x1b" not in found.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + "a,1,2\na,3,4\n", ("line 3", "photo 'a'", "as is line 2")),
        (HEAD + "q,1,2\n", ("none of the 1 predictions", "under the same ids")),
        (HEAD, ("has no rows",)),
        ("", ("lacks the column image_id",)),
        ("image_id,x,y\na,1,2\n", ("lacks the column latitude (or lat)", "it has: image_id, x, y")),
        (HEAD + "\xe9,1,2\n", ("is not UTF-8", "save it as CSV UTF-8")),
        (HEAD + "\x00\x1b[31m,1,2\n", ("none of the 1 predictions", r"\x1b[31m")),
    ],
)
def test_bad_predictions_end_in_one_line(
    content: str, said: tuple[str, ...], command: Command, tmp_path: Path, truth: Path
) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content.encode("latin-1"))
    command("evaluate", "score", path, truth).refused(2, *said)
    command("evaluate", "compare", path, path, truth).refused(2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + "a,10,20\nb,north,3\n", ("line 3 of truth", "'north'", "latitude is no number")),
        (HEAD + "a,100,20\n", ("line 2", "swapped with the longitude?", "'100'")),
        (HEAD + "a,10,20\na,10,20\n", ("line 3", "'a'", "keep one of them")),
        (HEAD + "a,,\n", ("states no position at all",)),
    ],
)
def test_bad_truth_ends_in_one_line(
    content: str, said: tuple[str, ...], command: Command, tmp_path: Path, guesses: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    command("evaluate", "score", guesses, path).refused(2, *said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--thresholds", "1,near"), ("--thresholds '1,near'",)),
        (("--thresholds", ""), ("0 thresholds",)),
        (("--distance", "flat"), ("'haversine', 'wgs84'",)),
        (("--operator", "<"), ("'le', 'lt'",)),
        (("--bootstrap", "-1"), ("-1",)),
        (("--bootstrap", "1"), ("1 resamples", "2 to 100,000, or 0 for none")),
        (("--slices", "colour"), ("no column 'colour'", "author, country, kind")),
        (("--names", "planet"), ("no name 'planet'", "country, admin1, city")),
        (("--strict",), ("1 photo without a prediction, 1 prediction of unknown photos",)),
        (("--price", "-2"), ("price -2.0",)),
    ],
)
def test_bad_options_end_in_one_line(
    options: tuple[str, ...], said: tuple[str, ...], command: Command, guesses: Path, truth: Path
) -> None:
    command("evaluate", "score", guesses, truth, *options).refused(2, *said)


def test_different_photos_are_not_compared_unasked(
    command: Command, guesses: Path, truth: Path, tmp_path: Path
) -> None:
    fewer = tmp_path / "fewer.csv"
    fewer.write_text(HEAD + "a,10,20\n")
    command("evaluate", "compare", guesses, fewer, truth).refused(
        2, "A has 2 photos and B 1", "1 in A alone (such as 'b')", "--common"
    )
    found = command("evaluate", "compare", guesses, fewer, truth, "--common", "--json").document()
    assert found["photos"] == 1


def test_missing_files_and_truth(command: Command, guesses: Path, tmp_path: Path) -> None:
    command("evaluate", "score", guesses).refused(2, "give the truth, too")
    command("evaluate", "score", tmp_path / "no.csv", guesses).refused(2, "no predictions at")
    command("evaluate", "score", guesses, tmp_path / "no.csv").refused(2, "no truth at")
    command("evaluate", "compare", guesses, guesses).refused(2, "neither A nor B is a run")


def test_as_a_program_it_writes_nothing_to_standard_error(
    home: Path, guesses: Path, truth: Path
) -> None:
    found = program("evaluate", "score", guesses, truth, home=home)
    assert found.code == 0, found.stderr
    assert found.stderr == ""


@pytest.mark.slow
def test_25_600_photos_with_both_intervals_take_seconds(home: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    points = random.uniform((-60, -180), (70, 180), (25_600, 2))
    off = (points + random.normal(0, 3, points.shape)).clip((-90, -360), (90, 360))
    authors = random.integers(0, 9_000, len(points))
    truth, guesses = tmp_path / "t.csv", tmp_path / "p.csv"
    truth.write_text("image_id,author,latitude,longitude\n" + "".join(
        f"{n},{author},{one},{other}\n"
        for n, (author, (one, other)) in enumerate(zip(authors, points, strict=True))
    ))  # fmt: skip
    guesses.write_text(HEAD + "".join(f"{n},{a},{b}\n" for n, (a, b) in enumerate(off)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = program("evaluate", "score", guesses, truth, "--distance", "wgs84", home=home)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.code == 0, found.stderr
    assert "25,600 photos, 25,600 answered" in found.stdout
    # One thread's processor time: what the clock says where nothing else runs.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
