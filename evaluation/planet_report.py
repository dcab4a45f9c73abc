"""The table of the rendered planet's bench: per family untrained, trained and ablated."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont
from scipy.stats import t as student_t

from evaluation.planet_families import Family
from evaluation.planet_scores import Scores

Results = Mapping[tuple[str, str, int], Scores]
"""By family, variant and seed."""
VARIANTS = ("tower", "untrained", "ablated", "trained")


def table(families: Sequence[Family], results: Results, preamble: Iterable[str]) -> list[str]:
    """Return the lines of the whole table."""
    lines = [*preamble]
    for family in families:
        lines += ["", *_block(family, results)]
    return lines


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation over seeds, for people."""
    if not values:
        return "-"
    mean = statistics.fmean(values)
    digits = 0 if abs(mean) >= 1_000 else 2 if abs(mean) < 2 else 1
    text = f"{mean:,.{digits}f}"
    if len(values) > 1:
        text += f" ±{statistics.stdev(values):,.{digits}f}"
    return text


def claim_lines(family: Family, results: Results) -> list[str]:
    """Return, for each claim, trained minus ablated on the same seeds, and on how many it shows."""
    lines = []
    for claim in family.claims:
        pairs = [
            (results[family.name, "trained", seed][claim.figure], scores[claim.figure])
            for (name, variant, seed), scores in sorted(results.items())
            if (name, variant) == (family.name, "ablated")
            and (family.name, "trained", seed) in results
        ]
        gains = [full - ablated for full, ablated in pairs]
        if not gains:
            continue
        shown = sum(gain > 0 for gain in gains)
        lines.append(
            f"  claim: {claim.says}. {claim.figure}: {spread(gains)} points, "
            f"for it {shown} of {len(gains)} seeds; {verdict(gains)}"
        )
    return lines


def verdict(gains: Sequence[float]) -> str:
    """Return whether gains over seeds show a claim: Student's t, 5 % on that side."""
    if len(gains) < 2:
        return "one seed decides nothing"
    error = statistics.stdev(gains) / len(gains) ** 0.5
    needed = error * float(student_t.ppf(0.95, len(gains) - 1))
    mean = statistics.fmean(gains)
    if abs(mean) > needed:
        return "shows" if mean > 0 else "the opposite shows"
    return "does not show"


def _block(family: Family, results: Results) -> list[str]:
    rows = [("", *family.figures)]
    for variant in VARIANTS:
        found = [s for (f, v, _), s in sorted(results.items()) if (f, v) == (family.name, variant)]
        if not found:
            continue
        cells = [spread([s[figure] for s in found if figure in s]) for figure in family.figures]
        label = {"tower": "plain tower", "ablated": family.without}.get(variant, variant)
        rows.append((label, *cells))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  "
        + row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    return [family.name, *lines, *claim_lines(family, results)]


def picture(lines: Sequence[str]) -> Image.Image:
    """Return the table drawn as an image, claims that show in green, the others in red."""
    font = ImageFont.load_default(15)
    mono = max(font.getlength(letter) for letter in "0m%A")
    width = int(mono * 0.9 * max(map(len, lines))) + 40
    height = 22 * len(lines) + 30
    image = Image.new("RGB", (width, height), (252, 252, 250))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        colour = (30, 30, 34)
        if "claim:" in line:
            colour = (24, 110, 50) if line.endswith("; shows") else (160, 40, 30)
        for column, letter in enumerate(line):
            draw.text((20 + column * mono * 0.9, 15 + 22 * number), letter, colour, font)
    return image
