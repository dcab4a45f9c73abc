"""Where runs are reported to as OpenTelemetry spans, and what is left out of them."""

from urllib.parse import urlsplit

from pydantic import ConfigDict, SecretStr

from tools.evidence import Record

TRACES = "/v1/traces"


class TelemetrySettings(Record):
    """A collector of OpenTelemetry spans (extra `telemetry`); nothing is sent without one."""

    # Not strict: from the environment every value comes as text.
    model_config = ConfigDict(strict=False)

    endpoint: str = ""
    """OTLP/HTTP address, such as `http://127.0.0.1:6006`; `/v1/traces` is added where missing."""
    headers: SecretStr = SecretStr("")
    """`name=value` pairs with commas between them, such as an API key; never shown."""
    hide_inputs: bool = False
    """Leave out what went in: hints, words, arguments, requests, prompts' names."""
    hide_images: bool = False
    """Leave out the ids of photos."""
    service_name: str = "graticule"

    @property
    def url(self) -> str:
        """The address that spans are posted to."""
        plain = self.endpoint.rstrip("/")
        return plain if plain.endswith(TRACES) else plain + TRACES

    @property
    def shown(self) -> str:
        """The address without user, password and query."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    def header_pairs(self) -> dict[str, str]:
        """Return the headers by name, in lower case."""
        pairs = (one.partition("=") for one in self.headers.get_secret_value().split(","))
        return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
