"""A calibration goes with its recipe: chosen once, applied to belief, named wherever it counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agent.abstain import AnswerLoss
from agent.answer import Answer
from agent.availability import availability
from agent.batch_settings import settings_of
from agent.belief import believe, summarise
from agent.budget import Budget
from agent.calibration import Calibration, Reliability, write_calibration
from agent.doctor import examine
from agent.event_words import words_of
from agent.factors import Settlements
from agent.geolocator import Geolocator
from agent.graph import compile_graph, run_config
from agent.nodes import Machine
from agent.recipes import find_recipe
from agent.settings import Settings, load_settings
from agent.state import InputState
from agent.stored_calibrations import (
    chosen_calibration,
    install_calibration,
    stored_calibrations,
    stored_path,
)
from agent.trace import Event, read_trace, verify_trace
from geo.errors import ConfigError
from tests.fakes import FakeGazetteer, ScriptedDriver, plain_tool
from tests.unit.test_graph import commit, found, photo_bytes
from tools.commit import make_commit_location
from tools.photos import PhotoStore
from tools.workbench import Workbench

DOUBTED = Calibration(
    recipe="pipeline", fitted_on="towns", photos=40, sources={"match": Reliability(odds=0.001)}
)
"""Matches are hardly ever right."""
Run = Callable[..., dict[str, Any]]
PIPELINE = find_recipe("pipeline", has_model=False)


def written(folder: Path, calibration: Calibration = DOUBTED) -> Path:
    path = folder / "fitted.json"
    write_calibration(calibration, path)
    return path


class TestChoice:
    def test_the_one_that_is_named_counts(self, tmp_path: Path) -> None:
        install_calibration(DOUBTED.model_copy(update={"photos": 41}), tmp_path)
        for named in (written(tmp_path), str(written(tmp_path)), DOUBTED):
            assert chosen_calibration(named, "pipeline", tmp_path) == DOUBTED

    def test_without_one_it_is_that_of_the_recipe(self, tmp_path: Path) -> None:
        assert chosen_calibration(None, "pipeline", tmp_path) is None
        path = install_calibration(DOUBTED, tmp_path)
        assert path == stored_path(tmp_path, "pipeline")
        assert list(stored_calibrations(tmp_path)) == [path]  # nothing half-written beside it
        assert chosen_calibration(None, "pipeline", tmp_path) == DOUBTED
        assert chosen_calibration(None, "agentic", tmp_path) is None
        for named in ("none", Path("none")):
            assert chosen_calibration(named, "pipeline", tmp_path) is None

    def test_another_recipes_is_refused(self, tmp_path: Path) -> None:
        remedy = r"recipe 'pipeline', and recipe 'agentic' runs.*--calibration none"
        for named in (DOUBTED, written(tmp_path)):
            with pytest.raises(ConfigError, match=remedy):
                chosen_calibration(named, "agentic", tmp_path)
        write_calibration(DOUBTED, stored_path(tmp_path, "agentic"))
        with pytest.raises(ConfigError, match=remedy):
            chosen_calibration(None, "agentic", tmp_path)

    def test_what_cannot_be_read_is_refused_and_never_left_out(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            chosen_calibration(tmp_path / "gone.json", "pipeline", tmp_path)
        stored = stored_path(tmp_path, "pipeline")
        stored.mkdir(parents=True)
        with pytest.raises(ConfigError, match="cannot be read"):
            chosen_calibration(None, "pipeline", tmp_path)
        stored.rmdir()
        stored.symlink_to(tmp_path / "gone.json")
        with pytest.raises(ConfigError, match="cannot be read"):
            chosen_calibration(None, "pipeline", tmp_path)


class TestMachine:
    @pytest.fixture
    def run(self, settings: Settings, settlements: Settlements) -> Run:
        bench = Workbench(PhotoStore(settings.photos), (), lambda: FakeGazetteer(settlements))
        photo = bench.photos.add(photo_bytes())

        def run(**options: Any) -> dict[str, Any]:
            driver = ScriptedDriver([[("look", {})], commit])
            tools = plain_tool("look", found), make_commit_location()
            machine = Machine(bench, tools, driver, Budget(), **options)
            graph = compile_graph(machine, InMemorySaver())
            config = run_config(6) | {"configurable": {"thread_id": "1"}}
            start = InputState(photo_id=photo.id)
            parts = list(graph.stream(start, cast(Any, config), stream_mode=["custom", "values"]))
            beliefs = [
                cast(Any, part)["data"]
                for mode, part in parts
                if mode == "custom" and cast(Any, part)["kind"] == "belief"
            ]
            return dict(cast(Any, parts)[-1][1]) | {"told": beliefs}

        return run

    def test_belief_is_computed_under_it(self, run: Run, settlements: Settlements) -> None:
        sure, doubting = run(), run(calibration=DOUBTED)
        assert sure["answer"].status == "located"
        assert doubting["answer"].status == "undetermined"
        assert (sure["answer"].calibration, doubting["answer"].calibration) == ("", DOUBTED.version)
        held = believe(doubting["evidence"], settlements, DOUBTED)
        assert doubting["belief"] == summarise(held)
        assert doubting["answer"].evidence == sure["answer"].evidence  # as the tools weighed it
        assert doubting["answer"].entropy_bits > sure["answer"].entropy_bits + 5

    def test_the_trace_names_it(self, run: Run) -> None:
        assert [one["calibration"] for one in run(calibration=DOUBTED)["told"]] == [DOUBTED.version]
        assert ["calibration" in one for one in run()["told"]] == [False]

    def test_a_stated_loss_decides_what_is_located(self, run: Run) -> None:
        within = run()["answer"].within["25"]
        assert 0.6 < within < 0.99
        for abstain, status in ((0.5, "located"), (0.9 * (1 - within), "region"), (0.0, "region")):
            loss = AnswerLoss(abstain=abstain)
            answer = run(loss=loss)["answer"]
            assert (answer.status, answer.abstain) == (status, loss)
        assert run(loss=AnswerLoss(abstain=1.1 * (1 - within)))["answer"].status == "located"

    def test_the_point_is_the_recipes(self, run: Run) -> None:
        def answer(rule: str) -> Answer:
            result = run(recipe=PIPELINE.model_copy(update={"point": rule}))
            told = result["belief"]
            made: Answer = result["answer"]
            assert (told.latitude, told.longitude) == (made.latitude, made.longitude)
            return made

        loss, mean = answer("loss"), answer("mean")
        assert (loss.picked_by, mean.picked_by) == ("belief", "belief (mean)")
        assert (loss.latitude, loss.longitude) != (mean.latitude, mean.longitude)
        assert loss.within["1"] > mean.within["1"]


class TestGeolocator:
    def opened(self, settings: Settings, **options: Any) -> Geolocator:
        return Geolocator(recipe="pipeline", settings=settings, encoder=None, **options)

    def test_settings_options_and_the_recipes_own(self, settings: Settings, tmp_path: Path) -> None:
        with self.opened(settings) as plain:
            assert plain.calibration is None
            assert settings_of(plain)["calibration"] == ""
        other = DOUBTED.model_copy(update={"photos": 41})
        install_calibration(other, settings.home)
        named = settings.model_copy(update={"calibration": written(tmp_path)})
        off = settings.model_copy(update={"calibration": Path("none")})
        for given, options, expected in (
            (settings, {}, other), (named, {}, DOUBTED), (off, {}, None),
            (named, {"calibration": other}, other), (named, {"calibration": "none"}, None),
        ):  # fmt: skip
            with self.opened(given, **options) as made:
                assert made.calibration == made.machine.calibration == expected
                assert settings_of(made)["calibration"] == (expected.version if expected else "")

    def test_another_recipes_is_refused_at_opening(self, settings: Settings) -> None:
        other = DOUBTED.model_copy(update={"recipe": "agentic"})
        with pytest.raises(ConfigError, match="'agentic', and recipe 'pipeline' runs"):
            self.opened(settings, calibration=other)

    def test_loss_and_point_shape_the_rows_of_a_batch(self, settings: Settings) -> None:
        changed = {"abstain": AnswerLoss(abstain=0.1), "point": "mode"}
        with self.opened(settings.model_copy(update=changed)) as made:
            assert (made.machine.loss.abstain, made.machine.recipe.point) == (0.1, "mode")
            told = settings_of(made)
        assert (told["abstain.abstain"], told["point"]) == (0.1, "mode")

    def test_a_trace_of_a_calibrated_run_is_whole_and_names_it(
        self, settings: Settings, settlements: Settlements, tmp_path: Path
    ) -> None:
        driver = ScriptedDriver([[]] * 2)
        options = {"driver": driver, "budget": Budget(steps=2)}
        with self.opened(settings, calibration=DOUBTED, **options) as made:
            made.bench.open_gazetteer = lambda: FakeGazetteer(settlements)
            made.locate(photo_bytes(), trace=tmp_path / "trace.jsonl")
        verify_trace(tmp_path / "trace.jsonl")
        *_, last = read_trace(tmp_path / "trace.jsonl")
        assert last.data["calibration"] == DOUBTED.version


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRATICULE_CALIBRATION", "fitted.json")
    monkeypatch.setenv("GRATICULE_ABSTAIN__ABSTAIN", "0.2")
    monkeypatch.setenv("GRATICULE_POINT", "medoid")
    settings = load_settings()
    assert settings.calibration == Path("fitted.json")
    assert settings.abstain == AnswerLoss(abstain=0.2)
    assert settings.point == "medoid"
    monkeypatch.setenv("GRATICULE_ABSTAIN__ABSTAIN", "-1")
    with pytest.raises(ConfigError, match="GRATICULE_ABSTAIN__ABSTAIN"):
        load_settings()


def test_recipes_and_doctor_say_which_is_used(settings: Settings, tmp_path: Path) -> None:
    def rows(given: Settings) -> dict[str, Any]:
        return {row.recipe.name: row for row in availability(given)}

    def checks(given: Settings) -> dict[str, Any]:
        return {c.name: c for c in examine(given) if c.name.startswith("calibration")}

    assert rows(settings)["pipeline"].calibration == "none: evidence counts as its tools weigh it"
    assert "--install" in checks(settings)["calibration"].remedy
    path = install_calibration(DOUBTED, settings.home)
    stated = f"{DOUBTED.version}, fitted on 40 photos of 'towns'"
    assert rows(settings)["pipeline"].calibration == stated
    assert rows(settings)["agentic"].calibration.startswith("none")
    assert checks(settings)["calibration pipeline"].detail == f"{stated}, for recipe pipeline"
    path.write_text("{}")
    broken = rows(settings)["pipeline"]
    assert not broken.can_run
    assert "is not of format 1" in broken.missing[-1]
    assert checks(settings)["calibration pipeline"].state == "failed"
    named = settings.model_copy(update={"calibration": written(tmp_path)})
    assert rows(named)["pipeline"].can_run
    assert not rows(named)["retrieval-only"].can_run
    assert checks(named)["calibration"].state == "ok"
    off = settings.model_copy(update={"calibration": Path("none")})
    assert rows(off)["pipeline"].can_run
    assert "switched off" in checks(off)["calibration"].detail


def test_a_trace_is_read_out_with_it() -> None:
    data = {"status": "located", "km_80": 2.0, "calibration": "k1"}
    told = {"number": 1, "seconds": 0.0, "kind": "belief", "previous": "", "hash": ""}
    assert words_of(Event(data=data, **told)).endswith("80 % within 2.0 km, under calibration k1")  # type: ignore[arg-type]
    del data["calibration"]
    assert words_of(Event(data=data, **told)).endswith("80 % within 2.0 km")  # type: ignore[arg-type]
