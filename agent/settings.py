"""Settings: one frozen object, built once at the edge (CLI, server) and passed down."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from agent.abstain import AnswerLoss, Rule
from agent.budget import Budget
from agent.model_settings import ModelSettings
from agent.page_settings import PageSettings
from agent.server_settings import ServerSettings
from agent.telemetry_settings import TelemetrySettings
from geo.errors import ConfigError
from geo.paths import home


class Settings(BaseSettings):
    """Everything that can be set from the environment, as `GRATICULE_NAME` (nested: `__`)."""

    model_config = SettingsConfigDict(
        env_prefix="GRATICULE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    home: Path = Field(default_factory=home)
    """Where the photo store, traces, the gazetteer and weights live."""
    budget: Budget = Budget()
    geocoder: Literal["offline", "nominatim", "photon"] = "offline"
    geocoder_url: str = ""
    """Base address of the Nominatim or Photon server; nothing is asked over the network without."""
    geocoder_contact: str = ""
    """E-mail or page that a geocoding server's operator may use; sent in the user agent."""
    model: ModelSettings = ModelSettings()
    """The chat model that drives a run; without one the `pipeline` driver does."""
    galleries: tuple[str, ...] = ()
    """Folders or addresses of galleries that are searched where none is named; JSON list."""
    recipe: str = "auto"
    """Name of the recipe; `auto` is `agentic` with a model and `pipeline` without."""
    calibration: Path | None = None
    """File of a calibration, or `none`; by default the one stored with the recipe, if any."""
    abstain: AnswerLoss = AnswerLoss()
    """What answers cost: it decides where a coordinate counts as located."""
    point: Rule | None = None
    """How belief's point is chosen, instead of the recipe's way: loss, mode, mean or medoid."""
    overpass_url: str = ""
    """Address of an Overpass server's interpreter, for `find_related_places`; none is public."""
    server: ServerSettings = ServerSettings()
    """What the HTTP server takes upon itself, and from whom."""
    sessions_url: SecretStr = SecretStr("")
    """`postgresql://USER@HOST/DATABASE` for sessions; empty for a file in the home folder."""
    disclosure: Literal["exact", "city", "region", "country", "none"] = "exact"
    """How finely places may be told at most: by every face of the server, in what commands print
    and write for others, in reports and exports. See `agent.disclosure` and `agent.told_sessions`.
    Below `exact` steps, evidence and the words of models are withheld, models ask nothing back,
    and single tools are not offered. What is stored stays exact: sessions, traces (`graticule
    trace` reads them as they are), photos, spans sent to `telemetry`."""
    page: PageSettings = PageSettings()
    """Of the page in the browser: tiles, which are asked for over the network."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Where runs are reported to as OpenTelemetry spans; nowhere without an endpoint."""
    qdrant_url: str = ""
    """Address of a Qdrant server, for `doctor`."""
    qdrant_api_key: SecretStr = SecretStr("")
    """For galleries in a Qdrant server that asks for one; never written to a gallery."""
    hub_url: str = "https://huggingface.co"
    """Where `weights get` downloads from: the public hub, or a mirror of the same layout."""

    @property
    def photos(self) -> Path:
        """Folder of the photo store."""
        return self.home / "photos"

    @property
    def traces(self) -> Path:
        """Folder of traces that were not given a path."""
        return self.home / "traces"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigError: a variable has a value that does not fit; the message names it.
    """
    try:
        return Settings()
    except SettingsError as error:
        field = str(error).split('"')[1].upper()  # it carries the name nowhere else
        raise ConfigError(
            f"GRATICULE_{field} is not valid JSON; correct it, or set one value of it, such as "
            "GRATICULE_BUDGET__STEPS=12"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = "GRATICULE_" + "__".join(str(part).upper() for part in first["loc"])
        raise ConfigError(
            f"{name}={first['input']!r}: {first['msg']}; correct it or unset it"
        ) from None
