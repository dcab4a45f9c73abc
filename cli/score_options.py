"""What `evaluate score` and `evaluate compare` are told of how to measure: one set of options."""

import functools
from collections.abc import Callable
from typing import Any

import click

from geo.errors import InputError

OPTIONS = (
    click.option(
        "--distance",
        type=click.Choice(["haversine", "wgs84"]),
        default="haversine",
        show_default=True,
        help="Sphere of 6371 km, as most published tables, or geodesics on the ellipsoid.",
    ),
    click.option(
        "--operator",
        type=click.Choice(["le", "lt"]),
        default="le",
        show_default=True,
        help="A photo counts at distance <= threshold (le), or < threshold (lt).",
    ),
    click.option(
        "--thresholds",
        metavar="KM,KM,...",
        default="1,25,200,750,2500",
        show_default=True,
        help="Distances of the accuracies, in km.",
    ),
    click.option(
        "--bootstrap",
        metavar="N",
        type=click.IntRange(0, 100_000),
        default=2000,
        show_default=True,
        help="Resamples for the intervals; 0 for no intervals.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32),
        default=20180914,
        show_default=True,
        help="Of the resamples; equal seeds give equal intervals.",
    ),
    click.option(
        "--slices",
        metavar="COLUMN,...",
        default="",
        help="Also for each label of these columns of the truth; country is always there.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else."),
)


def measuring_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options above; it gets keywords for `score` and `compare`."""

    @functools.wraps(command)
    def measured(*args: Any, thresholds: str, slices: str, **options: Any) -> None:
        options["thresholds_km"] = numbers(thresholds)
        options["slices"] = tuple(dict.fromkeys(parts(slices)))
        command(*args, **options)

    for option in reversed(OPTIONS):
        measured = option(measured)
    return measured


def numbers(text: str) -> tuple[float, ...]:
    """Return the distances of `1,25,200`.

    Raises:
        InputError: one is no number.
    """
    try:
        return tuple(float(part) for part in parts(text))
    except ValueError:
        raise InputError(
            f"--thresholds {text!r:.80} are no numbers; give km with commas between: 1,25,200"
        ) from None


def parts(text: str) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
