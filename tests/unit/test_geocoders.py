"""Network geocoders, against a server of our own on the loopback device."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from geopy.adapters import URLLibAdapter

from geo.errors import ConfigError, UnavailableError
from geo.gazetteer import Gazetteer
from geo.geocoders import Geocoder, NetworkGeocoder, Service, network_geocoder
from tests.unit.gazetteer_samples import SETTLEMENTS

NOMINATIM = [
    {
        "lat": "48.8534951",
        "lon": "2.3483915",
        "name": "Paris",
        "display_name": "Paris, Île-de-France, France",
        "address": {"state": "Ile-de-France", "country_code": "fr"},
        "extratags": {"population": "2,133,111"},
    },
    {
        "lat": "33.6617962",
        "lon": "-95.555513",
        "display_name": "Paris, Lamar County, Texas, United States",
        "address": {"state": "Texas", "country_code": "us"},
        "extratags": None,
    },
]
PHOTON = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [2.3483915, 48.8534951]},
            "properties": {"name": "Paris", "countrycode": "FR", "state": "Ile-de-France"},
        }
    ],
}


class Stub(ThreadingHTTPServer):
    """Answers like Nominatim and Photon; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, list[str]], str, float]] = []
        self.status = 200
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        agent = self.headers["User-Agent"]
        self.server.asked.append((parts.path, parse_qs(parts.query), agent, time.monotonic()))
        time.sleep(self.server.delay_s)
        replies: dict[str, object] = {"/search": NOMINATIM, "/reverse": NOMINATIM[0]}
        body = json.dumps(replies.get(parts.path, PHOTON)).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def direct(*, proxies: object, ssl_context: object) -> URLLibAdapter:
    """An adapter that asks the loopback device itself, whatever proxies are configured."""
    return URLLibAdapter(proxies={}, ssl_context=ssl_context)


@pytest.fixture
def server() -> Iterator[Stub]:
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    stub.shutdown()
    thread.join()
    stub.server_close()


Opener = Callable[..., NetworkGeocoder]


@pytest.fixture
def geocoder(server: Stub) -> Opener:
    def opened(
        service: Service = "nominatim", delay_s: float = 0.0, timeout_s: float = 5.0
    ) -> NetworkGeocoder:
        return NetworkGeocoder(
            service,
            server.url + ("/photon" if service == "photon" else ""),
            contact="someone@example.org",
            timeout_s=timeout_s,
            delay_s=delay_s,
            adapter=direct,
        )

    return opened


def test_nominatim_finds_and_says_who_asks(server: Stub, geocoder: Opener) -> None:
    places = geocoder().find("Paris", limit=5)
    assert [(p.name, p.country, p.admin1, p.population) for p in places] == [
        ("Paris", "FR", "Ile-de-France", 2_133_111),
        ("Paris", "US", "Texas", 0),
    ]
    (path, query, agent, _) = server.asked[0]
    assert (path, query["q"], query["limit"]) == ("/search", ["Paris"], ["5"])
    assert agent.startswith("graticule/")
    assert "someone@example.org" in agent


def test_countries_are_asked_for_and_checked(server: Stub, geocoder: Opener) -> None:
    places = geocoder().find("Paris", countries=["us"])
    assert [place.country for place in places] == ["US"]
    assert server.asked[0][1]["countrycodes"] == ["US"]
    assert geocoder().find("Paris", countries=[]) == []


def test_a_name_that_differs_scores_lower_and_is_no_exact_match(geocoder: Opener) -> None:
    assert {place.score for place in geocoder().find("Parys")} == {0.7}
    assert geocoder().find("Parys", fuzzy=False) == []


def test_photon_speaks_its_own_format(geocoder: Opener) -> None:
    (place,) = geocoder("photon").find("Paris", countries=["FR"])
    assert (place.name, place.country, place.admin1) == ("Paris", "FR", "Ile-de-France")
    assert (place.latitude, place.longitude) == (48.8534951, 2.3483915)


@pytest.mark.parametrize("service", ["nominatim", "photon"])
def test_reverse_gives_distance_and_keeps_the_country(service: Service, geocoder: Opener) -> None:
    ((place, kilometres),) = geocoder(service).nearest(48.85, 2.35)
    assert place.name == "Paris"
    assert kilometres == pytest.approx(0.41, abs=0.02)
    assert geocoder(service).nearest(48.85, 2.35, country="DE") == []


def test_a_server_of_another_kind_is_named(server: Stub) -> None:
    wrong = NetworkGeocoder("photon", server.url, delay_s=0, adapter=direct)
    with pytest.raises(UnavailableError, match="does not answer like photon") as raised:
        wrong.nearest(48.85, 2.35)
    assert not raised.value.retryable


def test_requests_are_spaced(server: Stub, geocoder: Opener) -> None:
    asking = geocoder(delay_s=0.3)
    asking.find("Paris")
    asking.nearest(48.85, 2.35)
    first, second = (asked[3] for asked in server.asked)
    assert second - first >= 0.28


@pytest.mark.parametrize(("status", "retryable"), [(503, True), (429, True), (403, False)])
def test_refusals_and_outages_are_told_apart(
    server: Stub, geocoder: Opener, status: int, retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geopy.extra.rate_limiter.RateLimiter._sleep", lambda self, seconds: None)
    server.status = status
    with pytest.raises(UnavailableError, match="nominatim at http") as raised:
        geocoder().find("Paris")
    assert raised.value.retryable is retryable


def test_a_server_that_is_not_there_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geopy.extra.rate_limiter.RateLimiter._sleep", lambda self, seconds: None)
    nobody = NetworkGeocoder("nominatim", "http://127.0.0.1:9", delay_s=0, adapter=direct)
    with pytest.raises(UnavailableError) as raised:
        nobody.find("Paris")
    assert raised.value.retryable


def test_a_server_that_is_slow_is_an_outage(
    server: Stub, geocoder: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geopy.extra.rate_limiter.RateLimiter._sleep", lambda self, seconds: None)
    server.delay_s = 0.5
    with pytest.raises(UnavailableError) as raised:
        geocoder(timeout_s=0.1).find("Paris")
    assert raised.value.retryable


@pytest.mark.parametrize("url", ["nominatim.example.org", "ftp://example.org", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="give https"):
        NetworkGeocoder("nominatim", url)


def test_only_a_configured_url_leaves_the_machine(tmp_path: Path) -> None:
    with Gazetteer.open(tmp_path / "g.sqlite", settlements=SETTLEMENTS) as gazetteer:
        assert network_geocoder() is None
        assert isinstance(gazetteer, Geocoder)
        with pytest.raises(ConfigError, match="GRATICULE_GEOCODER_URL"):
            network_geocoder("nominatim")
        asked = network_geocoder("photon", "https://photon.example.org")
        assert isinstance(asked, NetworkGeocoder)
        assert isinstance(asked, Geocoder)
