"""What became different from one answer to another, in words: `moved 412 km, Spain 62 % -> 3 %`."""

from agent.answer import Answer
from agent.report_format import distance, percent
from tools.evidence import Evidence

MOST_COUNTRIES = 3
LEAST_SHARE = 0.05
"""A country whose share changed by less is not told of."""
LEAST_RATIO = 1.05
"""A radius that changed by less is the same."""
ARROW = "→"
SAME_PLACE = "same coordinate"


def changes(before: Answer, after: Answer) -> tuple[str, ...]:
    """Return what a revision changed, the weightiest first; empty where nothing did.

    Args:
        before: the answer of the revision before, or of another branch.
        after: the later one.

    Returns:
        Phrases in plain text, names of countries as `geo.regions` has them.
    """
    told = [_status(before, after), _moved(before, after), _radius(before, after)]
    told += [*_countries(before, after), _evidence(before, after)]
    found = tuple(filter(None, told))
    return () if found == (SAME_PLACE,) else found


def moved_km(before: Answer, after: Answer) -> float | None:
    """Return how far apart two answers lie, km on WGS84; None where one has no coordinate."""
    places = [(one.latitude, one.longitude) for one in (before, after)]
    (lat_1, lon_1), (lat_2, lon_2) = places
    if lat_1 is None or lon_1 is None or lat_2 is None or lon_2 is None:
        return None
    from geo.sphere import distance_km  # loads pyproj

    return float(distance_km(lat_1, lon_1, lat_2, lon_2))


def counting_ids(answer: Answer) -> dict[str, Evidence]:
    """Return the evidence that has an effect, by id: neither shown only nor withdrawn."""
    return {item.id: item for item in answer.evidence if item.weight > 0}


def _status(before: Answer, after: Answer) -> str:
    if before.status == after.status:
        return ""
    return f"{before.status} {ARROW} {after.status}"


def _moved(before: Answer, after: Answer) -> str:
    km = moved_km(before, after)
    if km is None:
        return ""
    return f"moved {distance(km)}" if km >= 0.001 else SAME_PLACE


def _radius(before: Answer, after: Answer) -> str:
    if before.radii is None or after.radii is None:
        return ""
    was, now = before.radii.km_50, after.radii.km_50
    if max(was, now) < LEAST_RATIO * min(was, now):
        return ""
    return f"50 % radius {distance(was)} {ARROW} {distance(now)}"


def _countries(before: Answer, after: Answer) -> list[str]:
    from geo.regions import country_name

    was, now = before.countries, after.countries
    by_change = {
        code: abs(now.get(code, 0.0) - was.get(code, 0.0)) for code in {**was, **now}
    }  # fmt: skip
    felt = [code for code, change in by_change.items() if change >= LEAST_SHARE]
    felt.sort(key=lambda code: (-by_change[code], code))
    return [
        f"{country_name(code)} {_share(was.get(code, 0.0))} {ARROW} {_share(now.get(code, 0.0))}"
        for code in felt[:MOST_COUNTRIES]
    ]


def _share(share: float) -> str:
    """Return a share; a country that is not listed has little, which is not nothing."""
    return percent(share) if share else "< 1 %"


def _evidence(before: Answer, after: Answer) -> str:
    was, now = counting_ids(before), counting_ids(after)
    counts = {
        "new": len(now.keys() - was.keys()),
        "no longer counted": len(was.keys() - now.keys()),
    }
    told = [f"{count} {words}" for words, count in counts.items() if count]
    return f"evidence: {', '.join(told)}" if told else ""
