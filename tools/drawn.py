"""A region that a person draws, as evidence."""

from collections.abc import Mapping

from pydantic import JsonValue

from tools.evidence import Evidence


def drawn_evidence(region: Mapping[str, JsonValue]) -> Evidence:
    """Return a drawn region as evidence.

    Args:
        region: GeoJSON geometry or feature, Polygon or MultiPolygon, longitude before latitude;
            a feature's property `inside` false says that the photo was not taken there.

    Raises:
        InputError: it is no such geometry, or it is degenerate.
    """
    raise NotImplementedError
