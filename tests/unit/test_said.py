"""What people say is read as claims and denials, as surely as it is said."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.demonyms import countries_of_word
from geo.gazetteer import Gazetteer
from geo.regions import country_codes
from geo.world_regions import find_world_region
from tests.unit.said_samples import DENIED_IN, LATE_DENIALS, MESSAGES, NO_POINTS, POINTS, TOWNS
from tools.evidence import Evidence
from tools.hint import HINT_WEIGHT
from tools.photo_store import Photo
from tools.photos import PhotoStore
from tools.said import Said, read_said
from tools.said_denials import LANGUAGES, is_read
from tools.workbench import Workbench

COUNTRIES = ("ES", "CL", "PL", "JP", "GR", "DE", "CN", "BR", "KE", "US")
FOREIGN = {"Uhispania", "Espainia", "Spaanje", "Spuenien", "Sipanje", "ប៉ែន"}
PHOTO = Photo(id="0" * 64, width=800, height=600, mime="image/jpeg")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    folder: Path = tmp_path_factory.mktemp("said")
    with Gazetteer.open(folder / "g.sqlite", settlements=TOWNS) as gazetteer:
        yield Workbench(PhotoStore(folder / "photos"), open_gazetteer=lambda: gazetteer)


def written(item: Evidence) -> str:
    """Return evidence as the samples write it."""
    weighed = "" if item.weight == HINT_WEIGHT else "~" if item.weight < HINT_WEIGHT else "!"
    if item.area is not None:
        sign = "+" if item.area.inside else "-"
        if "traffic" in item.area.label:
            return f"{sign}traffic{weighed}"
        if item.area.label.startswith("near"):
            return f"{sign}near"
        label = item.area.label if item.area.inside else item.area.label.replace(" or ", "|")
        return sign + label.replace(" ", "_") + weighed
    if item.candidates:
        best = item.candidates[0]
        name = best.label.split(",")[0] or f"{best.latitude:.2f}"
        return f"+{name.replace(' ', '_')}{weighed}"
    return f"+{'|'.join(item.countries)}{weighed}"


def is_claim(item: Evidence) -> bool:
    return bool(item.countries or item.candidates or (item.area and item.area.inside))


def shown(said: Said) -> str:
    return " ".join(sorted([*map(written, said.evidence), *("look" for _ in said.looks)]))


@pytest.mark.parametrize(("message", "expected"), MESSAGES.items())
def test_messages_are_read_as_a_person_means_them(
    bench: Workbench, message: str, expected: str
) -> None:
    said = read_said(message, PHOTO, bench)
    assert shown(said) == " ".join(sorted(expected.split()))


def test_alternatives_are_all_kept(bench: Workbench) -> None:
    (item,) = read_said("Tuscany or Barcelona", PHOTO, bench).evidence
    assert {one.country for one in item.candidates} == {"IT", "ES"}
    assert sum(one.score for one in item.candidates) == pytest.approx(1)


def test_paris_in_texas_is_not_the_one_in_france(bench: Workbench) -> None:
    (item,) = read_said("Paris, Texas", PHOTO, bench).evidence
    assert {one.country for one in item.candidates} == {"US"}


def test_sureness_orders_weights(bench: Workbench) -> None:
    words = ("I am sure it's {}", "it is {}", "it is probably {}", "maybe {}", "could it be {}?")
    weights = [read_said(w.format("Chile"), PHOTO, bench).evidence[0].weight for w in words]
    assert weights == sorted(set(weights), reverse=True)
    ids = {read_said(w.format("Chile"), PHOTO, bench).evidence[0].id for w in words}
    assert len(ids) == len(words), "a doubt must not keep a later certainty from counting"


def test_a_country_on_two_continents_is_in_both_and_ruled_out_with_neither(
    bench: Workbench,
) -> None:
    (inside,) = read_said("it is in Europe", PHOTO, bench).evidence
    (outside,) = read_said("it is not in Europe", PHOTO, bench).evidence
    assert inside.area is not None
    assert outside.area is not None
    assert {"ES", "RU", "TR"} <= set(inside.area.countries)
    assert "ES" in outside.area.countries
    assert not {"RU", "TR"} & set(outside.area.countries)


@pytest.mark.parametrize(
    ("message", "box"),
    [
        ("look at the sign top left", (0.0, 0.0, 0.5, 0.5)),
        ("the bottom right corner", (0.6, 0.6, 1.0, 1.0)),
        ("the left half", (0.0, 0.0, 0.5, 1.0)),
        ("the upper third", (0.0, 0.0, 1.0, 1 / 3)),
        ("crop 80,60,400,300 px", (0.1, 0.1, 0.5, 0.5)),
        ("zoom 10%, 20%, 50%, 60%", (0.1, 0.2, 0.5, 0.6)),
        ("box 0.1 0.2 0.5 0.6", (0.1, 0.2, 0.5, 0.6)),
        ("schau unten rechts", (0.5, 0.5, 1.0, 1.0)),
        ("crop 400,300,9000,9000 px", (0.5, 0.5, 1.0, 1.0)),
    ],
)
def test_parts_of_the_photo_are_shares(
    bench: Workbench, message: str, box: tuple[float, ...]
) -> None:
    (look,) = read_said(message, PHOTO, bench).looks
    assert look[:4] == pytest.approx(box)


@pytest.mark.parametrize(
    "message", ["they drive on the left", "that is right", "in the centre of Madrid", "turn left"]
)
def test_sides_that_are_no_parts(bench: Workbench, message: str) -> None:
    assert read_said(message, PHOTO, bench).looks == ()


def test_a_box_that_is_none_is_said_to_be(bench: Workbench) -> None:
    said = read_said("crop 300,20,10,40 px", PHOTO, bench)
    assert said.looks == ()
    assert "800 x 600" in said.notes[0]


def test_what_is_not_weighed_is_said(bench: Workbench) -> None:
    assert "denied twice" in read_said("I don't think it's not Spain", PHOTO, bench).notes[0]
    assert "question" in read_said("why not Peru?", PHOTO, bench).notes[0]


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_without_a_fault(bench: Workbench, text: str) -> None:
    said = read_said(text, PHOTO, bench)
    assert all(0 < item.weight < 1 for item in said.evidence)
    for left, top, right, bottom, _ in said.looks:
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


@given(
    st.sampled_from(["Spain", "Chile", "Poland", "Japan", "South America", "Scandinavia"]),
    st.sampled_from(
        ["it is not {}", "not {}", "anywhere but {}", "I don't think it's {}", "{} no"]
    ),
    st.sampled_from(["", " ", "!", ".", "  \n"]),
)
@settings(max_examples=60, deadline=None)
def test_a_denial_is_never_read_as_a_claim(
    bench: Workbench, name: str, words: str, end: str
) -> None:
    found = read_said(words.format(name) + end, PHOTO, bench).evidence
    assert not [item for item in found if is_claim(item)]


@pytest.mark.parametrize("language", DENIED_IN)
def test_a_denial_in_no_language_is_read_as_a_claim(bench: Workbench, language: str) -> None:
    names = Locale.parse(language).territories
    read = 0
    for words, code in product(DENIED_IN[language], COUNTRIES):
        found = read_said(words.format(names[code]), PHOTO, bench).evidence
        assert not any(is_claim(item) for item in found), words.format(names[code])
        read += bool(found)
    assert read or language not in LANGUAGES


@pytest.mark.parametrize("message", LATE_DENIALS)
def test_a_denial_after_the_name_is_no_claim(bench: Workbench, message: str) -> None:
    assert not [item for item in read_said(message, PHOTO, bench).evidence if is_claim(item)]


@given(
    st.sampled_from(sorted(FOREIGN)),
    st.text(st.characters(categories=["Ll", "Lo"]), min_size=1, max_size=8),
    st.sampled_from(["{0} {1}", "{1} {0}", "{0}, {1} {0}", "{0} {1} {0}"]),
)
@settings(max_examples=100, deadline=None)
def test_beside_words_of_an_unknown_language_a_foreign_name_claims_nothing(
    bench: Workbench, name: str, word: str, words: str
) -> None:
    if is_read(word) or bench.gazetteer.find_country(word):
        return
    found = read_said(words.format(word, name), PHOTO, bench).evidence
    assert not [item for item in found if item.countries]


@pytest.mark.parametrize(("message", "point"), POINTS.items())
def test_a_short_coordinate_is_one(
    bench: Workbench, message: str, point: tuple[float, float]
) -> None:
    (item,) = read_said(message, PHOTO, bench).evidence
    assert [(one.latitude, one.longitude) for one in item.candidates] == [point]


@pytest.mark.parametrize("message", NO_POINTS)
def test_other_numbers_are_no_coordinates(bench: Workbench, message: str) -> None:
    assert read_said(message, PHOTO, bench).evidence == ()


def test_most_countries_have_an_adjective() -> None:
    named = {code for word in ("Chilean", "Polish", "Korean") for code in countries_of_word(word)}
    assert named == {"CL", "PL", "KP", "KR"}
    from geo.demonyms import _table

    codes = {code for codes in _table().values() for code in codes}
    assert codes <= set(country_codes()) | {"XK"}
    assert len(codes) > 200


def test_a_part_of_the_world_is_found_by_its_names() -> None:
    europe = find_world_region("Europa")
    assert europe is not None
    assert "DE" in europe.countries
    assert find_world_region("the Balkans") == find_world_region("balkan")
    assert find_world_region("Atlantis") is None
