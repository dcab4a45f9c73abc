"""The `check_sun` tool: where a shadow or the height of the sun puts a photo of a known time.

What was measured comes from whoever looks at the photo: a model or a person, never from pixels
here. An error of a few degrees moves the band by hundreds of kilometres, and a clock that was not
set or a shadow on a slope moves it anywhere. `WEIGHT` is a choice of caution, not a figure.
"""

from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import JsonValue

from tools.evidence import (
    Evidence,
    Picture,
    ToolError,
    ToolOutcome,
    ToolReply,
)
from tools.sun_arguments import (
    SunArguments,
    measured_text,
    place_of,
    seen_of,
    span_of,
    when_text,
)
from tools.sun_band import (
    CELL_DEG,
    Places,
    Span,
    country_shares,
    fitting,
    land,
    land_share,
    settled,
)
from tools.sun_place import PlaceReport, report_at
from tools.sun_sky import DAY_S, Seen, overhead, sun_vectors

if TYPE_CHECKING:
    from geo.sphere import FloatArray
    from tools.workbench import Workbench

WEIGHT = 0.3
"""How often a measurement stated by who looks is taken to be right: nobody has counted."""
LEAST_POPULATION = 5_000
"""Of the settlements over which countries share; as many as the prior of belief has."""
SHOWN_COUNTRIES = 8

DESCRIPTION = (
    "From a known date and time, tell where on land the sun stood as it was measured on the photo: "
    "its height (elevation_deg, or length_ratio = height of an upright object / length of its "
    "shadow on level ground) and, where true north is known, its direction (sun_azimuth_deg or "
    "shadow_bearing_deg). Gives country shares and a map. With at_latitude and at_longitude it "
    "also tells how high the sun stood there, its direction and shadows, and whether that fits; "
    "that works without a measurement."
)


def make_check_sun(bench: "Workbench") -> BaseTool:
    """Make the tool that compares what was seen of the sun with where it stood."""

    def check_sun(start: str, **options: object) -> ToolReply:
        asked = SunArguments.model_validate({"start": start, **options})
        span, seen, place = span_of(asked), seen_of(asked), place_of(asked)
        if seen is None and place is None:
            raise ToolError(
                "nothing to compare: give elevation_deg, length_ratio, sun_azimuth_deg or "
                "shadow_bearing_deg, or a place by at_latitude and at_longitude"
            )
        report = report_at(*place, span, seen) if place else None
        data: dict[str, JsonValue] = {
            "start": asked.start,
            "end": asked.end,
            "local": asked.local,
            "measured": measured_text(asked, seen) if seen else "",
            "at": report.data() if report else None,
        }
        if seen is None:
            assert report is not None
            return f"{when_text(asked)}: {report.text()}", ToolOutcome(data=data)
        return _band_reply(bench, asked, span, seen, report, data)

    return StructuredTool.from_function(
        check_sun,
        name="check_sun",
        description=DESCRIPTION,
        args_schema=SunArguments,
        response_format="content_and_artifact",
    )


def _band_reply(
    bench: "Workbench",
    asked: SunArguments,
    span: Span,
    seen: Seen,
    report: PlaceReport | None,
    data: dict[str, JsonValue],
) -> ToolReply:
    """Return where on land it fits, as text, evidence and a map."""
    ground = land()
    shares = fitting(ground.places, span, seen)
    part = land_share(ground.places, shares)
    towns = settled(bench.gazetteer.settlements(LEAST_POPULATION))
    countries = country_shares(towns, fitting(towns, span, seen))
    said = _fitting_text(asked, seen, span, part)
    rounded: dict[str, JsonValue] = {code: round(share, 4) for code, share in countries.items()}
    data |= {"land_share": round(part, 6), "countries": rounded}
    evidence = _evidence(said, countries) if countries else None
    if evidence:
        lines = [
            evidence.summary,
            f"Evidence {evidence.id}, weight {WEIGHT:g}: what was measured is taken as stated, "
            "nothing was measured here.",
        ]
    elif part:
        lines = [f"{said}. No town of {LEAST_POPULATION:,} people is there: no evidence."]
    else:
        lines = [f"{said}. {_mistakes(ground.places, span, seen)}"]
    if report:
        lines.append(report.text())
    picture = _picture(bench, asked, seen, span, part, shares, report)
    return "\n".join(lines), ToolOutcome(
        evidence=(evidence,) if evidence else (), pictures=(picture,), data=data
    )


def _fitting_text(asked: SunArguments, seen: Seen, span: Span, part: float) -> str:
    """Say what was measured and how much land has it."""
    sometime = " at some instant" if span.end_s > span.start_s else ""
    much = f"{_percent(part)} of land" if part else f"no land (cells of {CELL_DEG:g} degrees)"
    return f"{measured_text(asked, seen)}, {when_text(asked)}: fits {much}{sometime}"


def _evidence(said: str, countries: dict[str, float]) -> Evidence:
    """Return the countries as evidence."""
    shown = list(countries.items())[:SHOWN_COUNTRIES]
    more = len(countries) - len(shown)
    ranked = ", ".join(f"{code} {share:.0%}" for code, share in shown)
    return Evidence(
        tool="check_sun",
        kind="region",
        summary=f"{said}; by towns {ranked}" + (f" and {more} more." if more else "."),
        countries=countries,
        weight=WEIGHT,
        group="sun",
    )


def _picture(
    bench: "Workbench",
    asked: SunArguments,
    seen: Seen,
    span: Span,
    part: float,
    shares: "FloatArray",
    report: PlaceReport | None,
) -> Picture:
    """Draw the map into the photo store."""
    from tools.sun_picture import draw_band

    single = span.start_s == span.end_s and not span.local
    sun = overhead(sun_vectors([span.start_s])[0]) if single else None
    place = (report.latitude, report.longitude) if report else None
    title, facts = measured_text(asked, seen), f"{when_text(asked)}; {_percent(part)} of land fits"
    canvas = draw_band(land().cells, shares, title, facts, place, sun)
    drawn = bench.photos.add_image(canvas, "map of where the sun fits")
    return Picture(photo_id=drawn.id, caption=_fitting_text(asked, seen, span, part) + ".")


def _mistakes(places: Places, span: Span, seen: Seen) -> str:
    """Say which slip of whoever measured would explain that nothing fits."""
    later = Span(span.start_s + DAY_S / 2, span.end_s + DAY_S / 2, span.local)
    tried = [("12 hours later or earlier (am for pm)", later, seen)]
    if seen.azimuth_deg is not None:
        turned = Seen(
            seen.lowest_deg, seen.highest_deg, (seen.azimuth_deg + 180) % 360, seen.within_deg
        )
        tried.append(("with the opposite direction (shadow for sun)", span, turned))
        tried.append(("without the direction", span, Seen(seen.lowest_deg, seen.highest_deg)))
    found = [
        f"{what} {_percent(part)} of land would fit"
        for what, when, other in tried
        if (part := land_share(places, fitting(places, when, other)))
    ]
    return (
        f"Check what was measured: {'; '.join(found)}."
        if found
        else "Check the time and what was measured: only the sea, or less land than a cell, has it."
    )


def _percent(part: float) -> str:
    """Return a share with two digits: 0.38 %, 7.2 %, 45 %."""
    if 0 < part < 1e-5:
        return "under 0.001 %"
    return f"{100 * part:.2g} %" if part < 0.995 else f"{100 * part:.0f} %"
