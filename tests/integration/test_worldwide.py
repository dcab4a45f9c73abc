"""The worldwide path through the whole machine and the command line."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import Geolocator
from agent.geolocator import answer_of
from agent.report import render_report
from agent.settings import Settings
from agent.worldwide import PLACES_POPULATION, what_is_missing
from cli.main import main
from geo import sphere
from geo.errors import InputError, UnavailableError
from tests.aligned_fakes import GlobeEncoder, photo_of, place_of

LYON = (45.764, 4.836)
GET = "graticule weights get clip-vit-l-14"


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "somewhere.png"
    photo_of(*LYON).save(path)
    return path


@pytest.fixture(scope="module")
def encoder() -> GlobeEncoder:
    return GlobeEncoder()


@pytest.fixture(scope="module")
def geolocator(
    encoder: GlobeEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Geolocator]:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with Geolocator(settings=settings, encoder=encoder) as geolocator:
        yield geolocator


def test_a_photo_is_searched_among_the_places_of_the_world(
    geolocator: Geolocator, encoder: GlobeEncoder, photo: Path
) -> None:
    told: list[tuple[int, int]] = []
    geolocator.prepare_places(lambda *step: told.append(step))
    places = geolocator.bench.places
    assert places is not None
    settled = geolocator.bench.gazetteer.settlements(PLACES_POPULATION)[0]
    assert len(places) == told[-1][0] == told[-1][1] > len(settled) > 30_000
    events = list(geolocator.stream(photo))
    answer = answer_of(events[-1])
    (step,) = (step for step in answer.steps if step.tool == "search_places")
    (evidence,) = (item for item in answer.evidence if item.kind == "alignment")
    assert step.outcome == "ok"
    assert (evidence.id,) == step.evidence_ids
    here = place_of(photo_of(*LYON))
    best = evidence.candidates[0]
    assert sphere.distance_km(best.latitude, best.longitude, *here) < 30
    assert answer.status == "region"
    assert answer.radii is not None
    assert answer.radii.km_50 < 500
    assert answer.missing == ()
    identity = {"name": "globe", "fingerprint": encoder.card.fingerprint}
    assert events[1].data["encoder"] == identity
    assert answer.versions["encoder globe"] == encoder.card.fingerprint


def test_the_report_shows_where_it_searched(geolocator: Geolocator, photo: Path) -> None:
    answer = geolocator.locate(photo)
    page = render_report(answer, geolocator.bench.photos)
    best = next(item for item in answer.evidence if item.kind == "alignment").candidates[0]
    assert "place compared with the photo" in page
    assert best.label in page
    assert f"{best.latitude:.4f}, {best.longitude:.4f}" in page


def test_candidates_of_another_source_are_verified_in_the_alignment_space(
    geolocator: Geolocator, encoder: GlobeEncoder, photo: Path
) -> None:
    encoded = encoder.photos_encoded
    answer = geolocator.locate(photo, hint="Lyon, France")
    (step,) = (step for step in answer.steps if step.tool == "verify_locations")
    assert step.outcome == "ok"
    found, verified = (item for item in answer.evidence if item.kind == "alignment")
    assert found.group == verified.group
    assert "Lyon, FR" in {row["label"] for row in step.data["candidates"]}  # type: ignore
    assert answer.country == "FR"
    assert encoder.photos_encoded == encoded  # its vector was still known
    assert "verify_locations" not in {step.tool for step in geolocator.locate(photo).steps}


def test_a_missing_tower_is_missing_evidence(tmp_path: Path, photo: Path) -> None:
    settings = Settings(home=tmp_path)
    with Geolocator(settings=settings, encoder=GlobeEncoder(tower=False)) as geolocator:
        answer = geolocator.locate(photo, hint="Lyon, France")
    (step,) = (step for step in answer.steps if step.tool == "search_places")
    assert step.outcome == "unavailable"
    assert "graticule weights get globe" in step.text
    assert (answer.country, answer.status) == ("FR", "region")


def test_an_encoder_that_cannot_be_reached_is_missing_evidence(tmp_path: Path, photo: Path) -> None:
    def down() -> GlobeEncoder:
        raise UnavailableError("service does not answer; start it")

    with Geolocator(settings=Settings(home=tmp_path), encoder=GlobeEncoder()) as geolocator:
        geolocator.bench.open_encoder = down
        events = list(geolocator.stream(photo))
    assert events[1].data["encoder"] == {"unavailable": "service does not answer; start it"}
    answer = answer_of(events[-1])
    assert answer.status == "undetermined"
    (step,) = (step for step in answer.steps if step.tool == "search_places")
    assert step.outcome == "unavailable"


def test_without_weights_the_answer_says_how_to_get_them(tmp_path: Path, photo: Path) -> None:
    assert GET in what_is_missing("auto", tmp_path)
    with Geolocator(settings=Settings(home=tmp_path)) as geolocator:
        assert "search_places" not in {tool.name for tool in geolocator.tools}
        answer = geolocator.locate(photo)
        (line,) = answer.missing
        assert GET in line
        assert "\n" not in line
        assert GET in render_report(answer, geolocator.bench.photos)
    with Geolocator(settings=Settings(home=tmp_path), encoder=None) as geolocator:
        assert geolocator.locate(photo).missing == ()
    with pytest.raises(UnavailableError, match=GET):
        Geolocator(settings=Settings(home=tmp_path), encoder="geoclip")


def test_a_users_places_are_searched_too(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("lat,lon\n-60.5,-150.25\n")
    settings = Settings(home=tmp_path)
    with Geolocator(settings=settings, encoder=GlobeEncoder(), places=table) as geolocator:
        places = geolocator.bench.places
        assert places is not None
        assert places.coordinates[-1].tolist() == [-60.5, -150.25]
    with pytest.raises(UnavailableError, match=GET):
        Geolocator(settings=settings, places=table)
    with pytest.raises(InputError, match="without an encoder"):
        Geolocator(settings=settings, places=table, encoder=None)
    table.write_text("lat,lon\n-95,0\n")
    with pytest.raises(InputError, match="row 2"):
        Geolocator(settings=settings, places=table, encoder=GlobeEncoder())


class Service:
    """An encoder service on the loopback, in a thread of this process."""

    def __init__(self, encoder: GlobeEncoder) -> None:
        from encoders.service import EncoderService
        from encoders.serving import EncoderServer, listen

        self._service = EncoderService(encoder)
        self._socket = listen("127.0.0.1", 0)
        self._server = EncoderServer(self._service, 5.0)
        run = self._server.run
        self._thread = threading.Thread(target=run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._service.close()


@pytest.mark.slow
def test_an_encoder_service_searches_and_its_outage_is_missing_evidence(
    tmp_path: Path, photo: Path, geolocator: Geolocator
) -> None:
    service = Service(GlobeEncoder())
    try:
        with Geolocator(settings=Settings(home=tmp_path), encoder=service.url) as remote:
            there, here = remote.locate(photo), geolocator.locate(photo)
            other = tmp_path / "other.png"
            photo_of(-33.0, 151.0).save(other)
            service.stop()
            lost = remote.locate(other)
    finally:
        service.stop()
    assert there.evidence == here.evidence
    assert (there.latitude, there.longitude) == (here.latitude, here.longitude)
    (step,) = (step for step in lost.steps if step.tool == "search_places")
    assert step.outcome == "unavailable"
    assert "does not answer" in step.text
    assert lost.status == "undetermined"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny encoder, as `graticule train` would write it."""
    from encoders.saved import save_encoder
    from tests.unit.encoder_samples import tiny_backbone, tiny_heads

    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_encoder(folder, tiny_heads("geoclip"), tiny_backbone(), name="tiny")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose gazetteer is the one of this machine, so that it is not built anew."""
    from geo.gazetteer import Gazetteer, default_path

    Gazetteer.open().close()
    held, home = default_path(), tmp_path / "home"
    home.mkdir()
    (home / held.name).symlink_to(held)
    monkeypatch.setenv("GRATICULE_HOME", str(home))
    return home


@pytest.mark.slow
def test_the_command_line_searches_with_a_saved_encoder(
    saved: Path, photo: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["locate", str(photo), "--encoder", str(saved), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        (step,) = (step for step in answer["steps"] if step["tool"] == "search_places")
        assert step["outcome"] == "ok"
        assert step["data"]["encoder"]["name"] == "tiny"
    assert len(list((home / "places").iterdir())) == 1


def test_the_command_line_says_what_it_lacks(
    photo: Path, home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["locate", str(photo)]) == 0
    assert "graticule weights get" in " ".join(capsys.readouterr().out.split())
    assert main(["locate", str(photo), "--encoder", "geoclip"]) == 3
    assert GET in capsys.readouterr().err
    assert main(["locate", str(photo), "--encoder", str(tmp_path / "none")]) == 2
    assert "unknown encoder" in capsys.readouterr().err
    assert main(["locate", str(photo), "--encoder", ""]) == 2
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert GET in checks["worldwide search"]["remedy"]


def test_an_encoder_service_that_is_down_is_told_at_once(
    photo: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["locate", str(photo), "--encoder", "http://127.0.0.1:9"]) == 3
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_download_is_only_done_when_asked_for(
    photo: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRATICULE_HUB_URL", "http://127.0.0.1:9")
    assert main(["locate", str(photo), "--download"]) == 3
    assert "cannot reach 127.0.0.1" in capsys.readouterr().err
