"""The page of an evaluation in a real browser: it fits a phone and a screen, nothing is blocked."""

import re
from pathlib import Path

import pytest

from evaluation.report import write_evaluation
from evaluation.report_run import read_shown
from tests.integration.test_report_browser import BROWSER, browse, console
from tests.unit.evaluated_samples import write_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH: install it to see the page"),
]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folders = [write_run(tmp_path / name, 60, recipe=name) for name in ("agentic", "g3")]
    shown = read_shown(folders, None, distance="haversine", operator="le")
    write_evaluation(shown, tmp_path / "page.html")
    return tmp_path / "page.html"


def test_it_renders_and_the_console_stays_empty(page: Path) -> None:
    done = browse(page, "--dump-dom")
    assert "How to reproduce" in done.stdout
    assert console(done) == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_the_width_of_a_phone_and_of_a_screen(page: Path, width: int) -> None:
    # As for the report of one photo: only this copy may measure itself, in a frame.
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text("utf-8"))
    measure = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script>"
    page.write_text(text.replace("</body>", f"{measure}</body>"), "utf-8")
    frame = page.with_name("frame.html")
    frame.write_text(
        "<title></title><script>onmessage = e => document.title = `wide ${e.data}`</script>"
        f'<iframe src="{page.name}" style="width:{width}px;height:900px;border:0"></iframe>'
    )
    done = browse(frame, "--virtual-time-budget=4000", "--window-size=1400,1000", "--dump-dom")
    found = re.search(r"<title>wide (\d+)</title>", done.stdout)
    assert found
    assert int(found[1]) <= width
