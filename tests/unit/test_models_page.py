"""The page on chat models names each setting as it is."""

import re
from pathlib import Path

from agent.model_settings import ModelSettings

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
ROW = re.compile(r"^\| `GRATICULE_MODEL__(\w+)` \| *`?([^|`]*?)`? *\|", re.M)


def test_every_setting_stands_there_with_its_default() -> None:
    told = dict(ROW.findall(PAGE))
    defaults = {
        name.upper(): "" if name == "api_key" else f"{field.default:g}" if isinstance(
            field.default, int | float
        ) else field.default
        for name, field in ModelSettings.model_fields.items()
    }  # fmt: skip
    assert told == defaults


def test_variables_named_in_the_text_exist() -> None:
    named = set(re.findall(r"GRATICULE_MODEL__(\w+)", PAGE))
    assert named <= {name.upper() for name in ModelSettings.model_fields}


def test_the_images_of_one_request_fit_the_stated_context() -> None:
    sent = ModelSettings()
    for side, share in ((32, "6,144 (Qwen3-VL)"), (28, "8,028 (Qwen2.5-VL)")):
        each = -(-(sent.image_side_px**2) // side**2)
        assert f"{sent.images * each:,}" == share.split()[0]
        assert share in PAGE
