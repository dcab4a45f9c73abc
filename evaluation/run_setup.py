"""What is done before the first photo of a run is located: a look at all, clean galleries.

And the manifest that says so; a run is gone on with only under the same one.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from agent.stored_calibrations import in_words
from encoders.photo_file import printable
from evaluation.datasets import Dataset
from evaluation.exclusions import clean_galleries
from evaluation.protocol import (
    NAMES,
    PIXELS,
    Neutrals,
    Placeholder,
    listed,
    placeholders,
    refuse_tuned,
)
from evaluation.row_log import RowLog
from evaluation.runs import MANIFEST, RunManifest, Truth, changed, read_manifest
from evaluation.survey import Survey, Surveyed, Tell, survey
from geo.errors import ConfigError

if TYPE_CHECKING:
    from agent.geolocator import Geolocator
    from index_builder.gallery import Gallery

SHOWN_DIFFERENCES = 5
SHOWN_LETTERS = 120


@dataclass(frozen=True)
class Options:
    """What may be chosen of a run's protocol; see `evaluation.run.run_dataset`."""

    limit: int | None = None
    without_placeholders: bool = False
    read_overlays: bool = False
    accept_cells: bool = False


@dataclass(frozen=True)
class Prepared:
    """A run that can begin.

    Attributes:
        manifest: what it is of.
        galleries: as they are to be searched.
        told: what people should hear of it.
    """

    manifest: RunManifest
    galleries: "tuple[Gallery, ...]"
    told: tuple[str, ...]


def prepare(
    geolocator: "Geolocator",
    dataset: Dataset,
    folder: Path,
    settings: Mapping[str, JsonValue],
    options: Options,
    copies: Neutrals,
    stop: threading.Event,
    tell: Tell,
    log: RowLog,
) -> Prepared:
    """Look at every photo, clean the galleries, and check that this is the run in the folder.

    Raises:
        ConfigError: the folder holds a run of something else, photos have changed since, a
            gallery of cells, or the geolocator's calibration was fitted on this dataset.
        UnavailableError: a gallery's encoder, or what reads photos, cannot be loaded.
    """
    refuse_tuned(geolocator.calibration, dataset)
    chosen = dataset.limited(options.limit)
    held = read_manifest(folder) if (folder / MANIFEST).is_file() else None
    if held and held.dataset != dataset.name:  # before any work
        raise _other(folder, {"dataset": (held.dataset, dataset.name)})
    reader = geolocator.bench.reader if options.read_overlays else None
    seen = survey(chosen, folder, copies.limits, reader=reader, stop=stop, tell=tell)
    _refuse_changed(seen, log)
    found = placeholders(chosen.truths, seen.seen)
    if options.without_placeholders and found:
        chosen = chosen.without(frozenset(one.image_id for one in found))
    clean = clean_galleries(
        geolocator.bench, dataset, _of(chosen, seen), copies, folder,
        accept_cells=options.accept_cells, stop=stop, tell=tell,
    )  # fmt: skip
    protocol = _protocol(dataset, chosen, seen, found, options, clean.stated)
    protocol["calibration"] = in_words(geolocator.calibration)
    manifest = RunManifest(
        recipe=geolocator.recipe.name,
        dataset=dataset.name,
        photos=len(chosen.truths),
        truths=chosen.truths,
        protocol=protocol,
        settings=json.loads(json.dumps(dict(settings))),
    )
    if held and not stop.is_set():
        ours, theirs = _comparable(held, manifest)
        if differing := changed(ours, theirs):
            raise _other(folder, differing)
    told = (*clean.told, *_told(dataset, options, seen, found))
    return Prepared(manifest, clean.galleries, told)


def _comparable(held: RunManifest, wanted: RunManifest) -> tuple[RunManifest, RunManifest]:
    """Return two manifests without what a run may gain as it goes on.

    That is photos, where all that it had are still there: more of them, or files that were
    missing; with them placeholders and positions in writing, which shape no row.
    """
    gained = {"placeholders", "overlays"}
    grown = set(map(_key, held.truths)) <= set(map(_key, wanted.truths))
    gained |= {"limit"} if grown else set()

    def bare(one: RunManifest) -> RunManifest:
        protocol = {name: value for name, value in one.protocol.items() if name not in gained}
        update: dict[str, object] = {"protocol": protocol}
        if grown:
            update |= {"truths": wanted.truths, "photos": wanted.photos}
        return one.model_copy(update=update)

    return bare(held), bare(wanted)


def _key(truth: Truth) -> str:
    return truth.model_dump_json()


def _of(dataset: Dataset, seen: Survey) -> dict[str, Surveyed]:
    return {t.image_id: seen.seen[t.image_id] for t in dataset.truths if t.image_id in seen.seen}


def _refuse_changed(seen: Survey, log: RowLog) -> None:
    """Refuse to mix rows of other files with rows of these."""
    if located := [one for one in seen.changed if log.holds(one, failed=False)]:
        raise ConfigError(
            f"{len(located):,} photos have changed since they were located, for example "
            f"{located[0]!r:.120}; put the former files back, or give another --out"
        )


def _protocol(
    dataset: Dataset,
    chosen: Dataset,
    seen: Survey,
    found: tuple[Placeholder, ...],
    options: Options,
    galleries: Mapping[str, JsonValue],
) -> dict[str, JsonValue]:
    """Return the precautions that were taken, name to what was done."""
    stated: dict[str, JsonValue] = {
        "dataset": dataset.described,
        "pixels": PIXELS,
        "names": NAMES,
        "metadata": "never passed on and never trusted",
        "failures": "photos that fail, or have no file, count as misses at every threshold",
        "placeholders": {
            "rule": "one grey level fills 90 % and more, or the same pixels more than 25 km apart "
            "or under 3 ids and more",
            "kept": not options.without_placeholders,
            **listed(one.image_id for one in found),
        },
        "overlays": _overlays(seen, options),
        "galleries": dict(galleries) or "none",
        "tuning": "a calibration that was fitted on these photos is refused",
    }
    if options.limit is not None:
        stated["limit"] = f"the first {len(chosen.truths):,} of {len(dataset.truths):,} photos"
    if galleries and not dataset.authors:
        stated["photographers"] = "the truth names none: none could be kept from the galleries"
    return stated


def _overlays(seen: Survey, options: Options) -> JsonValue:
    """Return what is known of positions written on photos; they stay in the denominator."""
    if not options.read_overlays:
        return "not looked for"
    written = [one.image_id for one in seen.seen.values() if one.overlay]
    return {
        "rule": "a coordinate that the text reader reads",
        "kept": True,
        **listed(sorted(written)),
    }


def _told(
    dataset: Dataset, options: Options, seen: Survey, found: tuple[Placeholder, ...]
) -> tuple[str, ...]:
    lines = list(dataset.told)
    if found:
        fate = "left out" if options.without_placeholders else "kept, and counted"
        lines.append(
            f"{len(found):,} photos are probably placeholders ({fate}), for example "
            f"{found[0].image_id!r}: {found[0].reason}"
        )
    if written := [one for one in seen.seen.values() if one.overlay]:
        lines.append(
            f"{len(written):,} photos show a position in writing, for example "
            f"{written[0].image_id!r}: {written[0].overlay!r}"
        )
    if broken := [one for one in seen.seen.values() if one.unusable]:
        lines.append(
            f"{len(broken):,} photos cannot be opened and count as misses, for example "
            f"{broken[0].image_id!r}: {broken[0].unusable}"
        )
    return tuple(lines)


def _other(folder: Path, differing: Mapping[str, tuple[JsonValue, JsonValue]]) -> ConfigError:
    """Return the error of a folder that holds another run."""
    flat = dict(_flat(differing))
    said = "; ".join(
        f"{name} was {_short(was)}, now {_short(now)}"
        for name, (was, now) in list(flat.items())[:SHOWN_DIFFERENCES]
    )
    return ConfigError(
        f"{printable(os.fsencode(folder))!r} holds another run: {said}; go on with the former "
        "settings, or give another --out"
    )


def _flat(
    differing: Mapping[str, tuple[JsonValue, JsonValue]],
) -> Iterator[tuple[str, tuple[JsonValue, JsonValue]]]:
    """Yield what differs, of two objects what differs in them."""
    for name, (was, now) in differing.items():
        if isinstance(was, dict) and isinstance(now, dict):
            inner = {
                f"{name}.{key}": (was.get(key), now.get(key))
                for key in sorted(was.keys() | now.keys())
                if was.get(key) != now.get(key)
            }
            yield from _flat(inner)
        else:
            yield name, (was, now)


def _short(value: JsonValue) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return f"{len(value):,} of them"
    return printable(json.dumps(value, ensure_ascii=False), SHOWN_LETTERS)
