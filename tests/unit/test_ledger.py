"""The ledger counts every photo once, and its numbers telescope."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluation.ledger
from cli.main import main
from evaluation.ledger import ALL, KS, Ledger, Level, ledger_of, ledgers_of
from evaluation.ledger_means import means_of
from evaluation.ledger_plot import draw
from evaluation.ledger_ranks import distances_km
from evaluation.metrics import Operator
from evaluation.runs import (
    ROWS,
    STAGES,
    Point,
    Run,
    RunManifest,
    RunRow,
    StageName,
    Truth,
    write_manifest,
)
from geo import sphere
from geo.errors import ConfigError, InputError

HERE: Point = (48.0, 11.0)
NEAR: Point = (48.01, 11.0)  # 1.1 km
FAR: Point = (-20.0, 30.0)
Stages = dict[StageName, tuple[Point, ...]]


def row(image_id: str, stages: Stages, answer: Point | None) -> RunRow:
    return RunRow(
        image_id=image_id,
        status="located" if answer else "undetermined",
        latitude=answer[0] if answer else None,
        longitude=answer[1] if answer else None,
        stages={**stages, "final": (answer,) if answer else ()},
    )


def failed(image_id: str) -> RunRow:
    return RunRow(image_id=image_id, status="failed", reason="no model")


def run_of(rows: Sequence[RunRow], truths: Sequence[Truth] | None = None, **other: str) -> Run:
    truths = truths or [
        Truth(image_id=one.image_id, latitude=HERE[0], longitude=HERE[1]) for one in rows
    ]
    manifest = RunManifest(
        recipe=other.get("recipe", "g3"),
        dataset=other.get("dataset", "town"),
        photos=max(1, len(truths)),
        truths=tuple(truths),
    )
    return Run(manifest=manifest, rows={one.image_id: one for one in rows})


def level_of(*rows: RunRow, km: float = 25.0) -> Level:
    (level,) = ledger_of(run_of(rows), thresholds_km=[km]).levels
    return level


class TestOnePhotoEach:
    """Photos whose fate is plain."""

    def test_fixed_broken_and_lost_are_where_they_happened(self) -> None:
        level = level_of(
            row("fixed", {"retrieval": (FAR,), "generation": (HERE,)}, HERE),
            row("broken", {"retrieval": (HERE,), "generation": (FAR,)}, FAR),
            row("picked", {"retrieval": (FAR,), "generation": (FAR, HERE)}, FAR),
            row("never", {"retrieval": (FAR,), "generation": (FAR,)}, FAR),
        )
        generation, final = level.shifts
        assert (generation.since, generation.stage) == ("retrieval", "generation")
        assert (generation.fixed, generation.broken) == (("fixed",), ("broken",))
        assert (final.fixed, final.broken) == ((), ())
        assert level.split.right == ("fixed",)
        assert level.split.lost == {"generation": ("broken",), "final": ("picked",)}
        assert level.split.never_proposed == ("never",)
        assert level.accuracy_percent == {"retrieval": 25.0, "generation": 25.0, "final": 25.0}

    def test_oracles_count_the_first_k_points(self) -> None:
        sixth = (FAR,) * 5 + (HERE,)
        level = level_of(
            row("first", {"retrieval": (HERE, FAR)}, HERE), row("sixth", {"retrieval": sixth}, FAR)
        )
        assert level.oracle["retrieval"] == {"1": 1, "5": 1, "10": 2, "20": 2, ALL: 2}

    def test_what_is_absent_or_silent_carries_the_former_list_on(self) -> None:
        level = level_of(
            row("absent", {"retrieval": (FAR, HERE)}, HERE),
            row("silent", {"retrieval": (HERE,), "generation": ()}, HERE),
            row("spoke", {"retrieval": (HERE,), "generation": (FAR,)}, HERE),
        )
        generation, final = level.shifts
        assert (generation.fixed, generation.broken) == ((), ("spoke",))
        assert final.fixed == ("absent", "spoke")
        assert level.oracle["generation"][ALL] == 2, "the list is carried on whole"

    def test_no_answer_is_a_miss_and_said_to_be_none(self) -> None:
        level = level_of(row("one", {"retrieval": (HERE,)}, None), row("two", {}, HERE))
        (final,) = level.shifts
        assert (final.broken, final.unanswered) == (("one",), 1)
        assert level.split.lost == {"final": ("one",)}

    def test_failures_stay_in_the_denominator(self) -> None:
        ledger = ledger_of(run_of([row("one", {"retrieval": (HERE,)}, HERE), failed("two")]))
        assert (ledger.photos, ledger.failed, ledger.ran) == (2, 1, {"retrieval": 1, "final": 1})
        for level in ledger.levels:
            assert level.accuracy_percent["final"] == 50.0
            assert level.split.never_proposed == ("two",)

    def test_lost_is_after_the_last_stage_that_had_it(self) -> None:
        """Retrieval had it, generation had not, the pool had it again: the pick lost it."""
        stages: Stages = {
            "retrieval": (HERE,),
            "generation": (FAR,),
            "verification": (FAR, HERE),
        }
        assert level_of(row("one", stages, FAR)).split.lost["final"] == ("one",)

    def test_without_stages_there_is_the_answer_alone(self) -> None:
        level = level_of(row("one", {}, HERE), row("two", {}, None))
        assert (level.shifts, level.split.lost) == ((), {})
        assert level.accuracy_percent == {"final": 50.0}

    def test_a_run_without_any_answer_has_a_ledger(self) -> None:
        ledger = ledger_of(run_of([failed("one"), failed("two")]))
        assert all(level.accuracy_percent == {"final": 0.0} for level in ledger.levels)

    @pytest.mark.parametrize(("operator", "right"), [("le", 1), ("lt", 0)])
    def test_exactly_at_the_threshold(self, operator: Operator, right: int) -> None:
        far = float(sphere.distance_km(*HERE, *NEAR))
        run = run_of([row("one", {}, NEAR)])
        ledger = ledger_of(run, thresholds_km=[far], operator=operator)
        assert ledger.levels[0].right == {"final": right}

    def test_distance_is_as_stated(self) -> None:
        """110.57 km of latitude on the ellipsoid, 111.19 on the sphere, at the equator."""
        truth = Truth(image_id="one", latitude=0.0, longitude=7.0)
        run = run_of([row("one", {}, (1.0, 7.0))], [truth])
        on_sphere = ledger_of(run, thresholds_km=[111], distance="haversine")
        assert ledger_of(run, thresholds_km=[111]).levels[0].right["final"] == 1
        assert on_sphere.levels[0].right["final"] == 0

    def test_antipodes_poles_and_both_sides_of_the_date_line(self) -> None:
        places: list[tuple[Point, Point, int]] = [
            ((10.0, 20.0), (-10.0, -160.0), 0),
            ((90.0, 0.0), (90.0, 137.0), 1),
            ((0.0, 180.0), (0.0, -180.0), 1),
            ((0.0, 179.99), (0.0, -179.99), 1),
        ]
        for where, point, right in places:
            truth = Truth(image_id="one", latitude=where[0], longitude=where[1])
            run = run_of([row("one", {"retrieval": (point,)}, point)], [truth])
            (level,) = ledger_of(run, thresholds_km=[25]).levels
            assert set(level.right.values()) == {right}, (where, point)


points = st.sampled_from([HERE, NEAR, FAR, (48.2, 11.0), (90.0, 0.0), (-48.0, -169.0)])
lists = st.lists(points, max_size=12).map(tuple)
rows_of_runs = st.lists(
    st.one_of(
        st.none(),
        st.tuples(
            st.dictionaries(st.sampled_from(STAGES[:-1]), lists), st.one_of(st.none(), points)
        ),
    ),
    min_size=1,
    max_size=12,
)


def made(found: list[tuple[Stages, Point | None] | None]) -> Run:
    return run_of(
        [failed(f"p{i}") if one is None else row(f"p{i}", *one) for i, one in enumerate(found)]
    )


@given(found=rows_of_runs)
@settings(max_examples=60, deadline=None)
def test_the_numbers_telescope_and_the_split_is_of_all(
    found: list[tuple[Stages, Point | None] | None],
) -> None:
    run = made(found)
    ledger = ledger_of(run, thresholds_km=[1, 25, 2500])
    for level in ledger.levels:
        answers = [one and one[1] for one in found]
        right = sum(_right(level.threshold_km, point) for point in answers)
        first = level.right[ledger.stages[0]]
        gained = sum(len(one.fixed) - len(one.broken) for one in level.shifts)
        assert first + gained == level.right["final"] == right
        split = level.split
        parts = [split.right, *split.lost.values(), split.never_proposed]
        assert sorted(i for part in parts for i in part) == sorted(run.rows)
        for counts in level.oracle.values():
            ordered = [counts[str(k)] for k in KS] + [counts[ALL]]
            assert ordered == sorted(ordered)


@given(found=rows_of_runs)
@settings(max_examples=60, deadline=None)
def test_the_same_ledger_photo_by_photo(
    found: list[tuple[Stages, Point | None] | None],
) -> None:
    """Every figure once more, in plain loops."""
    ledger = ledger_of(made(found), thresholds_km=[25])
    (level,) = ledger.levels
    oracle = {stage: dict.fromkeys((*map(str, KS), ALL), 0) for stage in ledger.stages}
    split: dict[str, list[str]] = {"right": [], "never": [], **{s: [] for s in ledger.stages[1:]}}
    for number, one in enumerate(found):
        held: tuple[Point, ...] = ()
        last = None
        for index, stage in enumerate(ledger.stages):
            answer = one[1] if one else None
            if stage == "final":
                held = (answer,) if answer else ()
            else:
                held = (one[0].get(stage) if one else None) or held
            for k in (*KS, None):
                near = any(_right(25, point) for point in held[:k])
                oracle[stage][str(k) if k else ALL] += near
            if any(_right(25, point) for point in held):
                last = index
        final = len(ledger.stages) - 1
        where = "never" if last is None else "right" if last == final else ledger.stages[last + 1]
        split[where].append(f"p{number}")
    assert oracle == level.oracle
    assert tuple(split.pop("right")) == level.split.right
    assert tuple(split.pop("never")) == level.split.never_proposed
    assert {stage: tuple(ids) for stage, ids in split.items()} == level.split.lost


def _right(km: float, point: Point | None) -> bool:
    return point is not None and float(sphere.distance_km(*HERE, *point)) <= km


@given(
    pairs=st.lists(
        st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90),
                  st.floats(-180, 180)),
        min_size=1, max_size=20,
    ),
    limit=st.floats(0.5, 20_000),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_distances_fall_on_the_side_that_the_ellipsoid_says(
    pairs: list[tuple[float, float, float, float]], limit: float
) -> None:
    import numpy as np

    table = np.array(pairs)
    exact = sphere.distance_km(*table.T)
    limits = [limit, float(exact[0]) or 1.0]
    found = distances_km(table[:, :2], table[:, 2:], limits, "wgs84")
    for one in limits:
        assert ((found <= one) == (exact <= one)).all()
        assert ((found < one) == (exact < one)).all()


def test_a_leak_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    right = row("one", {"retrieval": (HERE,)}, HERE)
    level = level_of(right)
    monkeypatch.setattr(
        evaluation.ledger, "_level", lambda *_: level.model_copy(update={"shifts": ()})
    )
    ledger_of(run_of([right]), thresholds_km=[25])
    wrong = level.model_copy(update={"right": {"retrieval": 0, "final": 1}})
    monkeypatch.setattr(evaluation.ledger, "_level", lambda *_: wrong)
    with pytest.raises(AssertionError, match="stages come to 0"):
        ledger_of(run_of([right]), thresholds_km=[25])


class TestRefused:
    """What cannot be counted is named."""

    def test_no_run_and_no_photos(self) -> None:
        with pytest.raises(InputError, match="0 runs"):
            ledgers_of([])
        empty = run_of([row("one", {}, HERE)])
        manifest = empty.manifest.model_copy(update={"truths": ()})
        with pytest.raises(InputError, match="0 photos"):
            ledger_of(Run(manifest=manifest, rows={}))

    def test_a_photo_that_is_listed_twice(self) -> None:
        truth = Truth(image_id="one", latitude=0.0, longitude=0.0)
        with pytest.raises(InputError, match="2 photos of the run are named 'one'"):
            ledger_of(run_of([row("one", {}, HERE)], [truth, truth]))

    @pytest.mark.parametrize("km", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_threshold_that_is_none(self, km: float) -> None:
        with pytest.raises(InputError, match="threshold"):
            ledger_of(run_of([row("one", {}, HERE)]), thresholds_km=[km])

    def test_an_answer_that_its_stages_do_not_end_at(self) -> None:
        changed = row("one", {}, HERE).model_copy(update={"stages": {"final": (FAR,)}})
        with pytest.raises(InputError, match="'one' is answered at"):
            ledger_of(run_of([changed]))

    def test_runs_of_other_photos_or_recipes(self) -> None:
        one = run_of([row("one", {}, HERE)])
        with pytest.raises(InputError, match="recipes 'g3' and 'dualgeo'"):
            ledgers_of([one, run_of([row("one", {}, HERE)], recipe="dualgeo")])
        with pytest.raises(InputError, match="different photos"):
            ledgers_of([one, run_of([row("two", {}, HERE)])])


class TestSeveralRuns:
    """Three seeds: mean and range."""

    def test_means_and_ranges(self) -> None:
        rows = [row("one", {"retrieval": (FAR,)}, HERE), row("two", {"retrieval": (HERE,)}, HERE)]
        worse = [rows[0], row("two", {"retrieval": (HERE,)}, FAR)]
        (mean,) = means_of(ledgers_of([run_of(rows), run_of(worse)], thresholds_km=[25]))
        final = mean.accuracy_percent["final"]
        assert (final.mean, final.least, final.most) == (75.0, 50.0, 100.0)
        assert mean.accuracy_percent["retrieval"].mean == 50.0
        assert (mean.fixed_percent["final"].mean, mean.broken_percent["final"].most) == (50.0, 50.0)

    def test_a_stage_that_one_run_lacks_is_carried_there(self) -> None:
        one = run_of([row("one", {"retrieval": (HERE,), "generation": (FAR,)}, HERE)])
        two = run_of([row("one", {"retrieval": (HERE,)}, HERE)])
        found = ledgers_of([one, two], thresholds_km=[25])
        assert {ledger.stages for ledger in found} == {("retrieval", "generation", "final")}
        assert [ledger.levels[0].right["generation"] for ledger in found] == [0, 1]


def sample() -> list[RunRow]:
    ids = [f"photo{number:02d}" for number in range(12)]
    return [
        *(row(one, {"retrieval": (HERE,), "generation": (FAR,)}, None) for one in ids),
        row("kept", {"retrieval": (HERE,)}, HERE),
        row("[red]\x1b[31m", {"retrieval": (FAR, HERE)}, FAR),
        failed("out"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "run", run_of(sample()))


def written(folder: Path, run: Run) -> Path:
    write_manifest(folder, run.manifest)
    lines = [one.model_dump_json() + "\n" for one in run.rows.values()]
    (folder / ROWS).write_text("".join(lines))
    return folder


class TestCommand:
    """`graticule evaluate ledger`."""

    def test_tables_name_what_they_are_of(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", "ledger", str(folder), "--threshold", "25", "--photos"]) == 0
        said = capsys.readouterr().out
        flat = " ".join(said.split())
        assert "g3 on town: 15 photos" in said
        assert "WGS84 ellipsoid; right means distance <= threshold" in flat
        assert "1 failed, 12 answered without a place: a miss everywhere" in flat
        assert "retrieval 86.7" in flat
        assert "+0 −12" in said
        assert "broken at generation (12): photo00, photo01" in said
        assert "photo09 and 2 more, which --json names" in said
        assert "photo10" not in said
        assert "\x1b[31m" not in said

    def test_json_names_every_photo(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", "ledger", str(folder), "--json", "--operator", "lt"]) == 0
        found = json.loads(capsys.readouterr().out)
        (told,) = found["runs"]
        assert told.pop("run") == str(folder)
        ledger = Ledger.model_validate_json(json.dumps(told))
        assert ledger == ledger_of(Run.read(folder), operator="lt")
        assert [level.threshold_km for level in ledger.levels] == [1, 25, 200, 750, 2500]
        assert len(ledger.levels[1].shifts[0].broken) == 12
        assert found["means"] is None

    def test_an_incomplete_run_says_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        whole = run_of(sample())
        part = dict(list(whole.rows.items())[-3:])
        folder = written(tmp_path / "part", Run(manifest=whole.manifest, rows=part))
        assert main(["evaluate", "ledger", str(folder), "--threshold", "25"]) == 0
        assert "12 not reached yet" in capsys.readouterr().out

    def test_several_runs(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [*sample()[:-2], failed(sample()[-2].image_id), failed("out")]
        other = written(tmp_path / "other", run_of(rows))
        assert main(["evaluate", "ledger", str(folder), str(other), "--threshold", "25"]) == 0
        said = capsys.readouterr().out
        assert "2 runs" in said
        assert "Run 2: 2 failed" in said
        assert "lost at the final pick" in said

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--plot", "x.pdf"], "end its name in .svg or .png"),
            (["--threshold", "0"], "more than 0"),
        ],
    )
    def test_refusals(
        self,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        words: str,
    ) -> None:
        assert main(["evaluate", "ledger", str(folder), *arguments]) == 2
        captured = capsys.readouterr()
        assert words in captured.err
        assert captured.out == ""

    def test_no_run_and_the_same_twice(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", "ledger", str(tmp_path / "none")]) == 2
        assert "holds no run" in capsys.readouterr().err
        assert main(["evaluate", "ledger", str(folder), f"{folder}/."]) == 2
        assert "given twice" in capsys.readouterr().err


class TestPlot:
    """The waterfall."""

    def test_it_is_what_its_name_says_and_the_same_again(
        self, folder: Path, tmp_path: Path
    ) -> None:
        pytest.importorskip("matplotlib")
        plot = tmp_path / "waterfall.svg"
        arguments = ["evaluate", "ledger", str(folder), "--threshold", "25", "--plot", str(plot)]
        assert main(arguments) == 0
        first = plot.read_bytes()
        assert first.startswith(b"<?xml")
        assert main(arguments) == 0, "its own plot is replaced"
        assert plot.read_bytes() == first
        notes = tmp_path / "notes.svg"
        notes.write_text("mine")
        assert main([*arguments[:-1], str(notes)]) == 2
        assert notes.read_text() == "mine"

    def test_foreign_names_and_a_lone_stage_are_drawn(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        run = run_of([row("one", {}, HERE)], dataset="日本 $x^{$ \U0001f600", recipe="g3")
        path = tmp_path / "one.png"
        draw(ledgers_of([run], thresholds_km=[25]), path)
        assert path.read_bytes().startswith(b"\x89PNG")

    def test_without_matplotlib_the_command_that_brings_it_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
        with pytest.raises(ConfigError, match=r"graticule\[evaluation\]"):
            draw(ledgers_of([run_of([row("one", {}, HERE)])]), tmp_path / "one.png")
