"""Recipes on the command line: from nothing to an answer, and what is said where one lacks."""

import json
from pathlib import Path

import pytest

from agent.answer import Answer
from encoders.saved import save_encoder
from tests.end_to_end.conftest import Command
from tests.integration.recipe_samples import encoder_of, original, says, write_world
from tests.openai_stub import OpenAIStub
from tests.openai_stub import says as replies
from tests.unit.encoder_samples import tiny_backbone

HERE = (50.5, 8.25)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    original().save(tmp_path / "query.png")
    return tmp_path / "query.png"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "NAME"):
        monkeypatch.delenv(f"GRATICULE_MODEL__{name}", raising=False)


def trained(folder: Path, family: str) -> Path:
    """Save a tiny encoder as `graticule train` would."""
    save_encoder(folder / family, encoder_of(family).heads, tiny_backbone())
    return folder / family


GET_G3 = ("graticule weights get g3", "graticule gallery build SOURCE --encoder g3 --out GALLERY")
GET_SIGLIP = ("graticule weights get siglip", "gallery build SOURCE --encoder siglip")


@pytest.mark.parametrize(
    ("recipe", "remedies"),
    [
        ("g3", ("GRATICULE_MODEL__URL", *GET_G3)),
        ("street-rag", ("GRATICULE_MODEL__URL", *GET_SIGLIP)),
        (
            "transgeoclip",
            ("GRATICULE_MODEL__URL", "graticule train transgeoclip --data", "--encoder FOLDER"),
        ),
        ("dualgeo", ("GRATICULE_MODEL__URL", "graticule train dualgeo --data", "--encoder FOLDER")),
        ("continent", ("graticule train cellcodes --data", "graticule gallery cells GALLERY")),
    ],
)
def test_nothing_is_here(
    recipe: str, remedies: tuple[str, ...], command: Command, photo: Path, bare: None
) -> None:
    outcome = command("locate", photo, "--recipe", recipe)
    outcome.refused(2, f"recipe {recipe!r} cannot run here", *remedies)
    assert "recipe 'pipeline' works without" in outcome.stderr
    table = command("recipes").stdout
    for remedy in remedies:
        assert remedy.split(" --")[0] in " ".join(table.split())


def test_agentic_lacks_a_model_alone(command: Command, photo: Path, bare: None) -> None:
    outcome = command("locate", photo, "--recipe", "agentic")
    outcome.refused(3, "GRATICULE_MODEL__URL", "recipe 'pipeline' works without")


def test_a_recipe_that_is_none(command: Command, photo: Path) -> None:
    command("locate", photo, "--recipe", "g4").refused(2, "'g4'", "g3", "dualgeo", "auto")


def test_no_trajectories_where_no_model_calls_tools(command: Command, photo: Path) -> None:
    command("locate", photo, "--recipe", "pipeline", "--trajectories", "3").refused(
        2, "3 trajectories asked for, limit 1 with recipe 'pipeline'", "recipe 'agentic'"
    )


def test_a_download_is_of_the_recipes_own_weights(
    command: Command, photo: Path, bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[str] = []
    monkeypatch.setattr(
        "cli.download_progress.get_with_progress", lambda name, *rest, **more: got.append(name)
    )
    command("locate", photo, "--recipe", "g3", "--download")
    assert sorted(got) == ["clip-vit-l-14", "g3"]
    got.clear()
    command("locate", photo, "--recipe", "street-rag", "--download")
    assert [name.partition("-")[0] for name in got] == ["siglip2"]


def test_from_nothing_to_an_answer_and_no_further(
    command: Command, photo: Path, tmp_path: Path, bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, encoder = write_world(tmp_path / "world", 12), trained(tmp_path, "siglip")
    built = command("gallery", "build", world, "--encoder", encoder, "--out", tmp_path / "town")
    assert built.code == 0, built.stderr
    with OpenAIStub([replies(says(*HERE))]) as stub:
        given = ("--gallery", tmp_path / "town", "--model-url", stub.settings().url)
        answer = command("locate", photo, "--recipe", "street-rag", *given, "--json").document()
        assert (answer["recipe"], answer["driver"]) == ("street-rag", "stub-vl")
        assert (answer["latitude"], answer["longitude"]) == pytest.approx(HERE)
        assert answer["picked_by"] == "the model's answer"
        assert len(stub.bodies) == 1
        # Places are embedded for recipes that search them alone.
        assert not list((tmp_path / "home").glob("places*"))
        shown = command("locate", photo, "--recipe", "street-rag", *given)
        assert "The point is the model's answer (recipe street-rag)" in " ".join(
            shown.stdout.split()
        )
        # Another family's gallery is no gallery of that recipe.
        command("locate", photo, "--recipe", "g3", *given).refused(
            2, "'town' was made by siglip", *GET_G3, "recipe 'agentic' works without"
        )
        monkeypatch.setenv("GRATICULE_MODEL__URL", stub.settings().url)
        listed = command("recipes", "--gallery", tmp_path / "town", "--json").stdout
    runs = {row["recipe"]["name"] for row in json.loads(listed) if row["can_run"]}
    assert runs == {"agentic", "pipeline", "retrieval-only", "street-rag"}


def test_cells_from_nothing_to_an_answer_without_a_model(
    command: Command, photo: Path, tmp_path: Path, bare: None
) -> None:
    world, encoder = write_world(tmp_path / "world", 12), trained(tmp_path, "cellcodes")
    town, cells = tmp_path / "town", tmp_path / "cells"
    built = command("gallery", "build", world, "--encoder", encoder, "--out", town)
    assert built.code == 0, built.stderr
    made = command("gallery", "cells", town, "--out", cells)
    assert made.code == 0, made.stderr
    answer = command(
        "locate", photo, "--recipe", "continent", "--gallery", cells, "--json"
    ).document()
    assert answer["picked_by"] == "what was retrieved first"
    best = Answer.model_validate_json(json.dumps(answer)).evidence[0].candidates[0]
    assert (answer["latitude"], answer["longitude"]) == (best.latitude, best.longitude)
    assert answer["driver"] == "pipeline"
    # Photos are no cells.
    command("locate", photo, "--recipe", "continent", "--gallery", town).refused(
        2, "'town' holds photos", "graticule gallery cells GALLERY --out CELLS"
    )


def test_the_page_has_every_recipe_and_commands_that_exist() -> None:
    import click

    from agent.recipes import RECIPES
    from cli.main import cli

    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    for recipe in RECIPES:
        assert f"\n## `{recipe.name}`\n" in page
        assert not recipe.source or recipe.source.rpartition("arXiv:")[2] in page
    lines = [line.partition("#")[0].split() for line in page.splitlines()]
    commands = [line[1:] for line in lines if line[:1] == ["graticule"]]
    assert len(commands) > 20
    for words in commands:
        command: click.Command = cli
        context = click.Context(cli)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        known = {option for one in command.params for option in one.opts}
        assert {word for word in words if word.startswith("--")} <= known
