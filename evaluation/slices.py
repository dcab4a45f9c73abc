"""Photos of a kind: the labels of a column of the truth, and which photos bear them."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from encoders.photo_file import printable
from evaluation.tables import Truths
from geo.errors import InputError

MAX_LABELS = 500
UNLABELLED = "(none)"


def slice_members(truths: Truths, column: str) -> dict[str, NDArray[np.bool_]]:
    """Return which photos `[N]` bear each label of a column, the most frequent label first.

    `author` and `country` are always there; countries that the truth does not state are those of
    its points. A photo without a label is under `(none)`.

    Raises:
        InputError: there is no such column, or it has more labels than a table can show.
    """
    labels = [label or UNLABELLED for label in _labels(truths, column)]
    counts = Counter(labels)
    if len(counts) > MAX_LABELS:
        raise InputError(
            f"column {column!r} has {len(counts):,} different values, more than {MAX_LABELS}; "
            "slice by a column with fewer"
        )
    array = np.array(labels, dtype=object)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    return {label: array == label for label in ranked}


def _labels(truths: Truths, column: str) -> tuple[str, ...]:
    name = column.strip().lower()
    if name == "author":
        return truths.authors
    if name in truths.columns:
        return truths.columns[name]
    if name in ("admin1", "city") and (
        found := truths.named("admin1" if name == "admin1" else "city")
    ):
        return found
    if name == "country":
        from evaluation.place_names import country_codes_of

        return tuple(country_codes_of(truths))
    there = ", ".join(["author", "country", *sorted({*truths.columns} - {"country"})])
    raise InputError(
        f"{truths.name!r:.80} has no column {printable(column, 80)!r} to slice by; give one of: "
        f"{printable(there, 300)}"
    )
