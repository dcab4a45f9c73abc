"""`compare_photos` with a judge: what its word adds, and what it never overrules."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from geo.errors import UnavailableError
from index_builder import build_gallery, open_gallery
from tests.unit.gallery_samples import facade, view, write_photos
from tools.compare import make_compare_photos
from tools.evidence import ToolOutcome
from tools.judge import GROUP, WEIGHT, Verdict
from tools.photos import PhotoStore
from tools.workbench import Workbench


class FakeJudge:
    def __init__(self, verdict: Verdict | UnavailableError) -> None:
        self.verdict = verdict
        self.asked: list[tuple[str, tuple[str, str]]] = []

    def same_place(
        self,
        ours: Image.Image,
        theirs: Image.Image,
        geometry: str,
        photo_ids: tuple[str, str] = ("", ""),
    ) -> Verdict:
        self.asked.append((geometry, photo_ids))
        if isinstance(self.verdict, UnavailableError):
            raise self.verdict
        return self.verdict


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    return build_gallery(write_photos(folder / "photos", scenes=2), folder / "gallery").path


Compared = Callable[[Image.Image, FakeJudge | None], tuple[str, ToolOutcome]]


@pytest.fixture
def compared(tmp_path: Path, built: Path) -> Iterator[Compared]:
    """Compares an image with the first gallery photo of scene 0."""
    with open_gallery(built) as gallery:
        (other,) = [photo for photo in gallery.photos() if photo.name == "scene0-0.jpg"]

        def compare(image: Image.Image, judge: FakeJudge | None) -> tuple[str, ToolOutcome]:
            bench = Workbench(PhotoStore(tmp_path), galleries=(gallery,), judge=judge)
            ours = bench.photos.add_image(image, "query")
            args = {"photo_id": ours.id, "other_id": other.id}
            call = {"name": "compare_photos", "args": args, "id": "c1", "type": "tool_call"}
            message = make_compare_photos(bench).invoke(call)
            return str(message.content), message.artifact

        yield compare


ELSEWHERE = view(facade(7), 1)
SAME = Verdict(verdict="same", reason="both gables have five windows", tokens=321)


def test_same_without_geometry_is_light_evidence_at_the_gallery_photo(compared: Compared) -> None:
    judge = FakeJudge(SAME)
    text, outcome = compared(ELSEWHERE, judge)
    (evidence,) = outcome.evidence
    assert (evidence.kind, evidence.weight, evidence.group) == ("model", WEIGHT, GROUP)
    assert WEIGHT == 0.3
    (candidate,) = evidence.candidates
    assert (candidate.latitude, candidate.longitude, candidate.country) == (50.0, 8.0, "DE")
    assert "five windows" in evidence.summary
    assert "says 'same'" in text
    assert outcome.data["judge"] == "same"
    assert outcome.data["tokens"] == 321
    ((geometry, ids),) = judge.asked
    assert "not verified" in geometry
    assert ids == (outcome.data["photo_id"], outcome.data["other_id"])


@pytest.mark.parametrize("said", ["different", "cannot-tell"])
def test_any_other_verdict_is_said_but_no_evidence(compared: Compared, said: str) -> None:
    verdict = Verdict.model_validate({"verdict": said, "reason": "other roofs"})
    text, outcome = compared(ELSEWHERE, FakeJudge(verdict))
    assert outcome.evidence == ()
    assert repr(said) in text
    assert outcome.data["judge"] == said


@pytest.mark.parametrize("said", ["same", "different"])
def test_verified_geometry_counts_alone_whatever_the_judge_says(
    compared: Compared, said: str
) -> None:
    same_scene = view(facade(0), 2)
    plain, without = compared(same_scene, None)
    judge = FakeJudge(Verdict.model_validate({"verdict": said, "reason": "r"}))
    text, outcome = compared(same_scene, judge)
    assert without.evidence
    assert outcome.evidence == without.evidence
    assert text.startswith(plain)
    assert repr(said) in text


def test_a_judge_that_fails_is_reported_and_geometry_counts(compared: Compared) -> None:
    text, outcome = compared(ELSEWHERE, FakeJudge(UnavailableError("model server is down")))
    assert outcome.evidence == ()
    assert "No model judged it" in text
    assert "model server is down" in text
    assert outcome.data["judge_unavailable"] == "model server is down"
    assert "tokens" not in outcome.data


def test_one_photo_twice_needs_no_judge(compared: Compared) -> None:
    judge = FakeJudge(SAME)
    text, outcome = compared(view(facade(0), 0).resize((400, 300)), judge)
    assert outcome.data["same_photo"]
    assert judge.asked == []
    assert "says" not in text


def test_a_photo_without_position_yields_no_evidence(tmp_path: Path) -> None:
    bench = Workbench(PhotoStore(tmp_path), judge=FakeJudge(SAME))
    ours, other = (bench.photos.add_image(view(facade(seed), 0), "q").id for seed in (1, 2))
    args = {"photo_id": ours, "other_id": other}
    call = {"name": "compare_photos", "args": args, "id": "c1", "type": "tool_call"}
    message = make_compare_photos(bench).invoke(call)
    assert message.artifact.evidence == ()
    assert message.artifact.data["judge"] == "same"
