"""Markdown of a case: one page to paste into notes. Every foreign text is escaped."""

import re
from collections.abc import Iterable, Iterator

from agent.answer import Answer
from agent.case import Case, Revision
from agent.export_shapes import drawn_inside
from agent.report_format import digits_for, distance, percent, visible
from agent.report_page import headline_of

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~^=$])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", ":": "&#58;", "@": "&#64;", '"': "&quot;"}
"""Colons and at signs too: some programs make links of bare addresses."""


def markdown_of(case: Case) -> bytes:
    """Return the latest answer of a case and what was said, UTF-8."""
    answer = case.answer
    lines = [f"# {escaped(headline_of(answer))}", "", f"> **Caution.** {escaped(answer.caution)}"]
    lines += ["", *_where(answer), "", "## Why", "", escaped(answer.explanation)]
    if len(case.revisions) > 1 or any(one.said for one in case.revisions):
        lines += ["", "## What was said", "", *(x for one in case.revisions for x in _said(one))]
    if case.assessments:
        lines += ["", "## What analysts made of it", "", *_assessments(case)]
    lines += ["", "## Evidence", "", *_evidence(answer)]
    lines += ["", "## Candidates", "", *_candidates(answer)]
    lines += ["", "## Steps", "", *_steps(answer)]
    lines += ["", "## Provenance", "", *_provenance(case), ""]
    return "\n".join(lines).encode(errors="replace")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    line = " ".join(visible(text).split())
    plain = "".join(_ENTITIES.get(letter, letter) for letter in line)
    # Numeric entities hold a `#`, which must stay as it is.
    parts = re.split(r"(&(?:#\d+|[a-z]+);)", plain)
    return "".join(part if n % 2 else _MARKS.sub(r"\\\1", part) for n, part in enumerate(parts))


def _where(answer: Answer) -> Iterator[str]:
    rows: list[tuple[str, str]] = [("Status", answer.status)]
    if answer.latitude is not None and answer.longitude is not None:
        digits = digits_for(answer.radii.km_50) if answer.radii else 6
        at = f"{answer.latitude:.{digits}f}, {answer.longitude:.{digits}f}"
        rows.append(("Latitude, longitude", at))
    if answer.radii:
        rows += [
            (f"{share} % of belief within", distance(km))
            for share, km in zip((50, 80, 95), answer.radii.model_dump().values(), strict=True)
        ]
    rows += [("Country", f"{answer.country_name} ({answer.country})" if answer.country else ""),
             ("Region", answer.admin1), ("Nearest settlement", answer.place)]  # fmt: skip
    if answer.claimed_latitude is not None:
        used = "used because it was trusted" if answer.trusted_metadata else "not used"
        claimed = f"{answer.claimed_latitude:.6f}, {answer.claimed_longitude:.6f}; {used}"
        rows.append(("Claimed by the file, not inferred", claimed))
    yield from _table(("", ""), [row for row in rows if row[1]])


def _said(one: Revision) -> Iterator[str]:
    yield f"{one.answer.revision}\\. **{escaped(headline_of(one.answer))}**"
    yield ""
    for said in one.said:
        if said.text:
            yield f"- {'Reply: ' if said.reply else ''}{escaped(said.text)}"
        if said.region:
            yield f"- Drew a region: {'taken' if drawn_inside(said.region) else 'not taken'} there"
        if said.withdraw:
            yield f"- Withdrew {escaped(', '.join(said.withdraw))}"
        if said.restore:
            yield f"- Restored {escaped(', '.join(said.restore))}"
    yield ""


def _assessments(case: Case) -> Iterator[str]:
    for one in case.assessments:
        by = f" by {escaped(one.by)}" if one.by else ""
        notes = f"\\: {escaped(one.notes)}" if one.notes else ""
        yield f"- Answer {one.revision}, **{one.verdict}**{by}{notes}"


def _evidence(answer: Answer) -> Iterator[str]:
    for item in answer.evidence:
        gone = " (withdrawn, counts for nothing)" if item.id in answer.withdrawn else ""
        told = f"weight {percent(item.weight)}, {escaped(item.tool)}, {item.id}{gone}"
        yield f"- {escaped(item.summary)} ({told})"


def _candidates(answer: Answer) -> Iterator[str]:
    rows = (
        (
            str(number), "kept" if one.kept else "dropped",
            one.candidate.label or one.candidate.reference,
            f"{one.candidate.latitude:.5f}, {one.candidate.longitude:.5f}", one.reason,
        )
        for number, one in enumerate(answer.verdicts, start=1)
    )  # fmt: skip
    yield from _table(("No.", "Verdict", "Candidate", "Coordinate", "Why"), rows)


def _steps(answer: Answer) -> Iterator[str]:
    for step in answer.steps:
        yield f"- {step.number}\\. {escaped(step.tool)}, {step.outcome}\\: {escaped(step.text)}"


def _provenance(case: Case) -> Iterator[str]:
    answer = case.answer
    rows = [
        ("SHA-256 of the photo", answer.photo_id), ("Photo", answer.photo_name),
        ("Session", case.session), ("Answer", str(answer.revision)),
        ("Hash of the trace's last event", case.head), ("Disclosure", case.disclosure),
        ("Recipe", answer.recipe), ("Driver", answer.driver),
        *answer.versions.items(),
    ]  # fmt: skip
    yield from _table(("", ""), [row for row in rows if row[1]])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(escaped(text) for text in row)} |"
