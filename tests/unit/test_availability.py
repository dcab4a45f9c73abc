"""What a recipe needs is told apart from what is here, and the command that gets it is named."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import JsonValue

from agent.availability import (
    Availability,
    availability,
    check_recipe,
    recipe_encoder,
)
from agent.gallery_family import gallery_family
from agent.model_settings import ModelSettings
from agent.recipes import RECIPES, find_recipe
from agent.settings import Settings
from agent.worldwide import NEEDED
from encoders.base import EncoderCard
from encoders.identity import PUBLISHED_FAMILIES, EncoderIs, tell_encoder
from encoders.saved_card import SavedBackbone, SavedCard
from encoders.weights import published
from geo.errors import GeolocationError, InputError, UnavailableError
from index_builder.gallery import Gallery
from index_builder.manifest import EncoderIdentity, Kind, Manifest

CLIP = "clip-vit-l-14"
Weights = Callable[..., None]


@pytest.fixture
def weights(settings: Settings) -> Weights:
    """Put files of the right size where downloads would lie; they take no space."""

    def put(*names: str) -> None:
        for name in names:
            for file in published(name).files:
                path = settings.home / "weights" / name / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                os.truncate(path, file.size or 10)

    return put


def with_model(settings: Settings) -> Settings:
    return settings.model_copy(update={"model": ModelSettings(url="http://127.0.0.1:9/v1")})


def manifest(
    family: str = "", *, kind: Kind = "photos", load: str = "", name: str = "ours"
) -> Manifest:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    encoder = EncoderIdentity(
        name=name, fingerprint="a" * 64, spaces={"gps": 8}, load=load or family, family=family
    )
    return Manifest(kind=kind, encoder=encoder, created=now, updated=now)


def open_gallery(found: Manifest, name: str = "town") -> Gallery:
    """What `check_recipe` looks at of an open gallery."""
    return cast("Gallery", SimpleNamespace(name=name, manifest=found))


def write_card(folder: Path, family: str, *, name: str = "ours", **config: JsonValue) -> Path:
    card = SavedCard(
        name=name,
        family=family,
        config=config,
        backbone=SavedBackbone(name=CLIP, fingerprint="b" * 64),
        heads_sha256="c" * 64,
    )
    folder.mkdir()
    (folder / "card.json").write_text(card.model_dump_json())
    return folder


def row(name: str, settings: Settings, *galleries: Path, encoder: str = "auto") -> Availability:
    rows = {one.recipe.name: one for one in availability(settings, galleries, encoder)}
    assert list(rows) == [recipe.name for recipe in RECIPES]
    return rows[name]


def refusal(recipe: str, settings: Settings, **given: Any) -> GeolocationError:
    given.setdefault("has_model", True)
    with pytest.raises(GeolocationError) as caught:
        check_recipe(find_recipe(recipe, has_model=True), home=settings.home, **given)
    assert "\n" not in str(caught.value)
    return caught.value


class TestOnABareMachine:
    def test_what_needs_nothing_runs(self, settings: Settings) -> None:
        runs = {one.recipe.name for one in availability(settings) if one.can_run}
        assert runs == {"pipeline", "retrieval-only"}
        assert row("pipeline", settings).needs == ()

    def test_a_model_is_all_that_the_default_lacks(self, settings: Settings) -> None:
        (missing,) = row("agentic", settings).missing
        assert "GRATICULE_MODEL__URL" in missing
        assert row("agentic", with_model(settings)).can_run

    def test_published_weights_are_got_by_a_command(self, settings: Settings) -> None:
        missing = " ".join(row("g3", with_model(settings)).missing)
        assert "graticule weights get g3" in missing
        assert f"graticule weights get {CLIP}" in missing
        assert "graticule gallery build SOURCE --encoder g3" in missing
        assert "graticule train" not in missing

    @pytest.mark.parametrize("family", ["transgeoclip", "dualgeo"])
    def test_weights_that_nobody_published_are_trained(
        self, family: str, settings: Settings
    ) -> None:
        missing = " ".join(row(family, with_model(settings)).missing)
        assert f"no weights of {family} were published" in missing
        assert f"graticule train {family} --data" in missing
        assert "weights get" not in missing

    def test_another_provider_needs_a_package(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        model = ModelSettings(name="some", provider="anthropic")
        other = settings.model_copy(update={"model": model})
        assert "graticule[providers]" in " ".join(row("agentic", other).missing)
        assert row("agentic", with_model(settings)).can_run

    def test_without_torch_the_extra_is_named(
        self, settings: Settings, weights: Weights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weights("g3", CLIP)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert "graticule[encoders]" in " ".join(row("g3", with_model(settings)).missing)


class TestGalleries:
    """A gallery fits where it holds the right things and the right family made it."""

    def test_all_that_g3_needs(self, settings: Settings, weights: Weights) -> None:
        weights("g3", CLIP)
        check_recipe(
            find_recipe("g3", has_model=True),
            has_model=True,
            galleries=[open_gallery(manifest("g3"))],
            home=settings.home,
        )

    def test_its_weights_are_still_needed(self, settings: Settings) -> None:
        error = refusal("g3", settings, galleries=[open_gallery(manifest("g3"))])
        assert isinstance(error, UnavailableError)
        assert "graticule weights get g3" in str(error)
        assert "recipe 'agentic' works without" in str(error)

    def test_another_encoders_gallery_does_not_fit(
        self, settings: Settings, weights: Weights
    ) -> None:
        weights("g3", CLIP)
        error = refusal("g3", settings, galleries=[open_gallery(manifest("geoclip"))])
        assert isinstance(error, InputError)
        assert "'town' was made by geoclip" in str(error)
        assert "graticule gallery build SOURCE --encoder g3" in str(error)
        assert "weights get" not in str(error)

    def test_nor_does_another_kind(self, settings: Settings, weights: Weights) -> None:
        weights("g3", CLIP)
        cells = open_gallery(manifest("g3", kind="cells"))
        assert "'town' holds cells" in str(refusal("g3", settings, galleries=[cells]))

    def test_one_that_fits_is_enough(self, settings: Settings, weights: Weights) -> None:
        weights("g3", CLIP)
        both = [open_gallery(manifest("geoclip")), open_gallery(manifest("g3"))]
        recipe = find_recipe("g3", has_model=True)
        check_recipe(recipe, has_model=True, galleries=both, home=settings.home)

    def test_cells_are_made_of_photos(self, settings: Settings) -> None:
        error = refusal("continent", settings, galleries=[open_gallery(manifest("cellcodes"))])
        assert "graticule gallery cells" in str(error)

    def test_a_folder_that_made_it_has_to_be_here(self, settings: Settings, tmp_path: Path) -> None:
        gone = manifest("dualgeo", load=str(tmp_path / "gone"))
        assert "is not on this machine" in str(
            refusal("dualgeo", settings, galleries=[open_gallery(gone)])
        )

    def test_a_service_needs_nothing_here(self, settings: Settings) -> None:
        remote = manifest("dualgeo", load="http://127.0.0.1:9")
        recipe = find_recipe("dualgeo", has_model=True)
        check_recipe(recipe, has_model=True, galleries=[open_gallery(remote)], home=settings.home)

    def test_named_folders_count_for_the_table(
        self, settings: Settings, weights: Weights, tmp_path: Path
    ) -> None:
        weights("g3", CLIP)
        (tmp_path / "town").mkdir()
        (tmp_path / "town" / "manifest.json").write_text(manifest("g3").model_dump_json())
        assert not row("g3", with_model(settings)).can_run
        assert row("g3", with_model(settings), tmp_path / "town").can_run
        with pytest.raises(InputError, match="no gallery at"):
            availability(settings, [tmp_path / "absent"])


class TestEncoders:
    def test_an_encoder_of_another_family_is_refused(self, settings: Settings) -> None:
        error = refusal("g3", settings, encoder="geoclip")
        assert "'geoclip' is of family geoclip, it needs g3" in str(error)

    def test_what_scores_by_an_encoder_does_not_go_without(
        self, settings: Settings, weights: Weights
    ) -> None:
        weights("g3", CLIP)
        galleries = [open_gallery(manifest("g3"))]
        for none in ("none", None):
            said = str(refusal("g3", settings, encoder=none, galleries=galleries))
            assert "leave --encoder none out" in said

    def test_a_recipe_that_needs_no_family_takes_any(self, settings: Settings) -> None:
        for encoder in ("geoclip", "none", None, "auto", "http://127.0.0.1:9"):
            recipe = find_recipe("agentic", has_model=True)
            check_recipe(recipe, has_model=True, encoder=encoder, home=settings.home)

    def test_an_encoder_in_memory_is_known_by_its_card(self, settings: Settings) -> None:
        card = EncoderCard(name="mine", fingerprint="a" * 64, spaces={"gps": 8}, family="g3")
        held: Any = SimpleNamespace(card=card)
        galleries = [open_gallery(manifest("g3"))]
        recipe = find_recipe("g3", has_model=True)
        check_recipe(recipe, has_model=True, encoder=held, galleries=galleries, home=settings.home)
        assert "of family g3" in str(refusal("dualgeo", settings, encoder=held))

    def test_auto_is_the_recipes_own_family(self) -> None:
        g3, dualgeo, any_family = (
            find_recipe(name, has_model=True) for name in ("g3", "dualgeo", "agentic")
        )
        trained = [open_gallery(manifest("geoclip")), open_gallery(manifest("g3", load="/mine"))]
        assert recipe_encoder(g3, trained) == "/mine"
        assert recipe_encoder(g3, trained, "none") == "none"
        assert recipe_encoder(g3) == "g3"
        assert recipe_encoder(dualgeo, trained) == "auto"
        assert recipe_encoder(any_family, trained) == "auto"

    def test_without_a_model_one_that_needs_none_is_named(self, settings: Settings) -> None:
        error = refusal("agentic", settings, has_model=False)
        assert isinstance(error, UnavailableError)
        assert str(error).endswith("recipe 'pipeline' works without")


class TestFamily:
    """The family is what was saved, not what the owner called it."""

    def test_a_saved_encoder_under_another_name(self, tmp_path: Path) -> None:
        folder = write_card(tmp_path / "e", "g3", name="holiday")
        assert tell_encoder(folder) == EncoderIs("g3", (CLIP,), "holiday")

    def test_segmentation_needs_its_segmenter(self, tmp_path: Path) -> None:
        assert tell_encoder(write_card(tmp_path / "a", "dualgeo")).weights == (
            CLIP,
            "upernet-convnext-tiny",
        )
        plain = write_card(tmp_path / "b", "dualgeo", segments=False)
        assert tell_encoder(plain).weights == (CLIP,)

    def test_names_and_addresses(self, tmp_path: Path) -> None:
        assert tell_encoder("siglip2-b-16") == EncoderIs("siglip", ("siglip2-b-16",))
        assert tell_encoder("http://127.0.0.1:9").family == ""
        assert tell_encoder(tmp_path / "absent").family == ""
        assert {name: PUBLISHED_FAMILIES[name] for name in NEEDED} == NEEDED

    def test_a_gallery_states_it(self) -> None:
        assert gallery_family(manifest("g3", name="holiday", load="/gone")) == "g3"

    def test_an_older_gallery_tells_by_its_encoders_folder(self, tmp_path: Path) -> None:
        folder = write_card(tmp_path / "e", "g3", name="holiday")
        assert gallery_family(manifest(load=str(folder), name="holiday")) == "g3"
        assert gallery_family(manifest(load=str(folder), name="another one")) == ""
        assert gallery_family(manifest(load=str(tmp_path / "gone"), name="dualgeo")) == "dualgeo"

    def test_a_damaged_card_tells_nothing(self, tmp_path: Path, settings: Settings) -> None:
        folder = write_card(tmp_path / "e", "g3")
        (folder / "card.json").write_text("{")
        older = manifest(load=str(folder))
        assert gallery_family(older) == ""
        said = str(refusal("g3", settings, galleries=[open_gallery(older)]))
        assert "'town' does not tell the family of its encoder 'ours'" in said
        with pytest.raises(InputError, match="damaged"):
            availability(settings, encoder=str(folder))


def test_the_command_lists_all_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from cli.main import main; code = main(['recipes', '--json']);"
        "print(sorted({'torch', 'open_clip', 'langgraph', 'cv2'} & set(sys.modules)),"
        " file=sys.stderr); sys.exit(code)"
    )
    environment = {**os.environ, "GRATICULE_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.strip() == "[]"
    rows = json.loads(result.stdout)
    assert [one["recipe"]["name"] for one in rows] == [recipe.name for recipe in RECIPES]
    assert all(one["can_run"] is not bool(one["missing"]) for one in rows)


@pytest.mark.parametrize("width", ["80", "140"])
def test_the_table_fits_its_terminal(
    width: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from cli.main import main

    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("GRATICULE_HOME", str(settings.home))
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= int(width)
    for recipe in RECIPES:
        assert f"\n{recipe.name} " in printed
