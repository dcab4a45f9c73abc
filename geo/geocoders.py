"""Geocoders behind one interface: the offline gazetteer, and Nominatim or Photon by URL.

Network geocoders are used only where a URL is configured. They ask at most once a second, as
the usage policy of the public Nominatim demands, and say who asks.
"""

from collections.abc import Callable, Collection
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from geo.errors import ConfigError, UnavailableError
from geo.gazetteer import Place
from geo.names import fold

if TYPE_CHECKING:
    from geopy.geocoders.base import Geocoder as GeopyGeocoder

Service = Literal["nominatim", "photon"]


@runtime_checkable
class Geocoder(Protocol):
    """Place names to coordinates and back."""

    @property
    def source(self) -> str:
        """What candidates found here name as their source."""

    def find(
        self,
        name: str,
        countries: Collection[str] | None = None,
        limit: int = 10,
        fuzzy: bool = True,
    ) -> list[Place]:
        """Return places called `name`, the best first; in `countries` only, where given."""

    def nearest(
        self, latitude: float, longitude: float, country: str | None = None, limit: int = 1
    ) -> list[tuple[Place, float]]:
        """Return the nearest places and their distances in km, in `country` only, where given."""


class NetworkGeocoder:
    """Nominatim or Photon through geopy; safe to share between threads."""

    def __init__(
        self,
        service: Service,
        url: str,
        *,
        contact: str = "",
        timeout_s: float = 10.0,
        delay_s: float = 1.0,
        adapter: Callable[..., object] | None = None,
    ) -> None:
        """Prepare to ask a server; nothing is sent yet.

        Args:
            service: which of the two protocols the server speaks.
            url: its address, `https://nominatim.example.org`.
            contact: e-mail or page put into the user agent, as public servers ask for.
            timeout_s: seconds to wait for one reply.
            delay_s: least seconds between two requests.
            adapter: a geopy adapter factory in place of the installed default.

        Raises:
            ConfigError: the URL is not one.
        """
        from geopy.extra.rate_limiter import RateLimiter

        self.source: str = service
        self.url = url
        self._client = _client(service, url, contact, timeout_s, adapter)
        self._ask = RateLimiter(
            lambda method, *values, **options: getattr(self._client, method)(*values, **options),
            min_delay_seconds=delay_s,
            max_retries=1,
            error_wait_seconds=max(1.0, delay_s),
            swallow_exceptions=False,
        )

    def find(
        self,
        name: str,
        countries: Collection[str] | None = None,
        limit: int = 10,
        fuzzy: bool = True,
    ) -> list[Place]:
        """Return what the server calls `name`; see `Geocoder.find`.

        Args:
            name: in any language; the server decides what it forgives.
            countries: ISO 3166-1 alpha-2 codes to search in; everywhere by default.
            limit: how many at most.
            fuzzy: keep places whose name differs from the one asked for.

        Raises:
            UnavailableError: the server does not answer, or refuses.
        """
        allowed = None if countries is None else {code.upper() for code in countries}
        if allowed is not None and not allowed:
            return []
        options: dict[str, Any] = {"exactly_one": False, "limit": limit, "language": "en"}
        if self.source == "nominatim":
            codes = sorted(allowed) if allowed else None
            options |= {"country_codes": codes, "addressdetails": True, "extratags": True}
        places = self._reply("geocode", name, name, options)
        return [
            place
            for place in places
            if (allowed is None or place.country in allowed) and (fuzzy or place.score == 1.0)
        ][:limit]

    def nearest(
        self, latitude: float, longitude: float, country: str | None = None, limit: int = 1
    ) -> list[tuple[Place, float]]:
        """Return the places the server finds at a position; see `Geocoder.nearest`.

        Raises:
            UnavailableError: the server does not answer, or refuses.
        """
        from geo.sphere import distance_km

        options: dict[str, Any] = {"exactly_one": False, "language": "en"}
        found = []
        for place in self._reply("reverse", (latitude, longitude), "", options):
            if country is None or place.country == country.upper():
                away = distance_km(latitude, longitude, place.latitude, place.longitude)
                found.append((place, float(away)))
        return sorted(found, key=lambda pair: pair[1])[:limit]

    def _reply(self, method: str, query: object, name: str, options: dict[str, Any]) -> list[Place]:
        """Ask once and read the reply; outages are told from refusals."""
        from geopy import exc

        refusals = (
            exc.GeocoderAuthenticationFailure,
            exc.GeocoderInsufficientPrivileges,
            exc.GeocoderParseError,
            exc.GeocoderQueryError,
        )
        try:
            reply = self._ask(method, query, **options) or []
            return [_as_place(location.raw, name) for location in reply]
        except exc.GeopyError as error:
            raise UnavailableError(
                f"geocoder {self.source} at {self.url} failed ({type(error).__name__}: "
                f"{str(error)[:120]}); check GRATICULE_GEOCODER_URL or use the offline gazetteer",
                retryable=not isinstance(error, refusals),
            ) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # geopy reads replies without checking them.
            raise UnavailableError(
                f"geocoder at {self.url} does not answer like {self.source} "
                f"({type(error).__name__}: {str(error)[:120]}); check GRATICULE_GEOCODER"
            ) from error


def _client(
    service: Service,
    url: str,
    contact: str,
    timeout_s: float,
    adapter: Callable[..., object] | None,
) -> "GeopyGeocoder":
    """Return the geopy client of a server."""
    from geopy.geocoders import Nominatim, Photon

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"geocoder URL {url!r} is no http(s) address; give https://HOST[/PATH]")
    agent = f"graticule/{version('graticule')}" + (f" ({contact})" if contact else "")
    maker = {"nominatim": Nominatim, "photon": Photon}[service]
    return maker(
        domain=parts.netloc + parts.path.rstrip("/"),
        scheme=parts.scheme,
        user_agent=agent,
        timeout=timeout_s,
        adapter_factory=adapter,
    )


def _as_place(raw: dict[str, Any], asked: str) -> Place:
    """Read one result of Nominatim (flat) or Photon (a GeoJSON feature)."""
    if "geometry" in raw:
        longitude, latitude = raw["geometry"]["coordinates"][:2]
        about = raw.get("properties", {})
        name, country, admin1 = about.get("name", ""), about.get("countrycode", ""), about
        population = 0
    else:
        latitude, longitude = raw["lat"], raw["lon"]
        admin1 = raw.get("address", {})
        country = admin1.get("country_code", "")
        name = raw.get("name") or str(raw.get("display_name", "")).partition(",")[0]
        population = _count((raw.get("extratags") or {}).get("population", ""))
    same = not asked or fold(name) == fold(asked.partition(",")[0])
    return Place(
        geoname_id=0,
        name=name,
        latitude=float(latitude),
        longitude=float(longitude),
        country=country.upper(),
        admin1=admin1.get("state", ""),
        population=population,
        matched=name,
        score=1.0 if same else 0.7,
    )


def _count(text: object) -> int:
    """Read a population tag; anything but digits is no population."""
    digits = str(text).replace(",", "").replace(" ", "")
    return int(digits) if digits.isdecimal() else 0


def network_geocoder(
    service: Literal["offline", "nominatim", "photon"] = "offline",
    url: str = "",
    contact: str = "",
) -> NetworkGeocoder | None:
    """Return the geocoder that settings ask for; None where the gazetteer is to answer.

    Raises:
        ConfigError: a network geocoder is chosen without a URL.
    """
    if service == "offline":
        return None
    if not url:
        raise ConfigError(
            f"geocoder {service!r} needs a server: set GRATICULE_GEOCODER_URL, or choose 'offline'"
        )
    return NetworkGeocoder(service, url, contact=contact)
