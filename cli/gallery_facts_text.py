"""What `graticule gallery info` prints for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cli.gallery_arguments import size_text, table
from encoders.photo_file import printable

if TYPE_CHECKING:
    from index_builder.gallery_facts import GalleryFacts
    from index_builder.manifest import Manifest

SHOWN_COUNTRIES, SHOWN_OTHERS = 12, 8


def facts_text(facts: "GalleryFacts") -> str:
    """Return a gallery's facts in paragraphs of aligned lines."""
    manifest, kind = facts.manifest, facts.manifest.kind
    head = [
        ("gallery", facts.name),
        ("path", facts.path),
        ("holds", f"{facts.photos:,} {kind}; {manifest.rejected:,} rejected by the last build"),
        ("created", _date(manifest.created.isoformat())),
        ("updated", _date(manifest.updated.isoformat())),
        *_encoder(manifest),
        *_store(manifest),
    ]
    if manifest.settings:
        stated = ", ".join(f"{key} {_value(value)}" for key, value in manifest.settings.items())
        head.append(("build", printable(stated, 400)))
    if disk := facts.disk:
        parts = {"points": disk.points, "small copies": disk.copies, "features": disk.features}
        shown = ", ".join(f"{name} {size_text(size)}" for name, size in parts.items() if size)
        head.append(("on disk", f"{size_text(disk.total)} ({shown})"))
    blocks = [table(head), _countries(facts)]
    blocks.append(_counts("source", manifest.counts.sources, facts.photos))
    blocks.append(_counts("licence", manifest.counts.licences, facts.photos))
    return "\n\n".join(block for block in blocks if block)


def _date(stamp: str) -> str:
    return stamp[:19].replace("T", " ") + " UTC"


def _encoder(manifest: "Manifest") -> list[tuple[str, str]]:
    made = manifest.encoder
    spaces = ", ".join(f"{printable(space)} {size}" for space, size in made.spaces.items())
    rows = [
        ("encoder", f"{printable(made.name)}, fingerprint {made.fingerprint[:16]}"),
        ("", f"spaces {spaces}; searched in {' + '.join(made.retrieval) or 'the first'}"),
    ]
    if made.name == "embedded":
        return [*rows, ("", "its visual words are kept in the gallery")]
    return [
        *rows,
        ("", f"loaded as {printable(made.load)!r}; tower {printable(made.backbone) or 'unknown'}"),
        ("", f"licence of its weights: {printable(made.licence) or 'unknown'}"),
    ]


def _store(manifest: "Manifest") -> list[tuple[str, str]]:
    index, store = manifest.index, manifest.store
    where = "Qdrant Edge in the folder"
    if store.url:
        where = (
            f"Qdrant at {printable(store.url)}, collection {printable(store.collection)}, "
            f"{store.shards} shards, {store.replicas} replicas"
        )
    small = {"none": "whole vectors alone", "int8": "8 bits a number, rescored"}.get(
        index.quantization, "1 bit a number, rescored"
    )
    graph = f"graph of {index.m} edges" if index.hnsw else "no graph, all are compared"
    return [("store", where), ("index", f"{small} (oversampling {index.oversampling:g}); {graph}")]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "/".join(str(one) for one in value)
    return str(value)


def _countries(facts: "GalleryFacts") -> str:
    if not facts.coverage:
        return ""
    rows = [("country", "", str(facts.manifest.kind), "share")]
    for one in facts.coverage[:SHOWN_COUNTRIES]:
        share = f"{100 * one.share:.1f} %"
        rows.append((one.country or "-", one.name, f"{one.photos:,}", share))
    if rest := facts.coverage[SHOWN_COUNTRIES:]:
        count = sum(one.photos for one in rest)
        rows.append(("", f"{len(rest)} more", f"{count:,}", _share(count, facts.photos)))
    return table(rows, right=(2, 3))


def _counts(what: str, counts: Mapping[str, int], total: int) -> str:
    """Return a table of counts by source or licence, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not ordered:
        return ""
    rows = [(what, "photos", "share")]
    for name, count in ordered[:SHOWN_OTHERS]:
        rows.append((printable(name, 60) or "not stated", f"{count:,}", _share(count, total)))
    if rest := ordered[SHOWN_OTHERS:]:
        count = sum(number for _, number in rest)
        rows.append((f"{len(rest)} more", f"{count:,}", _share(count, total)))
    return table(rows, right=(1, 2))


def _share(count: int, total: int) -> str:
    return f"{100 * count / max(1, total):.1f} %"
