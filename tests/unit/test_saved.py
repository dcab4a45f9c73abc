"""Encoders in folders: what is saved comes back, what was tampered with does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from encoders import load_encoder
from encoders.families import FAMILIES
from encoders.saved import HEADS_FILE, TOWER_FILE, save_encoder
from encoders.saved_card import CARD_FILE
from geo.errors import InputError
from index_builder.manifest import EncoderIdentity
from tests.unit.encoder_samples import label_maps, photos, tiny_backbone, tiny_encoder, tiny_heads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_encoder(tmp_path / "one", tiny_heads("g3"), tiny_backbone(), licence="CC0-1.0")
    return tmp_path / "one"


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_saved_encoder_gives_the_same_vectors(family: str, tmp_path: Path) -> None:
    before = tiny_encoder(family)
    save_encoder(tmp_path, before.heads, tiny_backbone())
    after = load_encoder(tmp_path, weights=tmp_path)
    assert after.card == before.card
    one, other = (e.encode_images(photos(3), label_maps(3)) for e in (before, after))  # type: ignore[call-arg]
    for space, rows in one.items():
        assert np.array_equal(rows, other[space])
    assert {path.name for path in tmp_path.iterdir()} == {CARD_FILE, HEADS_FILE, TOWER_FILE}


def test_the_family_is_kept_under_any_name(tmp_path: Path) -> None:
    save_encoder(tmp_path, tiny_heads("g3"), tiny_backbone(), name="holiday")
    card = load_encoder(tmp_path, weights=tmp_path).card
    identity = EncoderIdentity.of(card)
    assert (card.name, card.family, identity.name, identity.family) == ("holiday", "g3") * 2


def test_a_card_of_other_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    save_encoder(tmp_path / "two", tiny_heads("g3", seed=9), tiny_backbone())
    (tmp_path / "two" / HEADS_FILE).replace(folder / HEADS_FILE)
    with pytest.raises(InputError, match="does not match its weights"):
        load_encoder(folder, weights=folder)


def test_numbers_that_do_not_come_out_again_are_refused(folder: Path) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    card["probe"]["place gps"][3] += 0.01
    (folder / CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(
        InputError, match=r"other numbers than its card for place gps .*limit 0.0001"
    ):
        load_encoder(folder, weights=folder)


def test_another_tower_is_refused(folder: Path) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    card["backbone"]["fingerprint"] = "0" * 64
    (folder / CARD_FILE).write_text(json.dumps(card))
    encoder = load_encoder(folder, weights=folder)
    with pytest.raises(InputError, match="is not its card's"):
        encoder.encode_images(photos(1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 7}, "has format 7, this version reads 1"),
        ({"family": "dualgeo"}, "configuration that dualgeo does not know"),
        ({"family": "nothing"}, "unknown family 'nothing'"),
        ({"config": {"hidden": -1}}, "configuration that g3 does not know"),
        ({"heads_sha256": "x"}, "is damaged"),
        ({"surprise": 1}, "is damaged"),
    ],
)
def test_a_damaged_card_is_refused(folder: Path, change: dict[str, object], said: str) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | change))
    with pytest.raises(InputError, match=said):
        load_encoder(folder, weights=folder)


def test_a_half_written_encoder_is_none(folder: Path) -> None:
    (folder / CARD_FILE).unlink()
    with pytest.raises(InputError, match="holds no encoder"):
        load_encoder(folder, weights=folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    data = (folder / HEADS_FILE).read_bytes()
    (folder / HEADS_FILE).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="does not match its weights"):
        load_encoder(folder, weights=folder)
    (folder / HEADS_FILE).unlink()
    with pytest.raises(InputError, match=f"lacks {HEADS_FILE}"):
        load_encoder(folder, weights=folder)


@pytest.mark.parametrize("name", ["dualgeo", "cellcodes", "nowhere", "/no/such/folder"])
def test_an_encoder_that_is_none_is_said_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train it|unknown encoder"):
        load_encoder(name, weights=tmp_path)
