"""A session of two answers with everything that a person may say, and hostile names."""

from pathlib import Path

from pydantic import JsonValue

from agent.answer import Answer, Verdict
from agent.case import Case, Revision, Said
from agent.session_records import Assessment
from agent.trace import Trace
from tests.unit.report_samples import PAIR, PHOTO, candidate, located
from tools.evidence import Evidence

SESSION = "0b0e7c1e-6f0c-4d0a-9d8e-1f2a3b4c5d6e"
REGION: dict[str, JsonValue] = {
    "type": "Polygon",
    "coordinates": [[[4.0, 43.0], [6.5, 43.0], [6.5, 44.2], [4.0, 44.2], [4.0, 43.0]]],
}
"""Around Marseille."""
OUTSIDE: dict[str, JsonValue] = {
    "type": "Feature",
    "properties": {"inside": False},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[-9, 36], [3, 36], [3, 43], [-9, 43], [-9, 36]]],
    },
}
NASTY = (
    "<script>alert(1)</script>",
    "]]><x>",
    "a & b < c",
    '=HYPERLINK("http://evil.example")',
    "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1",
    "\u202egnp.exe", "a\nb", 'q"u"o,te', "nul\x00bell\x07", "\ufffe", "$[description]",
    "[x](javascript:alert(1))", "![x](http://evil.example/p.png)", "| a | `b` | *c*",
    "`</code>`", "# h", "https://evil.example www.evil.example", "&#60;b&#62;",
    "東京 Кёнигсберг", "'quoted", "back\\slash", "---", "1. one",
)  # fmt: skip
"""What places, photos and people may be called."""


def first() -> Answer:
    """Return the answer before anything was said."""
    match, sign, _, place = located().evidence
    return located(
        latitude=48.85661, longitude=2.35222, country="FR", place="Paris",
        admin1="Île-de-France", evidence=(match, sign, place), photos=(PHOTO,),
    )  # fmt: skip


def second(**changes: object) -> Answer:
    """Return the answer after a second photo, a region and a withdrawal."""
    match, sign, phone, place = located().evidence
    fields: dict[str, object] = {
        "revision": 2,
        "withdrawn": (place.id,),
        "photos": (PHOTO, PAIR),
        "evidence": (match, sign, phone, place),
    }
    return located(**fields | changes)


def session(**changes: object) -> Case:
    """Return a session of two answers, judged twice."""
    place = located().evidence[3]
    fields: dict[str, object] = {
        "session": SESSION,
        "name": "Harbour <b>corner</b>",
        "parent": "11111111-2222-3333-4444-555555555555",
        "parent_checkpoint": "1f0a",
        "revisions": (
            Revision(said=(Said(text="taken on a trip in 2019", photos=(PHOTO,)),),
                     answer=first()),
            Revision(
                said=(
                    Said(text="It is not Paris. The bay is too wide <script>alert(1)</script>",
                         photos=(PAIR,), region=REGION, withdraw=(place.id,)),
                    Said(region=OUTSIDE),
                    Said(text="yes", reply=True),
                ),
                answer=second(),
            ),
        ),
        "unanswered": (Said(text="and now?"),),
        "assessments": (
            Assessment(verdict="wrong", revision=1, notes="Not the Seine.", by="A. Analyst",
                       at="2026-04-01T10:00:00.000+00:00"),
            Assessment(verdict="right", revision=2, latitude=43.29940, longitude=5.37020,
                       notes="=1+1\nMatched the corner & the awning", by="A. Analyst",
                       at="2026-04-01T10:15:00.000+00:00"),
        ),
        "events": 41,
        "head": "5" * 64,
    }  # fmt: skip
    return Case.model_validate(fields | changes)


def hostile() -> Answer:
    """Return an answer whose every text is hostile."""
    base = located()
    evidence = Evidence(
        tool="find_place",
        kind="place",
        summary=" ".join(NASTY),
        candidates=tuple(
            candidate(10.0 + n, 20.0 - n, n + 1, 0.01, text) for n, text in enumerate(NASTY)
        ),
        weight=0.3,
        group=NASTY[0],
        call_id="call_nasty",
    )
    verdicts = tuple(
        Verdict(evidence_id=evidence.id, candidate=one, kept=n % 2 == 0, reason=NASTY[n])
        for n, one in enumerate(evidence.candidates)
    )
    return base.model_copy(
        update={
            "evidence": (*base.evidence, evidence),
            "verdicts": (*base.verdicts, *verdicts),
            "place": NASTY[0],
            "admin1": NASTY[1],
            "country_name": NASTY[2],
            "photo_name": NASTY[3],
            "explanation": " ".join(NASTY),
        }
    )


def many(count: int) -> Answer:
    """Return an answer with so many candidates."""
    base = located()
    match = base.evidence[0]
    verdicts = tuple(
        Verdict(
            evidence_id=match.id,
            candidate=candidate(
                -60 + n * 0.0123, -179 + n * 0.0357, n + 1, 0.0001, f"Place number {n}"
            ),
            kept=n % 7 == 0,
            reason="7 inliers, fewer than the 20 that rule out chance",
        )
        for n in range(count)
    )
    return base.model_copy(update={"verdicts": verdicts})


def write_trace(case: Case, path: Path) -> Path:
    """Write a trace that tells a case as a session's does."""
    with Trace(path) as trace:
        for one in case.revisions:
            trace.append("setup", {"session": case.session, "run": "r", "at": "2026-04-01"})
            for said in one.said:
                if said.reply:
                    trace.append("reply", {"reply": [{"type": "response", "args": said.text}]})
                else:
                    trace.append("message", said.model_dump(mode="json", exclude={"reply"}))
            trace.append("answer", one.answer.model_dump(mode="json"))
    return path
