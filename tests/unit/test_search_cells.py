"""`search_cells`: cells as candidates, their shapes, shares and doubts."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from agent.belief import believe
from agent.factors import Settlements
from geo import sphere
from geo.cells import area_km2, cell_ids, centres, children, from_tokens, parents, polygon, tokens
from geo.errors import InputError, UnavailableError
from index_builder import open_gallery
from index_builder.cells import build_cells
from index_builder.gallery import Gallery
from index_builder.gallery_photo import GalleryPhoto, Hit
from index_builder.records import content_id
from tests.aligned_fakes import GlobeEncoder, photo_of, place_of
from tests.fakes import FakeGazetteer
from tests.unit.cell_samples import directions, photo_gallery
from tools.cell_shapes import half_area_radius_km, ring_of
from tools.cells import CELL_WEIGHT, TEMPERATURE, found_cells, make_search_cells, temperature_of
from tools.evidence import ToolError, ToolOutcome
from tools.photos import PhotoStore
from tools.places import UNMEASURED_WEIGHT, evidence_group
from tools.workbench import Workbench

HERE = place_of(photo_of(48.857, 2.352))
LEVEL = 6


def cells_at(folder: Path, name: str, encoder: GlobeEncoder, level: int = LEVEL) -> Path:
    """A gallery of the cell of `HERE` and its neighbours on the curve."""
    home = parents(cell_ids([HERE], level), level - 2)
    points = centres(children(home, level)[0])
    rows = np.roll(directions(points), int(encoder.card.name != "globe"), axis=1)
    photos = [(a, b, row, "") for (a, b), row in zip(points.tolist(), rows, strict=True)]
    with photo_gallery(folder / f"{name}-photos", encoder, photos) as gallery:
        build_cells(gallery, folder / name, prototype_level=level, code_level=level + 1)
    return folder / name


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:

        def make(*encoders: GlobeEncoder) -> tuple[Gallery, ...]:
            paths = [cells_at(tmp_path, f"cells{n}", one) for n, one in enumerate(encoders)]
            return tuple(stack.enter_context(open_gallery(path)) for path in paths)

        yield make


def bench_with(
    galleries: tuple[Gallery, ...], home: Path, settlements: Settlements, **known: GlobeEncoder
) -> Workbench:
    def load(name: str) -> GlobeEncoder:
        if name not in known:
            raise UnavailableError(f"encoder {name!r} is not on this machine; get it")
        return known[name]

    return Workbench(
        photos=PhotoStore(home / "store"),
        galleries=galleries,
        open_gazetteer=lambda: FakeGazetteer(settlements),
        load_encoder=load,
    )


def search(bench: Workbench, photo: Image.Image, **more: object) -> tuple[str, ToolOutcome]:
    photo_id = bench.photos.add_image(photo, "photo").id
    call = {"name": "search_cells", "id": "c1", "type": "tool_call"}
    message = make_search_cells(bench).invoke({**call, "args": {"photo_id": photo_id, **more}})
    assert isinstance(message.artifact, ToolOutcome)
    return str(message.content), message.artifact


def said(outcome: ToolOutcome) -> Any:
    """What the outcome says of its one gallery, as JSON."""
    galleries = json.loads(outcome.model_dump_json())["data"]["galleries"]
    assert len(galleries) == 1
    return galleries[0]


def test_the_right_cell_comes_first_with_its_shape(
    opened: Any, tmp_path: Path, settlements: Settlements
) -> None:
    encoder = GlobeEncoder(temperature=2000.0)
    bench = bench_with(opened(encoder), tmp_path, settlements, globe=encoder)
    text, outcome = search(bench, photo_of(*HERE), limit=3)
    (evidence,) = outcome.evidence
    best = evidence.candidates[0]
    (home,) = cell_ids([HERE], LEVEL)
    assert best.reference == tokens([home])[0]
    assert (best.latitude, best.longitude) == pytest.approx(tuple(centres([home])[0]))
    assert (best.kind, best.source, best.country) == ("cell", "gallery:cells0", "FR")
    assert best.label == f"cell {best.reference} near Testdorf, FR"
    assert best.radius_km == pytest.approx(half_area_radius_km(int(home)))
    assert [one.rank for one in evidence.candidates] == [1, 2, 3]
    assert sum(one.score for one in evidence.candidates) == pytest.approx(1.0)
    assert evidence.weight == CELL_WEIGHT == UNMEASURED_WEIGHT
    assert evidence.group == evidence_group(encoder.card)
    assert "never measured" in evidence.summary
    assert evidence.id in text
    assert "none are joined" in text
    data = said(outcome)
    assert data["temperature"] == 2000.0
    assert data["shares_over"] == 16
    ring = np.array(data["candidates"][0]["polygon"]["coordinates"][0])
    assert ring[:, ::-1] == pytest.approx(polygon(home))


def test_hits_are_softmax_shares_and_join_only_where_asked(
    opened: Any, tmp_path: Path, settlements: Settlements
) -> None:
    encoder = GlobeEncoder(temperature=500.0)
    bench = bench_with(opened(encoder), tmp_path, settlements, globe=encoder)
    scores = (0.9, 0.88, 0.8, 0.7)
    hits = [hit_of(cell, score) for cell, score in zip(family(), scores, strict=True)]
    apart = found_cells(hits, 10.0)
    wanted = np.exp(10 * np.array(scores))
    assert [one.share for one in apart] == pytest.approx(wanted / wanted.sum())
    assert [one.cell for one in apart] == [int(cell) for cell in family()]
    joined = found_cells(hits, 10.0, 14)
    # The second and third share a parent and outweigh the first together.
    assert [one.cell for one in joined] == [
        int(parents(family()[1:2], 14)[0]), int(family()[0]), int(family()[3]),
    ]  # fmt: skip
    assert joined[0].share == pytest.approx(wanted[1:3].sum() / wanted.sum())
    assert joined[0].cosine == 0.88
    text, outcome = search(bench, photo_of(*HERE), merge_siblings=True)
    assert "hits of one parent are joined" in text
    data = said(outcome)
    assert data["merged_by_parents_of_level"] == LEVEL


def family() -> np.ndarray:
    """A cell, two siblings elsewhere, and one that is coarser than their parent."""
    first, second = cell_ids([[10.0, 10.0], [20.0, 20.0]], 14)
    pair = children([second], 15)[0][:2]
    far = cell_ids([[30.0, 30.0]], 13)
    return np.concatenate([children([first], 15)[0][:1], pair, far])


def hit_of(cell: np.uint64, score: float) -> Hit:
    (token,) = tokens(np.array([cell]))
    photo = GalleryPhoto(
        id=content_id(token.encode()), name=token, latitude=1.0, longitude=1.0, cell=token
    )
    return Hit(photo=photo, score=score)


def test_each_gallery_has_its_encoder_and_one_that_has_none_says_so(
    opened: Any, tmp_path: Path, settlements: Settlements
) -> None:
    one, other = GlobeEncoder(), GlobeEncoder(name="other")
    galleries = opened(one, other)
    bench = bench_with(galleries, tmp_path, settlements, globe=one, other=other)
    _, outcome = search(bench, photo_of(*HERE))
    assert len({evidence.group for evidence in outcome.evidence}) == 2
    assert len({e.candidates[0].reference for e in outcome.evidence}) == 1
    half = bench_with(galleries, tmp_path, settlements, globe=one)
    text, outcome = search(half, photo_of(*HERE))
    assert len(outcome.evidence) == 1
    assert "'cells1' was not searched: encoder 'other' is not on this machine" in text
    assert outcome.rejected[0].value == "gallery cells1"
    with pytest.raises(UnavailableError, match="get it"):
        search(bench_with(galleries, tmp_path, settlements), photo_of(*HERE))


def test_another_encoder_of_that_name_is_refused_with_the_remedy(
    opened: Any, tmp_path: Path, settlements: Settlements
) -> None:
    bench = bench_with(
        opened(GlobeEncoder()), tmp_path, settlements, globe=GlobeEncoder(blind_from=50.0)
    )
    with pytest.raises(InputError, match="use that encoder"):
        search(bench, photo_of(*HERE))


def test_without_cells_it_refuses(tmp_path: Path, settlements: Settlements) -> None:
    row = directions([HERE])[0]
    with photo_gallery(tmp_path / "g", GlobeEncoder(), [(*HERE, row, "")]) as photos:
        bench = bench_with((photos,), tmp_path, settlements, globe=GlobeEncoder())
        with pytest.raises(ToolError, match="graticule gallery cells"):
            search(bench, photo_of(*HERE))


def test_a_photo_in_which_nothing_is_seen_gives_no_evidence(
    opened: Any, tmp_path: Path, settlements: Settlements
) -> None:
    encoder = GlobeEncoder()
    bench = bench_with(opened(encoder), tmp_path, settlements, globe=encoder)
    text, outcome = search(bench, Image.new("RGB", (64, 64), "black"))
    assert outcome.evidence == ()
    assert "sees nothing" in text


def test_belief_leans_to_the_cell_and_no_more_than_the_weight(
    opened: Any, tmp_path: Path, settlements: Settlements
) -> None:
    encoder = GlobeEncoder(temperature=20_000.0)
    bench = bench_with(opened(encoder), tmp_path, settlements, globe=encoder)
    _, outcome = search(bench, photo_of(*HERE), limit=1)
    belief, prior = believe(outcome.evidence, settlements), believe([], settlements)
    best = outcome.evidence[0].candidates[0]

    def held(one: Any) -> float:
        away = sphere.haversine_km(
            one.points[:, 0], one.points[:, 1], best.latitude, best.longitude
        )
        return float(one.mass[away <= best.radius_km].sum())

    beyond = (1 - CELL_WEIGHT) * held(prior)
    assert held(belief) - beyond == pytest.approx(CELL_WEIGHT / 2, abs=0.03)


def test_shares_are_at_the_encoders_temperature_in_its_own_space_alone(opened: Any) -> None:
    encoder = GlobeEncoder(temperature=77.0)
    (gallery,) = opened(encoder)
    assert temperature_of(encoder.card, gallery) == 77.0
    assert temperature_of(replace(encoder.card, alignment="other"), gallery) == TEMPERATURE


@settings(max_examples=60, deadline=None)
@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), level=st.integers(0, 20))
@example(latitude=90.0, longitude=0.0, level=0)
@example(latitude=-90.0, longitude=0.0, level=12)
@example(latitude=0.0, longitude=-180.0, level=9)
def test_the_radius_holds_half_of_the_cells_area(
    latitude: float, longitude: float, level: int
) -> None:
    (cell,) = cell_ids([[latitude, longitude]], level)
    radius_km = half_area_radius_km(int(cell))
    parts = children([cell], level + 5)[0]
    area, points = area_km2(parts), centres(parts)
    centre = centres([cell])[0]
    away = sphere.haversine_km(centre[0], centre[1], points[:, 0], points[:, 1])
    assert area[away <= radius_km].sum() / area.sum() == pytest.approx(0.5, abs=0.02)


def test_rings_do_not_jump_at_the_antimeridian() -> None:
    (cell,) = cell_ids([[0.001, -180.0]], 9)
    ring = np.array(ring_of(int(cell)))
    assert ring[0].tolist() == ring[-1].tolist()
    assert np.ptp(ring[:, 0]) < 1
    (pole,) = cell_ids([[90.0, 0.0]], 0)
    assert ring_of(int(pole))[0] == ring_of(int(pole))[-1]
    assert from_tokens(tokens([cell]))[0] == cell


def test_a_run_asks_cells_of_cells_and_photos_of_photos(tmp_path: Path, opened: Any) -> None:
    from agent.settings import Settings
    from agent.toolbox import make_tools

    (cells,) = opened(GlobeEncoder())
    photos = open_gallery(tmp_path / "cells0-photos")
    with photos:
        for galleries, expected in (
            ((cells,), {"search_cells"}),
            ((photos,), {"search_similar_photos"}),
            ((cells, photos), {"search_cells", "search_similar_photos"}),
            ((), set()),
        ):
            bench = Workbench(photos=PhotoStore(tmp_path / "store"), galleries=galleries)
            named = {tool.name for tool in make_tools(bench, Settings(home=tmp_path / "home"))}
            assert named & {"search_cells", "search_similar_photos"} == expected


def test_the_encoder_that_knows_no_places_has_no_say(
    tmp_path: Path, opened: Any, settlements: Settlements
) -> None:
    (cells,) = opened(GlobeEncoder())
    bench = bench_with((cells,), tmp_path, settlements, globe=GlobeEncoder())
    (evidence,) = search(bench, photo_of(*HERE))[1].evidence
    assert evidence.weight == CELL_WEIGHT

    class Own(GlobeEncoder):
        """Stands for the encoder `embedded`, whose codebook a gallery carries."""

    cells.codebook_encoder = Own()
    (evidence,) = search(bench, photo_of(*HERE))[1].evidence
    assert evidence.weight == 0
