import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools import tesseract
from tools.read_text import TextReader
from tools.recognizer import RapidRecognizer
from tools.tesseract import ScriptReader, installed_languages, parse_tsv

HEADER = "level\tpage\tblock\tpar\tline\tword\tleft\ttop\twidth\theight\tconf\ttext"
BOX = np.array([[0, 0], [200, 0], [200, 40], [0, 40]], dtype=np.float32)
WALL = np.full((100, 300, 3), 200, dtype=np.uint8)

FAKE = """#!{python}
import sys
if "--list-langs" in sys.argv:
    print("List of available languages (3):\\neng\\nell\\nrus")
elif "ell" in sys.argv:
    assert sys.stdin.buffer.read().startswith(b"\\x89PNG")
    print({header!r})
    print("5\\t1\\t1\\t1\\t1\\t2\\t120\\t20\\t90\\t30\\t91\\t{second}")
    print("5\\t1\\t1\\t1\\t1\\t1\\t16\\t20\\t90\\t30\\t95\\t{first}")
else:
    sys.exit({code})
"""


def fake(folder: Path, first: str = "ΠΡΟΣΟΧΗ", second: str = "ΣΚΥΛΟΣ", code: int = 1) -> str:
    """Write an executable that answers like tesseract, and return its path."""
    path = folder / "tesseract"
    path.write_text(
        FAKE.format(python=sys.executable, header=HEADER, first=first, second=second, code=code),
        "utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return str(path)


def test_a_line_of_another_script_is_read_anew(tmp_path: Path) -> None:
    reader = ScriptReader(fake(tmp_path))
    (line,) = reader.replace(WALL, [("NPOΣOXH", 0.6, BOX)])
    assert line[0] == "ΠΡΟΣΟΧΗ ΣΚΥΛΟΣ"
    assert line[1] == pytest.approx(0.93)
    assert line[2] is BOX


def test_sure_lines_are_left_alone(tmp_path: Path) -> None:
    lines = [("Achtung Hund", 0.99, BOX)]
    assert ScriptReader(fake(tmp_path)).replace(WALL, lines) == lines


def test_latin_noise_from_a_pack_is_refused(tmp_path: Path) -> None:
    lines = [("NPOΣOXH", 0.6, BOX)]
    assert ScriptReader(fake(tmp_path, first="abc", second="def")).replace(WALL, lines) == lines


def test_a_line_that_is_mostly_signs_is_refused(tmp_path: Path) -> None:
    lines = [("NPOΣOXH", 0.6, BOX)]
    noise = ScriptReader(fake(tmp_path, first="ΑΒΓΔ 0 % 7", second="9 3 %"))
    assert noise.replace(WALL, lines) == lines


def test_a_script_that_shows_decides_the_pack(tmp_path: Path) -> None:
    reader = ScriptReader(fake(tmp_path, code=0))
    assert reader._likely_packs([("NPOΣOXH", 0.6, BOX)]) == ("ell",)
    assert reader._likely_packs([("NPOXH", 0.6, BOX)]) == ("rus", "ell")


def test_without_tesseract_lines_stay_as_they_are() -> None:
    lines = [("NPOΣOXH", 0.6, BOX)]
    assert ScriptReader("no-such-command").replace(WALL, lines) == lines
    assert installed_languages("no-such-command") == ()


def test_a_broken_tesseract_is_done_without(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert installed_languages(str(broken)) == ()
    assert ScriptReader(str(broken)).replace(WALL, [("x", 0.1, BOX)])[0][0] == "x"


def test_one_pack_is_used_per_script(tmp_path: Path) -> None:
    assert ScriptReader(fake(tmp_path)).packs == ("rus", "ell")


def test_a_malformed_table_is_skipped() -> None:
    rows = [
        "",
        "a\tb",
        "5\t1\t1\t1\t1\t1\tx\t2\t3\t4\t90\tΑ",
        "5\t1\t1\t1\t1\t1\t1\t2\t3\t4\t-1\tΒ",
    ]
    good = "5\t1\t1\t1\t1\t1\t10\t20\t30\t40\t88\tΓάμα"
    assert parse_tsv("\n".join([HEADER, *rows, good])) == [(10, 40.0, "Γάμα", 0.88)]


FONTS = [
    Path(folder) / "DejaVuSans-Bold.ttf"
    for folder in ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu")
]


@pytest.mark.skipif(
    shutil.which("tesseract") is None
    or "rus" not in tesseract.installed_languages()
    or not any(font.exists() for font in FONTS),
    reason="needs tesseract with its Russian pack and a font with Cyrillic letters",
)
def test_a_cyrillic_sign_is_read_by_the_installed_tesseract() -> None:
    font = next(font for font in FONTS if font.exists())
    image = Image.new("RGB", (640, 480), (200, 200, 190))
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 120, 600, 300), fill="white")
    draw.text((70, 180), "Вход воспрещён", font=ImageFont.truetype(str(font), 40), fill="black")
    lines = TextReader(RapidRecognizer(threads=1), ScriptReader()).read(image)
    assert "Вход воспрещён" in [line.text for line in lines]
