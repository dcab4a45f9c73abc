"""What there is to say of a gallery without looking at its points: names, coverage, size."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from geo.areas import area_km2
from geo.regions import country_codes, country_name, country_polygon
from index_builder.gallery import Gallery
from index_builder.manifest import Manifest


class Coverage(BaseModel):
    """How well a gallery covers a country."""

    country: str
    """ISO 3166-1 alpha-2; empty at sea."""
    name: str
    photos: int
    share: float
    """Of all photos, 0 to 1."""
    per_million_km2: float | None = None
    """Density; None at sea."""


class DiskUse(BaseModel):
    """What a gallery takes on this machine, in bytes."""

    points: int = 0
    copies: int = 0
    features: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.points + self.copies + self.features + self.other


class GalleryFacts(BaseModel):
    """What `graticule gallery info` tells."""

    name: str
    path: str
    manifest: Manifest
    photos: int
    coverage: tuple[Coverage, ...]
    """The fullest country first."""
    disk: DiskUse | None
    """None where only a server has it."""


def gallery_facts(gallery: Gallery) -> GalleryFacts:
    """Return what is known of an open gallery."""
    stated = gallery.info()
    return GalleryFacts(
        name=gallery.name,
        path=str(stated["path"]),
        manifest=gallery.manifest,
        photos=len(gallery),
        coverage=tuple(coverage(gallery.manifest.counts.countries, areas=False)),
        disk=disk_use(gallery.path) if gallery.path else None,
    )


def coverage(counts: Mapping[str, int], *, areas: bool = True) -> list[Coverage]:
    """Return how well each country is covered, the fullest first.

    Args:
        counts: photos by code.
        areas: work out densities too; the first time that takes a second.
    """
    total = max(1, sum(counts.values()))
    return [
        Coverage(
            country=code,
            name=country_name(code) if code else "at sea",
            photos=count,
            share=count / total,
            per_million_km2=1e6 * count / area_of(code) if areas and area_of(code) else None,
        )
        for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if count
    ]


def uncovered(counts: Mapping[str, int]) -> list[str]:
    """Return the codes of countries and territories without a photo, the largest first."""
    without = [code for code in country_codes() if not counts.get(code)]
    return sorted(without, key=lambda code: (-area_of(code), code))


@cache
def area_of(code: str) -> float:
    """Return a country's area in square kilometres; 0 for a code without a polygon."""
    return area_km2(country_polygon(code)) if code in country_codes() else 0.0


def disk_use(folder: Path) -> DiskUse:
    """Return what a gallery's folder takes."""
    parts = {"points": "points", "photos": "copies", "features": "features"}
    sizes = dict.fromkeys([*parts.values(), "other"], 0)
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except OSError:  # written and renamed meanwhile
            continue
        if not path.is_dir():
            kind = parts.get(path.relative_to(folder).parts[0], "other")
            # Stores keep files far longer than what they hold: count blocks, where they are known.
            blocks = getattr(status, "st_blocks", None)
            sizes[kind] += status.st_size if blocks is None else 512 * blocks
    return DiskUse(**sizes)
