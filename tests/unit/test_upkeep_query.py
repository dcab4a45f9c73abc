"""Searches of a gallery with the encoder that made it."""

from pathlib import Path

import numpy as np
import pytest

from geo.errors import InputError, UnavailableError
from index_builder import gallery_query
from index_builder.gallery import Gallery
from index_builder.gallery_opening import open_gallery
from index_builder.gallery_photo import GalleryPhoto
from index_builder.gallery_query import Query, query_gallery
from index_builder.manifest import EncoderIdentity
from tests.unit.encoder_samples import photos, tiny_encoder
from tests.unit.upkeep_samples import identity, photo, started, write_gallery

COUNT = 6


def built(folder: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """Return a gallery of six photos that a tiny encoder made, and let it be loaded by name."""
    encoder = tiny_encoder(family)
    monkeypatch.setattr(gallery_query, "load_encoder", lambda _: encoder)
    images = photos(COUNT)
    rows = encoder.encode_images(images)
    with started(folder, encoder=EncoderIdentity.of(encoder.card, family)) as gallery:
        for number, image in enumerate(images):
            image.save(folder / f"{number}.png")
            one: GalleryPhoto = photo(number, digest="")[0]
            gallery.add([(one, {space: rows[space][number] for space in rows})])
        gallery.write_manifest(0)
    return open_gallery(folder)


@pytest.mark.parametrize("family", ["siglip", "g3"])
def test_a_photo_finds_itself_and_its_sum_of_cosines(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built(tmp_path / "g", family, monkeypatch) as gallery:
        for number in range(COUNT):
            first = query_gallery(gallery, Query(photo=tmp_path / "g" / f"{number}.png"))[0]
            assert first.photo.name == f"{number}.jpg"
            spaces = len(gallery.manifest.encoder.retrieval)
            assert first.score == pytest.approx(spaces, abs=1e-4)
        like = query_gallery(gallery, Query(like=photo(2)[0].id[:9]), COUNT)
        assert "2.jpg" not in [hit.photo.name for hit in like]
        assert len(like) == COUNT - 1
        guarded = query_gallery(gallery, Query(photo=tmp_path / "g" / "2.png"), COUNT, apart=True)
        assert "2.jpg" not in [hit.photo.name for hit in guarded]


@pytest.mark.parametrize(("family", "space"), [("siglip", "siglip"), ("g3", "text")])
def test_a_text_is_compared_in_the_space_it_shares(
    family: str, space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built(tmp_path / "g", family, monkeypatch) as gallery:
        vector = tiny_encoder(family).encode_texts(["a red house"])[space][0]
        points = list(gallery.store.scan(with_vectors=True))
        expected = {p.id: float(p.vectors[space] @ vector) for p in points}
        hits = query_gallery(gallery, Query(text="a red house"), COUNT)
        assert [hit.score for hit in hits] == pytest.approx(sorted(expected.values())[::-1])
        assert {hit.photo.id for hit in hits} == set(expected)
        with pytest.raises(InputError, match="drop it"):
            query_gallery(gallery, Query(text="a red house"), apart=True)


@pytest.mark.parametrize("family", ["geoclip", "cellcodes"])
def test_a_family_that_reads_no_texts_says_so(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        built(tmp_path / "g", family, monkeypatch) as gallery,
        pytest.raises(InputError, match="into none; search by a photo"),
    ):
        query_gallery(gallery, Query(text="a red house"))


def test_missing_weights_are_told_with_the_command_that_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "home"))
    made = identity("g3").model_copy(update={"load": "g3"})
    photos(1)[0].save(tmp_path / "query.png")
    with open_gallery(write_gallery(tmp_path / "g", [photo(1)], encoder=made)) as gallery:
        for query in (Query(photo=tmp_path / "query.png"), Query(text="a beach")):
            with pytest.raises(UnavailableError, match="graticule weights get g3"):
                query_gallery(gallery, query)
        assert query_gallery(gallery, Query(like=photo(1)[0].id)) == []  # needs no weights


def test_a_photo_that_shows_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built(tmp_path / "g", "siglip", monkeypatch) as gallery:

        class Blind:
            card = tiny_encoder("siglip").card

            def encode_images(self, images: list[object]) -> dict[str, "np.ndarray"]:
                return {"siglip": np.zeros((len(images), 24), np.float32)}

        monkeypatch.setattr(gallery_query, "load_encoder", lambda _: Blind())
        with pytest.raises(InputError, match="sees nothing"):
            query_gallery(gallery, Query(photo=tmp_path / "g" / "1.png"))
