"""A simulated analyst in the place of the chat model: it looks at nothing, its accuracy is stated.

It is told the truth of every photo and errs by drawn distances, so that what a recipe does with
answers of a known quality can be measured. Figures reached with it say nothing of a real model.
What it draws follows from the photo, the world's seed and the question alone.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, PrivateAttr

from evaluation.runs import Truth
from geo import sphere
from geo.gazetteer import Gazetteer
from geo.regions import country_codes
from prompts import load

Point = tuple[float, float]
EDGES_KM = (0.1, 1.0, 25.0, 200.0, 750.0, 2500.0, 18_000.0)
"""Between two of these an error is drawn log-uniformly; the first six shares are of the field's
thresholds."""
TOWN_KM = 25.0
"""From this error on, the analyst names a town at about that distance: models do not name seas."""
AROUND = 0.2
"""Share of the distance by which that town may be nearer or farther."""
TEXTS, NAMES = 10, 2
_REFERENCE = re.compile(r"^\d+\. (-?\d+\.\d{4}), (-?\d+\.\d{4})", re.MULTILINE)
_UNLIKE = "look least like it"
_LINE = re.compile(r"^- (['\"])(.*)\1 \((\d\.\d\d), box", re.MULTILINE)
_QUOTED = "lines of text, quoted from the photo"
_PHOTO = re.compile(r"^Photo: ([0-9a-f]+),", re.MULTILINE)
_EVIDENCE = re.compile(r"\be[0-9a-f]{10}\b")
_COUNTRY = re.compile(r"Text points to ([A-Z]{2}) ")


@dataclass(frozen=True)
class Profile:
    """How good an analyst is.

    Attributes:
        within: how often its own guess lies within 1, 25, 200, 750 and 2500 km.
        follows: how often an answer under references is one of them.
        picks: of those, how often it is the one nearest to the truth; else the first.
        keeps: how often an answer of its own is the first guess again; else a fresh one.
        honest: whether the radius and confidence it states follow its error, roughly.
    """

    name: str
    within: tuple[float, float, float, float, float]
    follows: float
    picks: float
    keeps: float = 0.6
    honest: bool = True


PROFILES = {
    one.name: one
    for one in (
        # GLOBE's row of IM2GPS3k, which `tools.opinion` takes a model to have.
        Profile("strong", (0.098, 0.402, 0.562, 0.715, 0.824), follows=0.5, picks=0.6),
        Profile("middling", (0.04, 0.22, 0.38, 0.56, 0.74), follows=0.4, picks=0.35),
        Profile("wrong", (0.0, 0.01, 0.03, 0.08, 0.2), follows=0.2, picks=0.0, honest=False),
    )
}
DEFAULT_PROFILE = "middling"


class SimulatedAnalyst(BaseChatModel):
    """A chat model that plays an analyst of a profile; asked about one photo at a time."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    plays: Profile
    world: int
    towns: Any
    """`[N, 2]` towns that it may name, and `[N]` how likely it names each."""
    seed: int = 0
    """Of the question: short answers to one prompt differ by it."""
    _now: dict[str, Any] = PrivateAttr(default_factory=dict)
    """The truth of the photo that it is asked about, and how far the towns are; copies share it."""

    @property
    def _llm_type(self) -> str:
        return f"simulated-{self.plays.name}"

    @property
    def model(self) -> str:
        """Its name, as answers and evidence have it."""
        return f"simulated-{self.plays.name}"

    @classmethod
    def of(cls, profile: str, world: int, gazetteer: Gazetteer) -> "SimulatedAnalyst":
        """Return an analyst of a world, who may name the gazetteer's towns."""
        points, population, _ = gazetteer.settlements(5_000)
        return cls(plays=PROFILES[profile], world=world, towns=(points, np.sqrt(population)))

    def look_at(self, truth: Truth) -> None:
        """Have it asked about this photo from now on."""
        points, _ = self.towns
        here = truth.latitude, truth.longitude
        self._now |= {
            "truth": truth,
            "apart": sphere.haversine_km(points[:, 0], points[:, 1], *here),
        }

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        """Remember which tools are offered."""
        return self.bind(offered=tuple(tool.name for tool in tools))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        if offered := kwargs.get("offered"):
            message = AIMessage("", tool_calls=next_calls(messages, frozenset(offered)))
        else:
            message = AIMessage(self._said(_text(messages[-1])))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _said(self, question: str) -> str:
        """Return a guess as the prompts ask for it; what is no request for one is not told."""
        if question.startswith(_opening("same-place")):
            return json.dumps({"verdict": "cannot-tell", "reason": "simulated"})
        alike, _, _ = question.partition(_UNLIKE)
        references = [(float(a), float(b)) for a, b in _REFERENCE.findall(alike)]
        prior = question.startswith(_opening("prior"))
        point, away = self.first_guess() if prior else self.short_answer(references, self.seed)
        draws = self._draws("says", "prior" if prior else len(references), self.seed)
        radius, sure = _stated(self.plays, away, draws)
        said: dict[str, Any] = {
            "latitude": round(point[0], 4), "longitude": round(point[1], 4), "radius_km": radius,
            "place": "", "country": "",
        }  # fmt: skip
        if prior:
            said |= {"clues": [], "confidence": sure, "reason": "simulated"}
        return json.dumps(said)

    def first_guess(self) -> tuple[Point, float]:
        """Return its own guess of the photo and how far off it is, km."""
        return self._guess(self._draws("guess"))

    def short_answer(self, references: Sequence[Point], number: int) -> tuple[Point, float]:
        """Return one short answer under references and how far off it is, km."""
        draws = self._draws("answer", len(references), number)
        follows, picks, keeps = draws.uniform(size=3)
        if references and follows < self.plays.follows:
            away = self._away(references)
            row = int(away.argmin()) if picks < self.plays.picks else 0
            return references[row], float(away[row])
        return self.first_guess() if keeps < self.plays.keeps else self._guess(draws)

    def _guess(self, draws: np.random.Generator) -> tuple[Point, float]:
        """Draw an error and return a place that far off: a town, but for small errors."""
        truth, wanted = self._here, _error_km(self.plays, draws)
        if wanted >= TOWN_KM:
            points, weight = self.towns
            apart = self._now["apart"]
            near = np.flatnonzero(np.abs(apart / wanted - 1) < AROUND)
            if len(near):
                row = int(draws.choice(near, p=weight[near] / weight[near].sum()))
                return (float(points[row, 0]), float(points[row, 1])), float(apart[row])
        where = sphere.destination(*truth, float(draws.uniform(0, 360)), wanted).reshape(2)
        return (float(where[0]), float(where[1])), wanted

    @property
    def _here(self) -> Point:
        return self._now["truth"].latitude, self._now["truth"].longitude

    def _away(self, points: Sequence[Point]) -> Any:
        held = np.array(points)
        return sphere.haversine_km(held[:, 0], held[:, 1], *self._here)

    def _draws(self, *about: object) -> np.random.Generator:
        """Return random numbers that follow from the photo and the question."""
        parts = [self.plays.name, self.world, self._now["truth"].image_id, *about]
        digest = hashlib.sha256(json.dumps(parts).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8]))


def _error_km(profile: Profile, draws: np.random.Generator) -> float:
    """Draw how far off a guess is."""
    u, v = draws.uniform(size=2)
    row = int(np.searchsorted(profile.within, u, side="right"))
    low, high = EDGES_KM[row], EDGES_KM[row + 1]
    return float(low * (high / low) ** v)


def _stated(
    profile: Profile, away: float, draws: np.random.Generator
) -> tuple[float | None, float]:
    """Return the radius it states, None where it states none, and its confidence."""
    noise, share, shift = draws.normal(), draws.uniform(), draws.normal(scale=0.15)
    if not profile.honest:
        return 20.0, 0.95
    radius = float(np.clip(away * np.exp(noise), 5.0, 5000.0))
    sure = float(np.clip((0.8 if away < EDGES_KM[4] else 0.45) + shift, 0.05, 0.99))
    return (None if share < 0.3 else round(radius, 1)), round(sure, 2)


def next_calls(messages: Sequence[BaseMessage], offered: frozenset[str]) -> list[ToolCall]:
    """Return what the analyst calls next: searches and clues, then names, then the commit.

    Args:
        messages: the conversation so far.
        offered: names of the tools there are; each is called once at most.
    """
    text = "\n".join(_text(message) for message in messages)
    called = {call["name"] for m in messages if isinstance(m, AIMessage) for call in m.tool_calls}
    for stage in (_searches, _names):
        calls = [(n, a) for n, a in stage(messages, text) if n in offered and n not in called]
        if calls:
            return [_call(name, args, number) for number, (name, args) in enumerate(calls)]
    ids = list(dict.fromkeys(_EVIDENCE.findall(text)))[:50]
    said = {"evidence_ids": ids, "undetermined": not ids, "reason": "what the evidence says"}
    return [_call("commit_location", said, 0)]


def _searches(messages: Sequence[BaseMessage], text: str) -> list[tuple[str, dict[str, Any]]]:
    found = _PHOTO.search(text)
    photo = {"photo_id": found[1] if found else ""}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("search_places", photo), ("search_cells", photo)
    ]  # fmt: skip
    if lines := _read(messages):
        calls.append(("look_up_clue", {"texts": lines[:TEXTS]}))
    return calls


def _names(messages: Sequence[BaseMessage], text: str) -> list[tuple[str, dict[str, Any]]]:
    """Look up what was read in the country that the clues point to; it calls a tool once."""
    country = _COUNTRY.search(text)
    names = [line for line in _read(messages) if "." not in line and len(line) > 3]
    if country is None or not names or country[1] not in country_codes():
        return []
    return [
        ("find_place", {"name": name[:80], "countries": [country[1]]}) for name in names[:NAMES]
    ]


def _read(messages: Sequence[BaseMessage]) -> list[str]:
    """Return the lines that `read_text` reported."""
    said = [_text(m) for m in messages if isinstance(m, ToolMessage) and _QUOTED in _text(m)]
    return [line for text in said for _, line, _ in _LINE.findall(text)]


def _opening(prompt: str) -> str:
    return load(prompt).render(**({"geometry": ""} if prompt == "same-place" else {}))[:60]


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = [b["text"] for b in message.content if isinstance(b, dict) and "text" in b]
    return "\n".join(parts)


def _call(name: str, args: dict[str, Any], number: int) -> ToolCall:
    digest = hashlib.sha256(json.dumps([name, args]).encode()).hexdigest()[:10]
    return ToolCall(name=name, args=args, id=f"c{number}-{digest}", type="tool_call")
