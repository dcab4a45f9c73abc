"""Which settings shape a batch's rows, so that rows of others are not mixed with them."""

from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    from agent.geolocator import Geolocator

MODEL_KEYS = {"provider", "name", "temperature", "seed", "max_tokens", "image_side_px", "images"}
"""Settings of a model that shape its answers; where it is served does not."""
SETTINGS_KEYS = {"budget", "geocoder", "geocoder_url", "recipe", "overpass_url", "abstain"}


def settings_of(
    geolocator: "Geolocator", *, trust_metadata: bool = False, **stated: JsonValue
) -> dict[str, JsonValue]:
    """Return the settings that shape a batch's rows, flat: rows of others are not mixed with them.

    Args:
        geolocator: whose settings and galleries count.
        trust_metadata: see `Geolocator.locate`.
        stated: what was said to the geolocator besides: its encoder, its places.
    """
    settings = geolocator.settings
    shown = settings.model_dump(mode="json", include=SETTINGS_KEYS)
    model = settings.model.model_dump(mode="json", include=MODEL_KEYS)
    # A model without a name is the server's first one: then the server tells which it is.
    shown["model"] = model if model["name"] else model | {"url": settings.model.url}
    galleries: list[JsonValue] = [
        f"{gallery.name} ({gallery.manifest.kind}, {gallery.manifest.photos} of "
        f"{gallery.manifest.encoder.fingerprint[:12]})"
        for gallery in geolocator.bench.galleries
    ]
    shown |= {"galleries": galleries, "trust_metadata": trust_metadata}
    calibrated_by = geolocator.calibration.version if geolocator.calibration else ""
    shown |= {"point": geolocator.recipe.point, "calibration": calibrated_by}
    shown |= stated
    return {
        f"{name}.{key}" if key else name: value
        for name, held in shown.items()
        for key, value in (held.items() if isinstance(held, dict) else [("", held)])
    }
