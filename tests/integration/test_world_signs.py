"""The rendered signs can be read by the text reader the product uses."""

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.world import write_world


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", unicodedata.normalize("NFD", text.lower()))


@pytest.mark.slow
def test_shop_words_are_read_in_four_of_five_views(tmp_path: Path) -> None:
    from rapidocr import RapidOCR

    world = write_world(tmp_path, scenes=5, views=1)
    reader = RapidOCR()
    read = []
    for shot in (shot for shot in world.gallery + world.queries if shot.words):
        with Image.open(world.path(shot)) as photo:
            found = reader(np.asarray(photo.convert("RGB"))[:, :, ::-1])
        text = _letters("".join(getattr(found, "txts", None) or ()))
        read.append(all(_letters(word) in text for word in shot.words[:2]))
    assert np.mean(read) >= 0.8
