"""The report in a real browser: it renders, fits a phone, prints, and nothing is blocked."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.case import Case, case_of_answer
from agent.disclosure import disclosed_case
from agent.report import write_report
from tests.unit.export_samples import hostile, session
from tests.unit.report_samples import DrawnPhotos, located, modelled, region, undetermined

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PDFTOTEXT = shutil.which("pdftotext")

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium on PATH: install it to see the report rendered"
)


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open the page headless, with its console on standard error."""
    assert BROWSER
    flags = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", f"--user-data-dir={page.parent / 'profile'}",
    )  # fmt: skip
    return subprocess.run(
        [BROWSER, *flags, *options, page.as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the page made the browser complain about."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


SHOWN: dict[str, Case] = {
    "located": case_of_answer(located()), "region": case_of_answer(region()),
    "undetermined": case_of_answer(undetermined()), "model": case_of_answer(modelled()),
    "session": session(), "hostile": case_of_answer(hostile()),
    "coarse": disclosed_case(session(), "country"), "withheld": disclosed_case(session(), "none"),
}  # fmt: skip


@pytest.fixture(params=list(SHOWN.values()), ids=list(SHOWN))
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    case: Case = request.param
    path = tmp_path / "report.html"
    write_report(case.answer, DrawnPhotos(), path, case)
    return path


def test_it_renders_and_the_console_stays_empty(page: Path) -> None:
    done = browse(page, "--dump-dom")
    assert "Caution." in done.stdout
    assert console(done) == []


def test_the_console_would_tell_of_anything_blocked(page: Path) -> None:
    text = page.read_text("utf-8")
    page.write_text(text.replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'))
    assert console(browse(page, "--dump-dom"))


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_the_width_of_a_phone_and_of_a_screen(page: Path, width: int) -> None:
    # The report allows no script; only this copy does, to measure itself. It stands in a frame,
    # because a headless window is never narrower than 500 px.
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


def test_it_prints_to_pages_that_are_not_empty(page: Path) -> None:
    pdf = page.with_suffix(".pdf")
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF")
    if PDFTOTEXT is None:
        pytest.skip("no pdftotext on PATH: install poppler-utils to read the printed pages")
    done = subprocess.run(
        [PDFTOTEXT, pdf, "-"], capture_output=True, text=True, timeout=60, check=True
    )
    pages = done.stdout.split("\f")[:-1]
    assert pages
    for text in pages:
        assert len(text.split()) >= 5
    assert "Provenance" in done.stdout
