"""Arguments of the gallery commands: which gallery, which part of it, how far the work is."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from geo.errors import InputError

if TYPE_CHECKING:
    from index_builder.points import Where


class Place(click.ParamType):  # type: ignore[type-arg]  # generic only in some versions
    """`LATITUDE,LONGITUDE,KM`: a circle."""

    name = "LAT,LON,KM"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        """Return the three numbers."""
        try:
            latitude, longitude, radius_km = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not a circle; give latitude, longitude and kilometres such as "
                "48.86,2.35,25",
                param,
                ctx,
            )
        return latitude, longitude, radius_km


def where_of(
    *,
    countries: Sequence[str] = (),
    sources: Sequence[str] = (),
    within: tuple[float, float, float] | None = None,
    exclude_authors: Sequence[str] = (),
) -> "Where":
    """Return the condition that options state.

    Raises:
        InputError: a country that is none, or a circle off the globe.
    """
    from geo.regions import country_codes
    from index_builder.points import Circle, Where

    codes = [country.upper() for country in countries]
    if codes and (unknown := sorted(set(codes) - set(country_codes()))):
        raise InputError(
            f"unknown country {unknown[0]!r}; give ISO 3166-1 alpha-2 codes such as DE"
        )
    return Where(
        circle=Circle(*within) if within else None,
        countries=tuple(codes),
        sources=tuple(sources),
        exclude_authors=tuple(exclude_authors),
    )


def qdrant_key() -> str | None:
    """Return the key of Qdrant servers, `GRATICULE_QDRANT_API_KEY`; None where none is set."""
    from agent.settings import load_settings

    return load_settings().qdrant_api_key.get_secret_value() or None


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--country` and `--within`."""
    country = click.option(
        "--country", "countries", multiple=True, metavar="CODE", help="Only this country; repeat."
    )
    within = click.option("--within", type=Place(), help="Only within so many km of a place.")
    return country(within(command))


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows as aligned columns.

    Args:
        rows: the first is the head.
        right: columns that are flush right.
    """
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def size_text(size: float) -> str:
    """Return a number of bytes for people, in powers of 1,000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
