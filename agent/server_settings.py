"""What the HTTP server takes upon itself, and from whom."""

from pydantic import ConfigDict, Field

from tools.evidence import Record


class ServerSettings(Record):
    """Limits and doors of the HTTP server."""

    # Not strict: from the environment every number comes as text.
    model_config = ConfigDict(strict=False)

    hosts: tuple[str, ...] = ()
    """Names by which clients may call it beside those of this machine, such as `geo.example.org`;
    requests under other names are refused, so that no web page reaches it by its own DNS."""
    origins: tuple[str, ...] = ()
    """Web pages elsewhere that may call it, such as `https://chat.example.org`."""
    body_bytes: int = Field(default=80_000_000, ge=1_000)
    """Of one request: a photo of 50 MB as base64, and its words."""
    memory_bytes: int = Field(default=1_000_000_000, ge=1_000)
    """Held at once by the bodies of all requests."""
    receive_s: float = Field(default=30.0, gt=0)
    """Time a client has to send its body."""
    rate_per_minute: int = Field(default=600, ge=1)
    """Requests that a key may make, unless it was made with another rate."""
    fetch_urls: bool = False
    """Whether photos are fetched from addresses that clients give; guarded, see
    `server.fetching`."""
    fetch_s: float = Field(default=20.0, gt=0)
    """Time for fetching one photo, redirects included."""
    fetch_bytes: int = Field(default=50_000_000, ge=1_000)
    """Of one fetched photo."""
