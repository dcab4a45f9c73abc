"""Short answers of a model, counted: what it says by itself, and what it repeats of references."""

from collections.abc import Sequence

from agent.asker import Asker
from agent.dependence import Source, is_own, repeated, source_of
from agent.guess import Guess
from tools.evidence import Evidence
from tools.opinion import opinion

SEARCH = "search_similar_photos"
Point = tuple[float, float]


def point_of(guess: Guess) -> Point | None:
    """Return a guess's coordinate, if it has one."""
    if guess.latitude is None or guess.longitude is None:
        return None
    return guess.latitude, guess.longitude


def votes_of(
    own: Sequence[Guess],
    copies: Sequence[Guess],
    asker: Asker,
    held: Sequence[Evidence],
    *,
    asked: int,
) -> tuple[Evidence, ...]:
    """Return short answers as evidence: one piece for the model, one for each search it repeats.

    Equal coordinates are one candidate whose score is its share of the answers. A place that the
    model named before by itself is its own, though a reference says the same.

    Args:
        own: guesses with coordinates that repeat nothing.
        copies: guesses with coordinates of references that the model was shown.
        asker: of whom.
        held: what is known before.
        asked: how many answers were asked for.
    """
    searched = [one for one in held if one.tool == SEARCH and one.weight > 0]
    mine, groups = list(own), dict[str, list[tuple[Guess, Source | None]]]()
    for guess in copies:
        answer = _voted([guess], asker, "").candidates[0]
        if is_own(answer, held):
            mine.append(guess)
            continue
        source = source_of(answer, searched)
        group = source[0].group if source else _group_of(searched)
        groups.setdefault(group, []).append((guess, source))
    which = "" if not groups else " by themselves"
    told = f"{len(mine)} of {asked} short answers of the model name a coordinate{which}"
    found = [_voted(mine, asker, f"{told};")] if mine else []
    return (*found, *(_repeating(of, asker, group, asked) for group, of in groups.items()))


def _group_of(searched: Sequence[Evidence]) -> str:
    """Return the group of what a search found far down its list, which has no candidate."""
    return next((one.group for one in searched if not one.given_countries), "references")


def _repeating(
    of: Sequence[tuple[Guess, Source | None]], asker: Asker, group: str, asked: int
) -> Evidence:
    """Return answers that repeat references in the group of the search that found these."""
    told = (
        f"{len(of)} of {asked} short answers of the model repeat a reference that they were shown, "
        "and count as a part of that search;"
    )
    item = _voted([guess for guess, _ in of], asker, told)
    sources = {_key(guess): source for guess, source in of}
    candidates = tuple(
        repeated(one, source) if (source := sources[one.latitude, one.longitude]) else one
        for one in item.candidates
    )
    return item.model_copy(update={"candidates": candidates, "group": group})


def _voted(guesses: Sequence[Guess], asker: Asker, told: str) -> Evidence:
    """Return guesses, each with a coordinate, as one piece of evidence."""
    votes: dict[Point, list[Guess]] = {}
    for guess in guesses:
        votes.setdefault(_key(guess), []).append(guess)
    ordered = sorted(votes.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    candidates = []
    for rank, (point, agreeing) in enumerate(ordered, start=1):
        radii = [guess.radius_km for guess in agreeing if guess.radius_km]
        one = opinion(
            "diversify",
            "",
            *point,
            radius_km=min(radii, default=None),
            label=agreeing[0].place,
            source=asker.name,
        ).candidates[0]
        share = len(agreeing) / len(guesses)
        candidates.append(one.model_copy(update={"score": share, "rank": rank}))
    best = candidates[0]
    summary = f"{told} {len(ordered[0][1])} name {best.latitude:.4f}, {best.longitude:.4f}."
    base = opinion("diversify", summary, *ordered[0][0], weight=asker.settings.weight)
    return base.model_copy(update={"candidates": tuple(candidates)})


def _key(guess: Guess) -> Point:
    """Return a guess's coordinate to 11 m."""
    point = point_of(guess)
    assert point is not None
    return round(point[0], 4), round(point[1], 4)
