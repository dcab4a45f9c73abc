"""What is known of a session: pure data."""

from typing import Literal

from pydantic import Field, JsonValue

from agent.abstain import Rule
from agent.answer import LEAD_NOT_PROOF, Radii
from agent.belief import Status
from agent.budget import Budget
from geo.errors import InputError, UnavailableError
from tools.evidence import Latitude, Longitude, Record, Share

SessionStatus = Literal["new", "busy", "idle", "waiting", "stopped", "error"]
"""`idle` has answered; `waiting` asked the analyst; `stopped` and `error` can be resumed."""
VerdictWord = Literal["right", "near", "wrong", "unknown"]


class UnknownSessionError(InputError):
    """There is no such session, or no such checkpoint in it."""


class SessionBusyError(UnavailableError):
    """Somebody else is writing to the session; it is left as it is."""


class SessionOptions(Record):
    """How a session's runs investigate; what is left empty is as the settings say.

    Attributes:
        recipe: its name.
        model: name of the chat model at the configured server.
        galleries: names of those open galleries that are searched; empty searches all.
        without: tools that are not offered.
        trajectories: investigations in parallel.
        ask: whether the model may ask the person.
        trust_metadata: whether a position found in metadata counts.
    """

    recipe: str = ""
    model: str = ""
    galleries: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    trajectories: int | None = Field(default=None, ge=1, le=4)
    budget: Budget | None = None
    point: Rule | None = None
    ask: bool = True
    trust_metadata: bool = False


class SessionInfo(Record):
    """A session as lists show it; `Sessions.answer` and `Sessions.events` have the rest.

    Attributes:
        id: UUID with dashes.
        created, updated: UTC, ISO 8601.
        photos: ids in the photo store; the first is the one to locate.
        revision: of the latest answer; 0 before the first.
        headline: of the latest answer, such as `Near Lisbon, Portugal`.
        parent, parent_checkpoint: what it was forked from; empty otherwise.
        error: why the last run failed.
        metadata: a client's own.
    """

    id: str
    name: str = ""
    created: str
    updated: str
    status: SessionStatus = "new"
    photos: tuple[str, ...] = ()
    options: SessionOptions = SessionOptions()
    revision: int = Field(default=0, ge=0)
    headline: str = ""
    parent: str = ""
    parent_checkpoint: str = ""
    error: str = ""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class Assessment(Record):
    """What an analyst makes of an answer; exported as a label for evaluation.

    Attributes:
        verdict: `near` is right within the 95 % radius but not the 50 % one, if one must know.
        revision: of the answer that was judged; 0 for the latest.
        latitude, longitude: where the photo was taken, if the analyst knows.
        notes: free text.
        by: who judged, in their own words.
        at: UTC, ISO 8601.
    """

    verdict: VerdictWord
    revision: int = Field(ge=0)
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    notes: str = Field(default="", max_length=10_000)
    by: str = Field(default="", max_length=200)
    at: str = ""


class Moment(Record):
    """A checkpoint that a session can be forked from.

    Attributes:
        checkpoint_id: names it.
        step: of the graph, growing over all runs of the session.
        next: nodes that would run now; empty at the end of a run.
        at: UTC, ISO 8601.
        steps: tool calls so far.
        evidence: pieces of evidence so far.
        revision: of the answer that holds here; 0 without one.
        events: events of the trace up to here.
    """

    checkpoint_id: str
    parent_id: str = ""
    step: int
    next: tuple[str, ...] = ()
    at: str
    steps: int = 0
    evidence: int = 0
    revision: int = 0
    events: int = 0


class EvidencePair(Record):
    """A piece of evidence that two answers hold, or one of them.

    Attributes:
        id: by which both know it: the same content has the same id.
        first, second: weight it counts with in either, 0 where it is shown without effect or
            withdrawn; None where it is not held.
    """

    id: str
    tool: str
    summary: str
    first: Share | None = None
    second: Share | None = None


class Side(Record):
    """One of two sessions that are compared, at one of its revisions.

    Attributes:
        session, name: whose answer it is.
        revision: of the answer.
        headline: of the answer, such as `Near Lisbon, Portugal`.
        tool_calls, tokens_in, tokens_out, seconds: of all its runs up to that revision.
        said: what the person said or replied since both branched, or at all where they did not.
    """

    session: str
    name: str
    revision: int
    status: Status
    headline: str
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radii: Radii | None = None
    recipe: str
    driver: str
    evidence: int
    tool_calls: int
    tokens_in: int
    tokens_out: int
    seconds: float
    said: tuple[str, ...] = ()


class Comparison(Record):
    """Two answers side by side; neither is taken for the truth.

    Attributes:
        distance_km: between their coordinates, WGS84; None where one has none.
        changes: from the first to the second in words, see `agent.answer_changes`.
        shares: of countries in both, by ISO 3166-1 alpha-2 code, the largest first; 0 where an
            answer does not list the country.
        evidence: of both; what only one holds or counts comes first.
        options: those that differ, as text.
        same_photos: whether both investigate the same photos.
        common_events: events of the trace that both share, hash by hash; 0 for strangers.
        branched_at: the checkpoint they branched at, where one was forked from the other or both
            from a third; empty otherwise.
        caution: both are leads, not proof.
    """

    first: Side
    second: Side
    distance_km: float | None
    changes: tuple[str, ...]
    shares: dict[str, tuple[Share, Share]]
    evidence: tuple[EvidencePair, ...]
    options: dict[str, tuple[str, str]]
    same_photos: bool
    common_events: int
    branched_at: str
    caution: str = LEAD_NOT_PROOF
