"""Which recipes can run on this machine, what each lacks, and the command that gets it.

Looks at settings, at files and at what galleries say of themselves; loads nothing.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.gallery_family import HeldGallery, held_gallery, look_at
from agent.recipes import RECIPES, Recipe
from agent.settings import Settings
from agent.stored_calibrations import chosen_calibration, in_words
from agent.worldwide import AUTO, NONE, PACKAGES
from encoders.families import FAMILIES
from encoders.identity import PUBLISHED_FAMILIES, tell_encoder
from encoders.photo_file import printable
from encoders.weights import catalogue
from geo.errors import ConfigError, InputError, UnavailableError
from tools.evidence import Record

if TYPE_CHECKING:
    from encoders.base import AlignedEncoder
    from index_builder.gallery import Gallery

INSTALL = "pip install 'graticule[encoders]'"
PROVIDERS = "pip install 'graticule[providers]'"
MODEL_REMEDY = "set GRATICULE_MODEL__URL to an OpenAI-compatible server"
SHOWN_GALLERIES = 3


class Availability(Record):
    """One recipe on this machine.

    Attributes:
        can_run: whether everything it needs is here.
        needs: everything it needs, in words.
        missing: what of that is not here, each in one line with its remedy.
        calibration: that it applies here, in words.
    """

    recipe: Recipe
    can_run: bool
    needs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    calibration: str = ""


class _Lack(NamedTuple):
    """Something that keeps a recipe from running."""

    text: str
    given: bool = False
    """Whether what was given is wrong; otherwise something is not there."""


class _Given(NamedTuple):
    """What was said of the encoder for worldwide search."""

    name: str
    """`auto` and `none` among them."""
    family: str = ""
    """Empty where only loading it would tell."""
    loaded: bool = False
    """Whether it is an encoder already, not the name of one."""

    @property
    def named(self) -> bool:
        """Whether one was named, not left to us or done without."""
        return self.name not in (AUTO, NONE)


@dataclass(frozen=True)
class _Here:
    """What recipes are measured against."""

    model_lack: str
    galleries: tuple[HeldGallery, ...]
    encoder: "_Given"
    lacking: dict[str, str]
    """Name in the catalogue of weights -> what to do to have it, for those that are not here."""


def availability(
    settings: Settings, galleries: Sequence[Path | str] = (), encoder: str = AUTO
) -> list[Availability]:
    """Return every recipe, in the order of the table, with what it needs and lacks.

    Args:
        settings: of this machine.
        galleries: folders or addresses of those that would be searched.
        encoder: that would be given for worldwide search.

    Raises:
        InputError: one of the galleries is none, or the encoder's card is damaged.
        UnavailableError: a Qdrant server does not answer.
    """
    key = settings.qdrant_api_key.get_secret_value() or None
    held = tuple(look_at(place, key) for place in galleries)
    here = _Here(_model_lack(settings), held, _given(encoder), _lacking(settings.home))
    rows = []
    for recipe in RECIPES:
        missing = tuple(lack.text for lack in _lacks(recipe, here))
        calibration, trouble = _calibration(recipe, settings)
        missing += (trouble,) if trouble else ()
        rows.append(
            Availability(
                recipe=recipe,
                can_run=not missing,
                needs=_needs(recipe),
                missing=missing,
                calibration=calibration,
            )
        )
    return rows


def _calibration(recipe: Recipe, settings: Settings) -> tuple[str, str]:
    """Return the calibration that a recipe applies here, or why it cannot run with it."""
    try:
        return in_words(chosen_calibration(settings.calibration, recipe.name, settings.home)), ""
    except ConfigError as error:
        return "", str(error)


def check_recipe(
    recipe: Recipe,
    *,
    has_model: bool,
    galleries: "Sequence[Gallery]" = (),
    encoder: "str | Path | AlignedEncoder | None" = AUTO,
    home: Path | None = None,
) -> None:
    """Refuse a recipe that cannot run: with what is missing, how to get it, and what runs without.

    Args:
        recipe: that is asked for.
        has_model: whether a chat model drives the run.
        galleries: open ones.
        encoder: that was given for worldwide search; `auto` leaves it to the recipe.
        home: data folder, with the weights; the usual one by default.

    Raises:
        InputError: a gallery or an encoder is missing or is of another family.
        UnavailableError: a model, weights or packages are missing.
    """
    from geo.paths import home as usual_home

    held = tuple(held_gallery(gallery.name, gallery.manifest) for gallery in galleries)
    model_lack = "" if has_model else _no_model()
    here = _Here(model_lack, held, _given(encoder), _lacking(home or usual_home()))
    lacks = list(_lacks(recipe, here))
    if not lacks:
        return
    said = "; ".join(lack.text for lack in lacks)
    message = f"recipe {recipe.name!r} cannot run here: {said}; {_instead(recipe, here)}"
    raise InputError(message) if any(lack.given for lack in lacks) else UnavailableError(message)


def searched(
    recipe: Recipe, galleries: "Sequence[Gallery]"
) -> "tuple[tuple[Gallery, ...], tuple[str, ...]]":
    """Return the galleries that a recipe searches, and a line for each other one that is open.

    A published system searches what its own encoder made: hits of another encoder would change
    its references, and with them its answers.
    """
    if not recipe.galleries:
        return tuple(galleries), ()
    kept, left_out = [], []
    for gallery in galleries:
        held = held_gallery(gallery.name, gallery.manifest)
        if _fits(recipe, held):
            kept.append(gallery)
        else:
            wanted = _wanted(recipe)
            left_out.append(
                f"gallery {_misfit(held, recipe)}: not searched, recipe {recipe.name!r} searches "
                f"{wanted} alone; recipes 'agentic' and 'pipeline' search all"
            )
    return tuple(kept), tuple(left_out)


def recipe_encoder(
    recipe: Recipe,
    galleries: "Sequence[Gallery]" = (),
    encoder: "str | Path | AlignedEncoder | None" = AUTO,
) -> "str | Path | AlignedEncoder | None":
    """Return the encoder that a recipe scores places with: `auto` is that of its own family.

    That is what made the gallery it searches, else the family's published weights; `auto` stays
    where a recipe takes any family, or where neither is to be had.
    """
    if encoder != AUTO or not recipe.family:
        return encoder
    held = [held_gallery(gallery.name, gallery.manifest) for gallery in galleries]
    loads = [one.load for one in held if _fits(recipe, one)]
    published = [recipe.family] if recipe.family in PUBLISHED_FAMILIES else []
    return next(iter([*loads, *published]), AUTO)


def _lacking(home: Path) -> dict[str, str]:
    return {
        row.name: f"weights {row.name} ({row.size}): {row.remedy.partition('; or put')[0]}"
        for row in catalogue(home)
        if not row.present
    }


def _model_lack(settings: Settings) -> str:
    if not settings.model.configured:
        return _no_model()
    if settings.model.provider != "openai" and importlib.util.find_spec("langchain") is None:
        provider = printable(settings.model.provider, 60)
        return f"provider {provider!r} needs the langchain package; {PROVIDERS}"
    return ""


def _no_model() -> str:
    return f"no chat model is configured; {MODEL_REMEDY}"


def _needs(recipe: Recipe) -> tuple[str, ...]:
    needs = ["a chat model"] if recipe.needs_model else []
    if recipe.galleries:
        needs.append(f"a gallery of {_wanted(recipe)}")
    if recipe.family in PUBLISHED_FAMILIES:
        needs.append(f"weights {' and '.join(PUBLISHED_FAMILIES[recipe.family])}, and torch")
    elif recipe.family:
        needs.append(f"an encoder of family {recipe.family} that you trained, and torch")
    return tuple(needs)


def _lacks(recipe: Recipe, here: _Here) -> Iterator[_Lack]:
    if recipe.needs_model and here.model_lack:
        yield _Lack(here.model_lack)
    if not recipe.family and not recipe.galleries:
        return
    fitting = [held for held in here.galleries if _fits(recipe, held)]
    yield from _encoder_lacks(recipe, here.encoder)
    if recipe.family and not here.encoder.loaded:
        yield from map(_Lack, _unloadable(recipe, here, fitting))
    if recipe.galleries and not fitting:  # after the encoder, which building it needs
        yield _Lack(_no_gallery(recipe, here), given=True)


def _fits(recipe: Recipe, held: HeldGallery) -> bool:
    return held.kind in recipe.galleries and recipe.family in ("", held.family)


def _given(encoder: "str | Path | AlignedEncoder | None") -> _Given:
    if encoder is None:
        return _Given(NONE)
    if isinstance(encoder, str | Path):
        return _Given(str(encoder), tell_encoder(encoder).family)
    card = encoder.card
    return _Given(card.name, card.family or (card.name if card.name in FAMILIES else ""), True)


def _encoder_lacks(recipe: Recipe, encoder: _Given) -> Iterator[_Lack]:
    """Yield what speaks against the encoder that was given, or against going without."""
    if recipe.verify and encoder.name == NONE:
        yield _Lack(
            f"it scores candidates with an encoder of family {recipe.family} and none was to be "
            "used; leave --encoder none out",
            given=True,
        )
    if encoder.named and encoder.family not in ("", recipe.family):
        yield _Lack(
            f"encoder {printable(encoder.name)!r} is of family {encoder.family}, it needs "
            f"{recipe.family}; leave --encoder out or give one of that family",
            given=True,
        )


def _no_gallery(recipe: Recipe, here: _Here) -> str:
    """Say that no gallery fits, why those that are open do not, and how to build one."""
    others = [_misfit(held, recipe) for held in here.galleries[:SHOWN_GALLERIES]]
    why = f" ({'; '.join(others)})" if others else ""
    given = recipe.family if recipe.family in PUBLISHED_FAMILIES else "FOLDER"
    build = f"graticule gallery build SOURCE --encoder {given} --out GALLERY"
    if "photos" not in recipe.galleries:
        build += " and graticule gallery cells GALLERY --out CELLS"
    return (
        f"no gallery of {_wanted(recipe)} is open{why}; build one: {build}, and name it: --gallery"
    )


def _wanted(recipe: Recipe) -> str:
    made = f" made by {recipe.family}" if recipe.family else ""
    return " or ".join(recipe.galleries) + made


def _misfit(held: HeldGallery, recipe: Recipe) -> str:
    shown = f"{held.name!r} holds {held.kind}"
    if held.kind not in recipe.galleries:
        return shown
    if held.family:
        return f"{held.name!r} was made by {held.family}"
    return f"{held.name!r} does not tell the family of its encoder {printable(held.made_by, 60)!r}"


def _unloadable(recipe: Recipe, here: _Here, fitting: Sequence[HeldGallery]) -> list[str]:
    """Return what keeps the recipe's encoder from loading, by the easiest of its ways."""
    ways = [_way(load, here) for load in _loads(recipe, here, fitting)]
    if ways:
        return min(ways, key=len)
    train = f"graticule train {recipe.family} --data SOURCE --out FOLDER"
    return [f"no weights of {recipe.family} were published; train one: {train}", *_packages()]


def _loads(recipe: Recipe, here: _Here, fitting: Sequence[HeldGallery]) -> list[str]:
    """Return what an encoder of the recipe's family could be loaded by."""
    if fitting:
        return [held.load for held in fitting]
    if here.encoder.named and here.encoder.family == recipe.family:
        return [here.encoder.name]
    return [recipe.family] if recipe.family in PUBLISHED_FAMILIES else []


def _way(load: str, here: _Here) -> list[str]:
    """Return what keeps an encoder of a name, a folder or an address from loading."""
    try:
        told = tell_encoder(load)
    except InputError as error:
        return [str(error)]
    if told.torch and not told.family:
        return [
            f"the encoder {printable(load)!r} is not on this machine; copy its folder there, or "
            "build the gallery again with one that is"
        ]
    found = [here.lacking[name] for name in told.weights if name in here.lacking]
    return [*found, *(_packages() if told.torch else [])]


def _packages() -> list[str]:
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return [f"{' and '.join(absent)} not installed; {INSTALL}"] if absent else []


def _instead(recipe: Recipe, here: _Here) -> str:
    """Name a recipe that runs with what is here: the default one, as far as possible."""
    names = [other.name for other in RECIPES if other != recipe and not any(_lacks(other, here))]
    return f"recipe {names[0]!r} works without" if names else "no recipe works without"
