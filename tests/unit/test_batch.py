"""A batch: one row for each photo, whatever happens, kept in a journal and gone on with."""

import csv
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.answer import Answer, Radii
from agent.batch import OUTAGE_ROWS, BatchProgress, locate_batch
from agent.batch_journal import Journal
from agent.batch_output import COLUMNS, check_output, write_rows
from agent.batch_rows import BatchPhoto, BatchRow, as_photo, find_photos, row_of
from agent.batch_settings import settings_of
from agent.calibration import Calibration
from agent.geolocator import Geolocator
from agent.model_settings import ModelSettings
from agent.recipes import find_recipe
from agent.settings import Settings
from encoders.photo_file import Limits
from geo.errors import ConfigError, GeolocationError, InputError, UnavailableError

Locate = Callable[[Path], None]
SETTINGS: dict[str, Any] = {"encoder": "none"}


class FakeGeolocator:
    """Answers with what a photo's bytes are, after whatever `locate` does or raises."""

    def __init__(self, settings: Settings, locate: Locate = lambda path: None) -> None:
        self.settings = settings
        self.bench = SimpleNamespace(photos=SimpleNamespace(limits=Limits()), galleries=())
        self.recipe = find_recipe("pipeline", has_model=False)
        self.calibration: Calibration | None = None
        self.before = locate
        self.seen: list[str] = []

    def locate(self, photo: Path, *, trust_metadata: bool, trace: Path) -> Answer:
        self.seen.append(photo.name)
        self.before(photo)
        data = photo.read_bytes()
        return Answer(
            status="located",
            latitude=float(len(data)),
            longitude=1.0,
            radii=Radii(km_50=1.0, km_80=2.0, km_95=3.0),
            explanation=photo.name,
            photo_id=hashlib.sha256(data).hexdigest(),
            photo_name=photo.name,
            claimed_latitude=-12.0,
            claimed_longitude=-77.0,
            trusted_metadata=trust_metadata,
            stopped_because="committed",
            budget_spent={"tokens": 7.0, "steps": 2.0, "tool_calls": 3.0},
            seconds=0.5,
            trace_path=str(trace),
        )


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Twelve files, each of other bytes, in an order that is not that of their names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"{number % 4}-{number}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * (number + 1))
    return paths


@pytest.fixture
def fake(settings: Settings) -> FakeGeolocator:
    return FakeGeolocator(settings)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "out.journal.jsonl"


def run(
    geolocator: FakeGeolocator, photos: list[Path], journal: Path | Journal, **options: Any
) -> list[BatchRow]:
    return list(locate_batch(cast(Geolocator, geolocator), photos, journal, **options))


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


def _met(barrier: threading.Barrier) -> None:
    barrier.wait()


class TestRows:
    @pytest.mark.parametrize("concurrency", [1, 3, 12])
    def test_every_photo_has_one_row_whatever_the_concurrency(
        self, concurrency: int, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        rows = run(fake, photos, journal, concurrency=concurrency)
        assert sorted(row.path for row in rows) == sorted(map(str, photos))
        assert {row.path: row.latitude for row in rows} == {
            str(path): len(path.read_bytes()) for path in photos
        }
        assert len(lines(journal)) == 1 + len(photos)

    def test_a_row_says_what_the_answer_says(
        self, fake: FakeGeolocator, photos: list[Path]
    ) -> None:
        answer = fake.locate(photos[2], trust_metadata=False, trace=Path("t.jsonl"))
        row = row_of(BatchPhoto("a/b.jpg", photos[2]), answer)
        assert (row.path, row.photo_id, row.status) == ("a/b.jpg", answer.photo_id, "located")
        assert (row.km_50, row.km_80, row.km_95) == (1.0, 2.0, 3.0)
        assert (row.tokens, row.steps, row.tool_calls, row.evidence) == (7, 2, 3, 0)
        assert (row.latitude, row.claimed_latitude, row.claimed_longitude) == (3.0, -12.0, -77.0)
        assert (row.trace_path, row.reason) == ("t.jsonl", "")

    def test_undetermined_has_no_numbers(self, fake: FakeGeolocator, photos: list[Path]) -> None:
        answer = fake.locate(photos[0], trust_metadata=False, trace=Path("t"))
        nowhere = {"status": "undetermined", "latitude": None, "longitude": None, "radii": None}
        row = row_of(as_photo(photos[0]), answer.model_copy(update=nowhere))
        assert (row.status, row.latitude, row.km_50) == ("undetermined", None, None)

    def test_failures_are_rows(self, settings: Settings, photos: list[Path], journal: Path) -> None:
        def locate(path: Path) -> None:
            if path == photos[1]:
                raise InputError("photo is a hat;\ngive a photo")
            if path == photos[2]:
                raise RuntimeError("a bug")

        photos[3].write_bytes(b"")
        photos[4].unlink()
        geolocator = FakeGeolocator(settings, locate)
        rows = {row.path: row for row in run(geolocator, photos, journal)}
        failed = {path: row.reason for path, row in rows.items() if row.status == "failed"}
        assert set(failed) == {str(photos[number]) for number in (1, 2, 3, 4)}
        assert failed[str(photos[1])] == "InputError: photo is a hat;\\ngive a photo"
        assert failed[str(photos[2])] == "RuntimeError: a bug"
        assert "0 bytes" in failed[str(photos[3])]
        assert "does not exist" in failed[str(photos[4])]
        assert [rows[str(photos[number])].photo_id == "" for number in (1, 3, 4)] == [
            False,
            True,
            True,
        ]
        assert len(rows) == len(photos)

    def test_photos_are_located_at_the_same_time(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        together = threading.Barrier(4, timeout=10)
        geolocator = FakeGeolocator(settings, lambda path: _met(together))
        rows = run(geolocator, photos, journal, concurrency=4)
        assert {row.status for row in rows} == {"located"}

    def test_no_more_than_asked_for(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        running: list[int] = []
        now = [0]
        lock = threading.Lock()

        def locate(path: Path) -> None:
            with lock:
                now[0] += 1
                running.append(now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= 1

        run(FakeGeolocator(settings, locate), photos, journal, concurrency=3)
        assert max(running) == 3

    def test_copies_of_a_photo_take_turns(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        inside = threading.Semaphore(1)

        def locate(path: Path) -> None:
            assert inside.acquire(blocking=False), "two copies at once"
            time.sleep(0.02)
            inside.release()

        for path in photos:
            path.write_bytes(b"the same")
        rows = run(FakeGeolocator(settings, locate), photos, journal, concurrency=6)
        assert {row.reason for row in rows} == {""}

    def test_every_run_of_a_photo_has_a_trace_of_its_own(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path, tmp_path: Path
    ) -> None:
        rows = run(fake, photos, journal, traces=tmp_path / "t")
        assert len({row.trace_path for row in rows}) == len(photos)
        assert all(Path(row.trace_path).parent == tmp_path / "t" for row in rows)
        fresh = run(fake, photos[:1], tmp_path / "other", traces=tmp_path / "t")
        assert fresh[0].trace_path not in {row.trace_path for row in rows}

    def test_names_cannot_lead_a_trace_astray(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path, tmp_path: Path
    ) -> None:
        named = BatchPhoto("../../.. /etc/\u202epasswd\n.jpg", photos[0])
        (row,) = locate_batch(cast(Geolocator, fake), [named], journal, traces=tmp_path / "t")
        assert Path(row.trace_path).resolve().parent == tmp_path / "t"

    def test_traces_that_cannot_be_written_stop_it_before_it_begins(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        with pytest.raises(InputError, match="cannot write"):
            run(fake, photos, journal, traces=photos[0] / "traces")
        assert fake.seen == []

    def test_progress_counts_to_the_end(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        told: list[BatchProgress] = []
        run(fake, photos[:5], journal)
        run(fake, photos, journal, on_progress=told.append)
        assert [progress.done for progress in told] == list(range(1, 13))
        assert (told[-1].total, told[-1].kept, told[-1].counts) == (12, 5, {"located": 12})

    def test_concurrency_has_limits(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        for wrong in (0, 1000):
            with pytest.raises(InputError, match=f"concurrency {wrong}, limits"):
                run(fake, photos, journal, concurrency=wrong)


class TestGoingOn:
    def test_what_is_done_is_not_done_again(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        first = run(fake, photos[:5], journal)
        fake.seen.clear()
        rows = run(fake, photos, journal)
        assert sorted(fake.seen) == sorted(path.name for path in photos[5:])
        assert len(rows) == len(photos)
        assert {row.path: row for row in first}.items() <= {row.path: row for row in rows}.items()

    def test_other_bytes_are_another_photo(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        run(fake, photos, journal)
        photos[3].write_bytes(b"something else, of 28 bytes.")
        fake.seen.clear()
        rows = {row.path: row for row in run(fake, photos, journal)}
        assert fake.seen == [photos[3].name]
        assert rows[str(photos[3])].latitude == 28
        with Journal(journal, settings_of(cast(Geolocator, fake))) as held:
            assert len(held) == len(photos)
            assert held.row(str(photos[3])).latitude == 28

    def test_failures_are_tried_again_only_where_asked_for(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        whole = photos[3].read_bytes()
        photos[3].write_bytes(b"")
        run(fake, photos, journal)
        fake.seen.clear()
        assert "failed" in {row.status for row in run(fake, photos, journal)}
        assert fake.seen == []
        photos[3].write_bytes(whole)
        assert {row.status for row in run(fake, photos, journal, retry_failed=True)} == {"located"}
        assert fake.seen == [photos[3].name]

    def test_a_failure_of_the_same_bytes_is_tried_again(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        def refuse(path: Path) -> None:
            raise InputError("not today")

        geolocator = FakeGeolocator(settings, refuse)
        run(geolocator, photos, journal)
        geolocator.before = lambda path: None
        assert {row.status for row in run(geolocator, photos, journal)} == {"failed"}
        rows = run(geolocator, photos, journal, retry_failed=True)
        assert {row.status for row in rows} == {"located"}

    def test_a_row_that_was_cut_off_is_done_again(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        run(fake, photos, journal)
        whole = journal.read_bytes()
        *_, last = whole.splitlines()
        for cut in (len(whole) - 1, len(whole) - len(last) // 2):
            journal.write_bytes(whole[:cut])
            fake.seen.clear()
            assert len(run(fake, photos, journal)) == len(photos)
            assert fake.seen == [Path(json.loads(last)["path"]).name]
            assert len(lines(journal)) == 1 + len(photos)

    def test_a_head_that_was_cut_off_is_begun_anew(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        run(fake, photos[:1], journal)
        journal.write_bytes(journal.read_bytes()[:40])
        assert len(run(fake, photos[:2], journal)) == 2
        assert len(lines(journal)) == 3

    def test_other_settings_are_named_and_refused(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        run(fake, photos, journal, stated=SETTINGS)
        before = journal.read_bytes()
        for options, said in (
            ({"stated": {"encoder": "g3"}}, 'encoder was "none", now "g3"'),
            ({"stated": {}}, "encoder"),
            ({"stated": SETTINGS, "trust_metadata": True}, "trust_metadata was false, now true"),
        ):
            with pytest.raises(ConfigError, match=said) as caught:
                run(fake, photos, journal, **options)
            assert "delete the journal" in str(caught.value)
        assert journal.read_bytes() == before

    def test_of_a_table_of_settings_only_what_differs_is_named(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        run(fake, photos, journal, stated={"recipe": {"name": "g3", "retrieve": 20}})
        with pytest.raises(ConfigError, match=r"settings: recipe\.retrieve was 20, now 30; go on"):
            run(fake, photos, journal, stated={"recipe": {"name": "g3", "retrieve": 30}})

    def test_settings_that_shape_answers_count_and_secrets_do_not(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        def of(**changes: Any) -> dict[str, Any]:
            model = ModelSettings(
                **{"url": "http://127.0.0.1:1/v1", "name": "m", "api_key": "hush", **changes}
            )
            changed = settings.model_copy(update={"model": model})
            return settings_of(cast(Geolocator, FakeGeolocator(changed)))

        assert "hush" not in json.dumps(of())
        assert of() == of(url="http://127.0.0.1:2/v1", timeout_s=9.0, retries=1)
        assert of() != of(name="other")
        assert of() != of(temperature=0.1)
        assert of(name="") != of(name="", url="http://127.0.0.1:2/v1")
        assert settings_of(cast(Geolocator, FakeGeolocator(settings))) != of()

    @pytest.mark.parametrize("number", [0, 1, 3])
    def test_a_line_that_was_changed_is_refused(
        self, number: int, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        run(fake, photos, journal)
        changed = journal.read_text().splitlines()
        changed[number] = changed[number][:-2] + "?}"
        journal.write_text("\n".join(changed) + "\n")
        with pytest.raises(InputError, match="damaged"):
            run(fake, photos, journal)

    def test_another_file_is_never_touched(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        for other in ("my diary", "my diary\n", "{}\n"):
            journal.write_text(other)
            with pytest.raises(InputError, match="no journal of a batch"):
                run(fake, photos, journal)
            assert journal.read_text() == other

    def test_two_writers_are_refused(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        with (
            Journal(journal, settings_of(cast(Geolocator, fake))),
            pytest.raises(UnavailableError, match="written by another batch") as caught,
        ):
            run(fake, photos, journal)
        assert caught.value.retryable
        assert len(run(fake, photos, journal)) == len(photos)

    def test_a_full_disk_stops_with_what_is_done(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        with Journal(journal, settings_of(cast(Geolocator, fake))) as held:
            rows = locate_batch(cast(Geolocator, fake), photos, held, concurrency=1)
            next(rows)
            whole = held._file

            class Full:
                def __getattr__(self, name: str) -> Any:
                    return getattr(whole, name)

                def write(self, data: bytes) -> int:
                    raise OSError(28, "No space left on device")

            held._file = cast(Any, Full())
            with pytest.raises(UnavailableError, match=r"No space left.*run the same command"):
                list(rows)
            held._file = whole
        assert len(run(fake, photos, journal)) == len(photos)


class TestOutages:
    """What is missing for every photo stops the batch; for one alone, it is that one's failure."""

    def outage(self, *names: str, retryable: bool = False) -> Locate:
        def locate(path: Path) -> None:
            if not names or path.name in names:
                raise UnavailableError("no space left; free some", retryable=retryable)

        return locate

    @pytest.mark.parametrize("count", [1, 3, 12])
    def test_nothing_can_be_located(
        self, count: int, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        geolocator = FakeGeolocator(settings, self.outage())
        with pytest.raises(UnavailableError, match=r"no space left.*run the same command again"):
            run(geolocator, photos[:count], journal, concurrency=2)
        assert len(geolocator.seen) <= OUTAGE_ROWS + 2
        assert len(lines(journal)) == 1
        geolocator.before = lambda path: None
        assert {row.status for row in run(geolocator, photos, journal)} == {"located"}

    def test_one_alone_is_a_row(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        names = (photos[0].name, photos[11].name)
        geolocator = FakeGeolocator(settings, self.outage(*names))
        rows = run(geolocator, photos, journal, concurrency=1)
        failed = {row.path: row.reason for row in rows if row.status == "failed"}
        assert set(failed) == {str(photos[0]), str(photos[11])}
        assert failed[str(photos[0])] == "UnavailableError: no space left; free some"

    def test_unreadable_photos_are_no_outage(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        for path in photos:
            path.write_bytes(b"")
        rows = run(fake, photos, journal)
        assert [row.status for row in rows] == ["failed"] * len(photos)


class TestStopping:
    def test_nothing_new_is_begun_and_what_runs_is_finished(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        stop = threading.Event()
        geolocator = FakeGeolocator(settings, lambda path: stop.set())
        rows = run(geolocator, photos, journal, concurrency=2, stop=stop)
        assert 1 <= len(rows) <= 2
        assert len(geolocator.seen) == len(rows) == len(lines(journal)) - 1

    def test_what_hangs_is_left_alone_after_the_grace(
        self, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        stop, release = threading.Event(), threading.Event()

        def locate(path: Path) -> None:
            stop.set()
            release.wait(20)

        began = time.monotonic()
        geolocator = FakeGeolocator(settings, locate)
        rows = run(geolocator, photos, journal, concurrency=2, stop=stop, grace_s=0.1)
        seconds = time.monotonic() - began
        release.set()
        assert rows == []
        assert seconds < 5
        assert len(lines(journal)) == 1

    def test_a_reader_that_stops_reading_leaves_no_thread(
        self, fake: FakeGeolocator, photos: list[Path], journal: Path
    ) -> None:
        rows = locate_batch(cast(Geolocator, fake), photos, journal, concurrency=2)
        next(rows)
        cast(Any, rows).close()
        seen = len(fake.seen)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("batch")]
        assert len(run(fake, photos, journal)) == len(photos)
        assert seen < len(photos)


class TestOutput:
    ROWS = (
        BatchRow(path="=1+1.jpg", status="failed", reason='a, "b"\n\u2028'),
        BatchRow(path="b.jpg", photo_id="0" * 64, status="located", latitude=-1.5, km_50=2.0),
    )

    def test_parquet_keeps_types(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        assert write_rows(tmp_path / "r.parquet", self.ROWS) == 2
        table = parquet.read_table(tmp_path / "r.parquet")
        assert tuple(table.column_names) == COLUMNS
        assert table.to_pylist() == [row.model_dump() for row in self.ROWS]
        types = {field.name: str(field.type) for field in table.schema}
        assert types["latitude"] == types["km_95"] == types["seconds"] == "double"
        assert types["tokens"] == types["evidence"] == "int64"
        assert types["trusted_metadata"] == "bool"
        assert types["status"] == types["reason"] == "string"

    def test_csv_is_text_to_spreadsheets(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "r.csv", self.ROWS)
        with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
            first, second = csv.DictReader(file)
        assert first["path"] == "'=1+1.jpg"
        assert first["reason"] == self.ROWS[0].reason
        assert (second["latitude"], second["longitude"], second["km_50"]) == ("-1.5", "", "2.0")

    def test_json_lines(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "r.jsonl", self.ROWS)
        read = (tmp_path / "r.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        assert [BatchRow.model_validate_json(line) for line in read] == list(self.ROWS)

    @pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
    def test_an_output_is_whole_or_the_former_one(self, ending: str, tmp_path: Path) -> None:
        path = tmp_path / f"r.{ending}"
        write_rows(path, self.ROWS)
        before = path.read_bytes()

        def broken() -> Any:
            yield self.ROWS[1]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            write_rows(path, broken())
        assert path.read_bytes() == before
        assert [found.name for found in tmp_path.iterdir()] == [path.name]
        assert write_rows(path, []) == 0
        assert path.read_bytes() != before

    def test_without_pyarrow_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(UnavailableError, match=r"graticule\[sources\]"):
            check_output(tmp_path / "r.parquet")
        check_output(tmp_path / "r.csv")
        with pytest.raises(InputError, match="says no format"):
            check_output(tmp_path / "r.xlsx")

    @pytest.mark.parametrize("concurrency", [1, 5])
    def test_rows_stand_in_the_order_of_their_paths(
        self, concurrency: int, settings: Settings, photos: list[Path], journal: Path
    ) -> None:
        geolocator = FakeGeolocator(settings, lambda path: time.sleep(0.02 / len(path.stem)))
        found, _ = find_photos(photos[0].parent)
        matter = settings_of(cast(Geolocator, geolocator))
        with Journal(journal, matter) as held:
            list(locate_batch(cast(Geolocator, geolocator), found, held, concurrency=concurrency))
            paths = [row.path for row in held.rows(photo.name for photo in found)]
        assert paths == sorted(path.name for path in photos)


class TestFinding:
    def test_photos_of_a_folder_are_named_from_there(self, tmp_path: Path) -> None:
        for name in ("b/1.JPG", "a.jpg", "b.png", "b/.hidden.jpg", ".git/2.jpg", "b/notes.txt"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        found, unread = find_photos(tmp_path)
        assert [photo.name for photo in found] == ["a.jpg", "b.png", "b/1.JPG"]
        assert all(photo.path == tmp_path / photo.name for photo in found)
        assert unread == []

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("list.txt", "b.jpg\n\nsub/a.jpg\nb.jpg\n"),
            ("list.csv", "id,Photo\n1,b.jpg\n2,sub/a.jpg\n3,b.jpg\n"),
            ("list.tsv", "path\tnote\nb.jpg\tx\nsub/a.jpg\ty\n"),
        ],
    )
    def test_a_list_names_them(self, name: str, text: str, tmp_path: Path) -> None:
        (tmp_path / name).write_text(text, "utf-8-sig")
        found, _ = find_photos(tmp_path / name)
        assert found == [
            BatchPhoto("b.jpg", tmp_path / "b.jpg"),
            BatchPhoto("sub/a.jpg", tmp_path / "sub/a.jpg"),
        ]

    def test_what_holds_no_photos_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "list.csv").write_text("id,latitude\n1,2\n")
        (tmp_path / "blank.txt").write_text("\n")
        (tmp_path / "latin.txt").write_bytes(b"caf\xe9.jpg\n")
        (tmp_path / "a.jpg").touch()
        for name, said in (
            ("empty", "no photos in"),
            ("absent", "is no folder"),
            ("a.jpg", "is no folder"),
            ("list.csv", "lacks the column path"),
            ("blank.txt", "no photos in"),
            ("latin.txt", "not UTF-8"),
        ):
            with pytest.raises(GeolocationError, match=said):
                find_photos(tmp_path / name)
