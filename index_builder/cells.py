"""A gallery of cells: S2 cells with one vector each, made of photos and of aerial tiles.

    code = unit(kappa * prototype of the parent + aerial tiles of the cell)

Lindenberger et al., Scaling Image Geo-Localization to Continent Level, NeurIPS 2025 (arXiv
2510.26795). Prototypes are learned where the encoder is `cellcodes`; for any other encoder they
are averaged from the photos of a gallery, which is ours and not the paper's. A cell known by one
of the two alone has that as its code, and a prototype without any tile stands for its whole cell:
its children would be told apart by nothing.

The gallery is made beside its place and renamed when it is whole: a build that was killed leaves
nothing that opens, and the tiles it encoded are not encoded again.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from encoders.base import Encoder
from encoders.photo_file import printable
from geo.cells import centres, parents
from geo.errors import InputError
from index_builder.cell_kappa import Kappa, calibrated_kappa
from index_builder.cell_plan import (
    CODE_LEVEL,
    PROTOTYPE_LEVEL,
    Plan,
    made_from,
    planned,
    settings_of,
    width_km,
)
from index_builder.cell_prototypes import Averaged, Prototypes, Survey, Tell, rows_in, survey
from index_builder.cell_tables import learned_tables
from index_builder.cell_tiles import KEPT, Tiles, encode_tiles, tile_encoder, tiles_digest
from index_builder.cell_writing import no_tiles, write_cells
from index_builder.files import PARTIAL, FolderLock, write_atomically
from index_builder.gallery import Gallery
from index_builder.gallery_opening import attach
from index_builder.manifest import Manifest, read_manifest
from index_builder.points import IndexSettings
from index_builder.records import Rejected, Source

TEMPERATURE = 1 / 0.07
"""Factor on cosines where none was trained for the space: where contrastive training begins."""


@dataclass(frozen=True)
class CellsReport:
    """What a build of cells did."""

    path: Path
    cells: int
    prototypes: int
    """Cells of the coarser level that have a prototype."""
    aerial: int
    """Cells whose code holds an aerial tile."""
    photos: int
    """Photos of the gallery that it was made from."""
    left_out: int
    """Photos whose position is known less well than a cell is wide."""
    tiles: int
    kappa: Kappa
    rejected: tuple[Rejected, ...]
    unchanged: bool
    """Whether the same cells were there already."""
    seconds: float


def build_cells(
    gallery: Gallery,
    out: Path | str,
    *,
    prototype_level: int = PROTOTYPE_LEVEL,
    code_level: int = CODE_LEVEL,
    tiles: Source | None = None,
    encoder: Encoder | None = None,
    kappa: float | None = None,
    min_photos: int = 1,
    space: str = "",
    replace: bool = False,
    index: IndexSettings | None = None,
    progress: Tell | None = None,
) -> CellsReport:
    """Make a gallery of cells from an open gallery of photos.

    The same photos, tiles and settings give the same cells; where these are at `out` already,
    nothing is done.

    Args:
        gallery: of photos, of any encoder.
        out: folder of the new gallery.
        prototype_level: S2 level of prototypes.
        code_level: S2 level of codes, the same or up to 6 finer.
        tiles: aerial tiles with positions; of several in a cell the unit mean is taken.
        encoder: that of the gallery; by default what the gallery says it was built with. Needed
            only for tiles and for learned prototypes.
        kappa: factor on prototypes in the sum; by default calibrated by photos that are held out
            where there are enough of them, 1 where not, and the encoder's own for `cellcodes`.
        min_photos: fewer photos make no prototype.
        space: which of the gallery's spaces; by default the first of those a search compares.
        replace: put the new gallery in the place of another gallery of cells.
        index: how vectors are kept.
        progress: told stage, done and total.

    Raises:
        InputError: no gallery of photos, another encoder's, a level or factor out of range,
            nothing to make cells of, or something else at `out`.
        UnavailableError: a gallery is open elsewhere, or weights or a package are missing.
    """
    started = time.monotonic()
    plan = planned(gallery, Path(out).absolute(), space, encoder, tiles is not None, progress,
                   prototype_level=prototype_level, code_level=code_level, kappa=kappa,
                   min_photos=min_photos)  # fmt: skip
    found = survey(gallery, code_level, width_km(prototype_level), plan.tell)
    if plan.out.exists():
        asked = made_from(plan, found, tiles_digest(tiles) if tiles else "")
        if same := _unchanged(plan, asked, replace=replace, started=started):
            return same
    work = plan.out.with_name(f"{PARTIAL}{plan.out.name}")
    lock = _work_in(work)
    try:
        report = _built(plan, found, tiles, work, lock, index or IndexSettings(), started)
    except BaseException:
        lock.release()
        if not any(work.glob(KEPT)):
            shutil.rmtree(work, ignore_errors=True)
        raise
    _put(work, plan.out)
    return report


def _unchanged(plan: Plan, asked: str, *, replace: bool, started: float) -> CellsReport | None:
    """Return a report where `out` holds these very cells; None where it may be made anew."""
    shown = repr(printable(str(plan.out)))
    if plan.out.is_dir() and not any(plan.out.iterdir()):
        return None
    manifest = read_manifest(plan.out)
    if manifest.kind != "cells":
        raise InputError(f"{shown} is a gallery of {manifest.kind}; choose another folder")
    if manifest.settings.get("made_from") == asked:
        return _report(manifest, plan.out, (), time.monotonic() - started, unchanged=True)
    if not replace:
        raise InputError(
            f"{shown} holds cells made of other photos, tiles or settings; choose another folder, "
            "or replace them (--replace)"
        )
    FolderLock(plan.out).release()  # what is open cannot be replaced: say so before the work
    return None


def _work_in(work: Path) -> FolderLock:
    """Make or take over the folder of an unfinished build; only its tiles are kept."""
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {printable(str(work))!r} ({error.strerror}); choose a folder you may "
            "write to"
        ) from None
    lock = FolderLock(work)
    shutil.rmtree(work / "points", ignore_errors=True)
    (work / "manifest.json").unlink(missing_ok=True)
    return lock


def _built(
    plan: Plan,
    found: Survey,
    source: Source | None,
    work: Path,
    lock: FolderLock,
    index: IndexSettings,
    started: float,
) -> CellsReport:
    """Write the gallery into `work` and close it."""
    tiles, tiles_sha256, way = None, "", "none"
    if source is not None:
        assert plan.encoder is not None
        encode, way = tile_encoder(plan.encoder, plan.space)
        identity = f"{plan.encoder.card.fingerprint} {plan.space} {way}"
        tiles, tiles_sha256 = encode_tiles(
            source, plan.code_level, 2 * width_km(plan.code_level), encode, identity, work,
            plan.tell,
        )  # fmt: skip
    prototypes, everywhere, kappa = _parts(plan, found, tiles)
    _check_something(plan, prototypes, everywhere, found)
    settings: dict[str, JsonValue] = {
        **settings_of(plan, found, kappa),
        "made_from": made_from(plan, found, tiles_sha256),
        "aerial_by": way,
        "tiles_source": source.name if source else "",
        "tiles": everywhere.count,
        "prototypes": len(prototypes.cells),
    }
    with attach(work, _manifest(plan, settings, index), lock) as gallery:
        both = (plan.prototype_level, plan.code_level)
        aerial, cancelled = write_cells(
            gallery, prototypes, everywhere, both, kappa.value, plan.gallery.name, plan.tell
        )
        rejected = (*everywhere.rejected, *cancelled)
        if not len(gallery):
            raise InputError(f"no code came of {len(prototypes.cells):,} cells; give other photos")
        gallery.store.optimize()
        _copy_codebook(plan.gallery, work)
        _write_rejects(work, rejected)
        gallery.manifest = gallery.manifest.model_copy(
            update={"settings": {**settings, "aerial_cells": aerial}}
        )
        gallery.write_manifest(len(rejected))
        manifest = gallery.manifest
    return _report(manifest, plan.out, rejected, time.monotonic() - started)


def _parts(plan: Plan, found: Survey, tiles: Tiles | None) -> tuple[Prototypes, Tiles, Kappa]:
    """Return prototypes, all tiles and the factor between them."""
    if plan.learned:
        assert plan.encoder is not None
        leaves = found.leaves[found.leaves > 0]
        tables = learned_tables(
            plan.encoder, plan.prototype_level, plan.code_level,
            parents(leaves, plan.prototype_level),
        )  # fmt: skip
        value = tables.kappa if plan.kappa is None else plan.kappa
        chosen = Kappa(value, "encoder" if plan.kappa is None else "given")
        return tables.prototypes, tables.with_tiles(tiles), chosen
    averaged = Averaged.of(
        plan.gallery, plan.space, found, plan.prototype_level, plan.min_photos, plan.tell
    )
    if tiles is None:
        none = no_tiles(plan.gallery.manifest.encoder.spaces[plan.space])
        return averaged, none, Kappa(1.0, "no tiles")
    if plan.kappa is not None:
        return averaged, tiles, Kappa(plan.kappa, "given")
    assert plan.encoder is not None
    card = plan.encoder.card
    temperature = card.temperature if card.alignment == plan.space else TEMPERATURE
    return averaged, tiles, calibrated_kappa(averaged, tiles, plan.code_level, temperature)


def _check_something(plan: Plan, prototypes: Prototypes, tiles: Tiles, found: Survey) -> None:
    """Refuse to make a gallery of nothing, or of photos and tiles of different regions."""
    if not len(prototypes.cells):
        raise InputError(
            f"none of {len(found.numbers):,} photos of gallery {plan.gallery.name!r} makes a cell "
            f"of level {plan.prototype_level} ({found.left_out:,} are placed less well than "
            f"{width_km(plan.prototype_level):.2g} km; {plan.min_photos} a cell are needed); give "
            "a coarser level or more photos"
        )
    if not len(tiles.cells) or plan.learned:
        return
    held = rows_in(prototypes.cells, parents(tiles.cells, plan.prototype_level))
    if not (held >= 0).any():
        place = centres(tiles.cells[:1])[0]
        raise InputError(
            f"none of {tiles.count:,} tiles lies in a cell with photos, the first at "
            f"{place[0]:.4f}, {place[1]:.4f}; give tiles of the region of gallery "
            f"{plan.gallery.name!r}"
        )


def _manifest(plan: Plan, settings: dict[str, JsonValue], index: IndexSettings) -> Manifest:
    made, now = plan.gallery.manifest.encoder, datetime.now(UTC)
    spaces = {plan.space: made.spaces[plan.space]}
    encoder = made.model_copy(update={"spaces": spaces, "retrieval": (plan.space,)})
    return Manifest(
        kind="cells", encoder=encoder, index=index, created=now, updated=now, settings=settings
    )


def _copy_codebook(gallery: Gallery, work: Path) -> None:
    if gallery.codebook_encoder:
        book = gallery.codebook_encoder.codebook
        write_atomically(work / "codebook.npz", book.pack())


def _write_rejects(work: Path, rejected: Sequence[Rejected]) -> None:
    lines = [json.dumps({"name": r.name, "reason": r.reason}, ensure_ascii=False) for r in rejected]
    write_atomically(work / "rejects.jsonl", "".join(f"{line}\n" for line in lines).encode())


def _report(
    manifest: Manifest,
    out: Path,
    rejected: tuple[Rejected, ...],
    seconds: float,
    *,
    unchanged: bool = False,
) -> CellsReport:
    said = manifest.settings

    def number(key: str) -> int:
        return int(str(said[key]))

    return CellsReport(
        path=out,
        cells=manifest.photos,
        prototypes=number("prototypes"),
        aerial=number("aerial_cells"),
        photos=number("photos"),
        left_out=number("left_out"),
        tiles=number("tiles"),
        kappa=Kappa(**said["kappa"]),  # type: ignore[arg-type] # as `_settings` wrote it
        rejected=rejected,
        unchanged=unchanged,
        seconds=seconds,
    )


def _put(work: Path, out: Path) -> None:
    """Put the finished gallery in its place, and away what was there."""
    for leftover in work.glob(KEPT):
        leftover.unlink()
    former = out.with_name(f"{PARTIAL}former-{out.name}")
    try:
        if out.exists():
            shutil.rmtree(former, ignore_errors=True)
            lock = FolderLock(out)  # nobody may have it open
            lock.release()
            out.rename(former)
        work.rename(out)
    except OSError as error:
        raise InputError(
            f"cannot put the cells at {printable(str(out))!r} ({error.strerror}); they are whole "
            f"in {printable(str(work))!r}: move them yourself"
        ) from None
    shutil.rmtree(former, ignore_errors=True)
