"""A calibration finds the widths and reliabilities that the truths of a run were drawn with."""

from collections.abc import Sequence

import numpy as np
import pytest

from agent.belief import believe
from agent.calibration import Calibration, Reliability, keys_of, read_calibration, write_calibration
from agent.factors import Settlements
from evaluation import calibrate
from evaluation.calibrate import cross_validated, fit
from evaluation.runs import RunRow, Truth
from geo import sphere
from geo.errors import ConfigError
from tools.evidence import Candidate, CandidateKind, Evidence, Reach

NAMED = {"recipe": "pipeline", "fitted_on": "drawn"}
KNOWS_NOTHING = Calibration(recipe="pipeline", fitted_on="drawn", photos=30)
Pair = tuple[Truth, RunRow]


def said(
    latitude: float,
    longitude: float,
    radius_km: float,
    *,
    weight: float = 0.8,
    source: str = "a",
    kind: CandidateKind = "model_answer",
    group: str = "model",
) -> Evidence:
    one = Candidate(
        latitude=latitude, longitude=longitude, radius_km=radius_km, score=1.0, rank=1,
        source=source, kind=kind,
    )  # fmt: skip
    return Evidence(
        tool="prior", kind="model", summary=f"{source} {latitude} {longitude}",
        candidates=(one,), weight=weight, group=group,
    )  # fmt: skip


def drawn(
    rng: np.random.Generator,
    settlements: Settlements,
    count: int,
    *,
    half_km: float,
    right: float,
    **given: object,
) -> list[Pair]:
    """Return photos whose evidence is right so often, and then off by so much; else as the prior.

    Evidence lies far from the few towns of the prior, which would explain a truth there better.
    """
    points = settlements[0]
    pairs = []
    for number, town in enumerate(rng.integers(len(points), size=count)):
        from_town, away = rng.uniform(300, 900), half_km * np.sqrt(1 / rng.uniform(0.01, 1) - 1)
        latitude, longitude = _moved(rng, points[town], from_town)
        item = said(latitude, longitude, 5.0, **given)  # type: ignore[arg-type]
        wrong = points[rng.integers(len(points))]
        at = _moved(rng, (latitude, longitude), away) if rng.random() < right else wrong
        truth = Truth(
            image_id=f"p{number}", latitude=at[0], longitude=at[1], author=f"author {number % 40}"
        )
        row = RunRow(
            image_id=truth.image_id, latitude=latitude, longitude=longitude, status="located",
            evidence=(item,),
        )  # fmt: skip
        pairs.append((truth, row))
    return pairs


def _moved(rng: np.random.Generator, point: Sequence[float], km: float) -> list[float]:
    latitude, longitude = point
    moved = sphere.destination(latitude, longitude, rng.uniform(0, 360), km)
    return [float(degrees) for degrees in moved]


@pytest.fixture
def untempered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the search for a temperature out, which takes longest."""
    monkeypatch.setattr(calibrate, "_temperature", lambda *_: 1.0)


def median_km(reliability: Reliability) -> float:
    """Return the distance that holds half of what a mixture of reaches says."""
    km = np.geomspace(0.01, 20_000, 400)
    held = sum(r.share * km**2 / (km**2 + r.radius_km**2) for r in reliability.reaches)
    return float(np.interp(0.5, held, km))


@pytest.mark.usefixtures("untempered")
def test_the_width_and_the_reliability_of_a_source_are_found(settlements: Settlements) -> None:
    pairs = drawn(np.random.default_rng(1), settlements, 200, half_km=30.0, right=0.9)
    found = fit(pairs, settlements, **NAMED).sources["prior/model/a"]
    assert median_km(found) == pytest.approx(30.0, rel=0.5)
    assert found.weight(0.8) == pytest.approx(0.9, abs=0.06)
    assert found.pieces == 200


@pytest.mark.usefixtures("untempered")
def test_sources_differ_and_a_rare_one_stays_near_its_tool(settlements: Settlements) -> None:
    rng = np.random.default_rng(2)
    fine = drawn(rng, settlements, 120, half_km=2.0, right=0.95, source="fine")
    wide = drawn(rng, settlements, 120, half_km=400.0, right=0.95, source="wide")
    rare = drawn(rng, settlements, 2, half_km=400.0, right=0.95, source="rare")
    sources = fit([*fine, *wide, *rare], settlements, **NAMED).sources
    assert median_km(sources["prior/model/fine"]) < 5
    assert median_km(sources["prior/model/wide"]) > 150
    assert median_km(sources["prior/model/rare"]) < 0.5 * median_km(sources["prior/model/wide"])


@pytest.mark.usefixtures("untempered")
def test_a_place_keeps_its_own_size_and_is_widened(settlements: Settlements) -> None:
    pairs = drawn(
        np.random.default_rng(3), settlements, 150, half_km=20.0, right=0.98, kind="place"
    )
    found = fit(pairs, settlements, **NAMED).sources["prior/model/a"]
    assert not found.reaches
    assert found.widen == pytest.approx(4.0, rel=0.6)  # 5 km were said, 20 km are true


def test_radii_hold_what_they_state_on_photos_that_were_not_seen(
    settlements: Settlements,
) -> None:
    rng = np.random.default_rng(4)
    pairs = drawn(rng, settlements, 100, half_km=60.0, right=0.97)
    before = np.mean([_away(t, r) <= 5.0 for t, r in pairs])
    rows = cross_validated(pairs, settlements, **NAMED, folds=2)
    assert [row.image_id for row in rows] == [row.image_id for _, row in pairs]
    assert before < 0.2  # half was promised within 5 km
    held = np.array(
        [
            [_away(truth, row) <= getattr(row.radii, name) for name in ("km_50", "km_80", "km_95")]
            for (truth, _), row in zip(pairs, rows, strict=True)
        ]
    ).mean(axis=0)
    assert held == pytest.approx([0.5, 0.8, 0.95], abs=0.12)


def _away(truth: Truth, row: RunRow) -> float:
    assert row.latitude is not None
    assert row.longitude is not None
    away = sphere.haversine_km(truth.latitude, truth.longitude, row.latitude, row.longitude)
    return float(away)


def test_groups_that_err_together_are_worth_less_than_they_look(
    settlements: Settlements,
) -> None:
    rng = np.random.default_rng(5)
    pairs = []
    for truth, row in drawn(rng, settlements, 40, half_km=50.0, right=0.999):
        (item,) = row.evidence
        copies = tuple(
            item.model_copy(update={"group": f"copy {n}", "summary": f"copy {n}"}) for n in range(5)
        )
        pairs.append((truth, row.model_copy(update={"evidence": copies})))
    assert fit(pairs, settlements, **NAMED).temperature > 1.5


def test_folds_split_no_photo_no_author_and_no_place() -> None:
    rng = np.random.default_rng(6)
    truths = [
        Truth(
            image_id=f"p{rng.integers(60)}", latitude=float(rng.integers(30)), longitude=1.0,
            author=f"a{rng.integers(200)}" if n % 3 else "",
        )
        for n in range(40)
    ]  # fmt: skip
    fold = calibrate._folds(truths, 4)
    for name in ("image_id", "latitude", "author"):
        seen: dict[object, int] = {}
        for truth, one in zip(truths, fold.tolist(), strict=True):
            if value := getattr(truth, name):
                assert seen.setdefault(value, one) == one


def test_no_photo_is_judged_by_a_calibration_that_saw_it(
    settlements: Settlements, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = drawn(np.random.default_rng(7), settlements, 12, half_km=5.0, right=0.9)
    used: list[set[str]] = []

    def spy(training: list[Pair], *_: object, **__: object) -> Calibration:
        used.append({truth.image_id for truth, _ in training})
        return KNOWS_NOTHING

    monkeypatch.setattr(calibrate, "fit", spy)
    monkeypatch.setattr(
        calibrate,
        "believed_again",
        lambda row, *_: row.model_copy(update={"reason": str(len(used))}),
    )
    rows = cross_validated(pairs, settlements, **NAMED, folds=3)
    for row in rows:
        assert row.image_id not in used[int(row.reason) - 1]


@pytest.mark.usefixtures("untempered")
def test_countries_that_are_often_wrong_weigh_less(settlements: Settlements) -> None:
    rng = np.random.default_rng(8)
    points, _, codes = settlements
    pairs = []
    for number in range(120):
        town, other = rng.integers(len(points), size=2)
        named = codes[town] if rng.random() < 0.5 else codes[other]
        sign = Evidence(
            tool="look_up_clue", kind="text", summary=f"sign {number}", countries={named: 1.0},
            weight=0.95, group="text",
        )  # fmt: skip
        truth = Truth(image_id=str(number), latitude=points[town][0], longitude=points[town][1])
        pairs.append((truth, RunRow(image_id=str(number), status="region", evidence=(sign,))))
    found = fit(pairs, settlements, **NAMED).sources["look_up_clue/text"]
    assert 0.3 < found.weight(0.95) < 0.7


def test_rows_without_evidence_have_no_say(settlements: Settlements) -> None:
    truth = Truth(image_id="a", latitude=48.0, longitude=11.0)
    failed = RunRow(image_id="a", status="failed", reason="unreadable")
    found = fit([(truth, failed)], settlements, **NAMED)
    assert not found.sources
    assert found.temperature == 1.0
    assert cross_validated([(truth, failed)], settlements, **NAMED, folds=2) == [failed]


def test_a_calibration_is_applied_and_named(settlements: Settlements) -> None:
    item = said(48.137, 11.576, 5.0)
    wide = Reliability(odds=0.25, reaches=(Reach(radius_km=300.0, share=1.0),))
    calibration = KNOWS_NOTHING.model_copy(update={"sources": {"prior/model/a": wide}})
    (narrow, broad) = (believe([item], settlements, one) for one in (None, calibration))
    at = (48.137, 11.576)
    assert narrow.mass_within([10], *at)[0] > 0.6 > broad.mass_within([10], *at)[0]
    assert calibration.applied(item).weight == pytest.approx(0.5)
    assert keys_of(item) == ("prior/model/a", "prior/model", "model")
    shown = item.model_copy(update={"weight": 0.0})
    assert calibration.applied(shown) == shown
    other = calibration.model_copy(update={"temperature": 2.0})
    assert calibration.version != other.version


def test_a_calibration_file_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("calibration")
    held = KNOWS_NOTHING.model_copy(update={"temperature": 0.7, "marks": ("0123456789ab",)})
    write_calibration(held, folder / "deep" / "c.json")
    assert read_calibration(folder / "deep" / "c.json") == held
    with pytest.raises(ConfigError, match="evaluate calibrate"):
        read_calibration(folder / "none.json")
    (folder / "bad.json").write_text('{"format": 2, "recipe": "pipeline"}')
    with pytest.raises(ConfigError, match="format"):
        read_calibration(folder / "bad.json")
