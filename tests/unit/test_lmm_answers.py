"""Raw answers of several models: what is read, why others have no coordinate, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import bench_replies
from evaluation.lmm_answers import (
    ModelAnswer,
    evidence_of,
    models_of,
    read_answers,
    read_raw,
    stated_confidence,
)
from geo.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GOOD = '{"reverse_geocoding": {"confidence": "4", "latitude": 48.85, "longitude": 2.29}}'
CONFIDENCES = {
    '{"confidence": "4"}': 4.0,
    '{"confidence": 4}': 4.0,
    "{'confidence': '5 (sure)'}": 5.0,
    '{"Confidence" : 0.85,': 0.85,
    "**Confidence**: 3": 3.0,
    "confidence = 2": 2.0,
    '{"confidence": "1"} no, {"confidence": "3"}': 3.0,
    '<think>"confidence": 5</think>{"confidence": 2}': 2.0,
    '<think>"confidence": 5</think>{}': None,
    '{"confidence": "high"}': None,
    '{"confidence": null}': None,
    '{"confidence": -1}': None,
    '{"confidence": 20260101}': None,
    '{"confidence": 1.2.3}': None,
    '{"overconfidence": 3}': None,
    "": None,
}


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def row(image_id: str = "p1", model: str = "m", raw: str | None = GOOD, **more: object) -> object:
    return {"image_id": image_id, "model": model, "raw_response": raw, **more}


@pytest.mark.parametrize(("text", "value"), CONFIDENCES.items())
def test_stated_confidence(text: str, value: float | None) -> None:
    assert stated_confidence(text) == value


def test_a_file_of_raw_answers(tmp_path: Path) -> None:
    rows = [
        row(),
        row(model="a", raw=f"```json\n{GOOD}\n```"),
        row("p2", raw=None, error="Error code: 400 -\n{'no': 1}"),
        row("p3", raw='{"latitude": 0.0, "longitude": 0.0, "confidence": 1}'),
        row("p4", raw='{"city": "Kyoto", "country": "Japan", "latitude": null}'),
        row("p5", raw="I'm sorry, I can't help with that."),
        row("p6", raw="A street."),
        "",
    ]
    found = read_answers(written(tmp_path / "a.jsonl", *rows))
    assert [one.point for one in found] == [(48.85, 2.29)] * 2 + [None] * 5
    assert [one.confidence for one in found[:2]] == [4.0, 4.0]
    assert models_of(found) == ("a", "m")
    reasons = [one.why_none.split(":")[0] for one in found]
    assert reasons == [
        "", "", "the request failed", "rejected", "names a place without a coordinate",
        "declines to answer", "names neither a coordinate nor a place",
    ]  # fmt: skip
    assert "400" in found[2].why_none
    assert "\n" not in found[2].why_none
    assert (found[4].place, found[4].country) == ("Kyoto", "Japan")


def test_a_table_of_answers(tmp_path: Path) -> None:
    text = "\ufeffimage_id,model,latitude,longitude,confidence\np1,m,90,-180,0.5\np2,m,,,\n"
    found = read_answers(written(tmp_path / "A.CSV", text))
    assert [one.point for one in found] == [(90.0, -180.0), None]
    assert [one.confidence for one in found] == [0.5, None]
    assert found[1].why_none


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.txt", "", "no table of answers"),
        ("a.jsonl", "", "holds no answer"),
        ("a.jsonl", "{", "line 1 of"),
        ("a.jsonl", "[1]", "no JSON object"),
        ("a.jsonl", '{"image_id": "p", "model": "m", "raw_response": 7}', "as text"),
        ("a.jsonl", '{"image_id": 5, "model": "m", "raw_response": ""}', "as text"),
        ("a.jsonl", '{"model": "m", "raw_response": ""}', "as text"),
        ("a.jsonl", "\n".join([json.dumps(row())] * 2), "line 2 of .* second answer of model 'm'"),
        ("a.csv", "image_id,model,latitude\n", "no column longitude"),
        ("a.csv", "image_id,model,latitude,longitude\np,m,north,2\n", "'north' is no finite"),
        ("a.csv", "image_id,model,latitude,longitude\np,m,nan,2\n", "'nan' is no finite"),
        ("a.csv", "image_id,model,latitude,longitude\np,m,97,2\n", "-90..90"),
        ("a.csv", "image_id,model,latitude,longitude\np,m,1,181\n", "-180..180"),
        ("a.csv", "image_id,model,latitude,longitude\np,m,1,\n", "one half"),
        ("a.csv", "image_id,model,latitude,longitude\n,m,1,2\n", "no image_id"),
        ("a.csv", "image_id,model,latitude,longitude\np,m,1,2\np,m,1,2\n", "line 3 of .* second"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_answers(written(tmp_path / name, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_answers(tmp_path / "none.jsonl")
    (tmp_path / "a.jsonl").write_bytes(b'{"image_id": "\xff"}')
    with pytest.raises(InputError, match="UTF-8"):
        read_answers(tmp_path / "a.jsonl")


@given(st.text(max_size=300))
def test_any_reply_is_read(text: str) -> None:
    found = read_raw("p", "m", text)
    assert (found.point is None) == bool(found.why_none)
    assert len(found.why_none) <= 200


def test_each_model_is_a_group_of_its_own() -> None:
    said = [
        evidence_of(ModelAnswer(image_id="p", model=model, point=(48.85, 2.29), place="Paris"))
        for model in ("a", "b")
    ]
    assert all(said)
    assert {one.group for one in said if one} == {"model:a", "model:b"}
    assert {one.candidates[0].source for one in said if one} == {"a", "b"}
    assert len({one.id for one in said if one}) == 2
    assert evidence_of(ModelAnswer(image_id="p", model="a", place="Paris")) is None


@pytest.mark.slow
def test_published_answers_are_all_read() -> None:
    path = SHARED / bench_replies.ANSWERS
    if not path.is_file():
        pytest.skip(f"no {bench_replies.ANSWERS}: raw answers to measure on are not at hand")
    found = read_answers(path)
    judged = bench_replies.judge(path)
    failed = [one for one in found if one.why_none.startswith("the request failed")]
    assert len(found) - len(failed) == len(judged)
    assert sum(one.point is not None for one in found) == sum(bool(one.read) for one in judged)
    assert {one.confidence for one in found} == {None, 1.0, 2.0, 3.0, 4.0, 5.0}
