"""Answers of all three statuses, made by hand, and a photo store of drawn pictures."""

from PIL import Image, ImageDraw
from pydantic import JsonValue

from agent.answer import SAYS, Alternative, Answer, Radii, Step, Verdict
from agent.contributions import Contribution
from agent.grounding import UNGROUNDED
from agent.model_use import Mishap, ModelReply, ModelUse, StatedConflict, TrajectoryEnd
from geo.errors import InputError
from tools.evidence import Box, Candidate, Evidence, Picture, Rejection

PHOTO, PAIR = "a" * 64, "b" * 64
HOSTILE = "<script>alert(1)</script>\u202e<a href='https://e.example'>"
"""What a model may write."""


class DrawnPhotos:
    """A photo store of two pictures drawn on the spot; every other id is gone."""

    def image(self, photo_id: str) -> Image.Image:
        """Return the picture kept under `photo_id`."""
        if photo_id == PHOTO:
            return _street()
        if photo_id == PAIR:
            return _pair()
        raise InputError(f"photo {photo_id!r} is not in the store")


def _street() -> Image.Image:
    image = Image.new("RGB", (1600, 1067), (150, 190, 225))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 760, 1600, 1067), fill=(120, 118, 112))
    for left, colour in ((60, (190, 160, 120)), (560, (205, 200, 185)), (1080, (170, 120, 100))):
        draw.rectangle((left, 180, left + 440, 780), fill=colour)
        for x in range(left + 40, left + 400, 100):
            for y in range(230, 640, 110):
                draw.rectangle((x, y, x + 60, y + 70), fill=(70, 80, 95))
    draw.rectangle((600, 660, 960, 730), fill=(30, 70, 140))
    draw.text((620, 668), "PHARMACIE DU PORT", fill="white", font_size=34)
    draw.rectangle((1120, 680, 1400, 735), fill=(240, 240, 230))
    draw.text((1130, 688), "04 91 55 12 34", fill="black", font_size=34)
    return image


def _pair() -> Image.Image:
    image = Image.new("RGB", (1640, 540), "white")
    street = _street().resize((810, 540))
    image.paste(street, (0, 0))
    image.paste(street, (830, 0))
    draw = ImageDraw.Draw(image)
    for x in range(60, 760, 35):
        y = 120 + (x * 7) % 260
        draw.line((x, y, x + 830, y + 3), fill=(20, 200, 90), width=2)
    return image


def candidate(
    latitude: float, longitude: float, rank: int, score: float, label: str, **more: str
) -> Candidate:
    """Return a gallery candidate."""
    return Candidate(
        latitude=latitude,
        longitude=longitude,
        radius_km=0.2,
        score=score,
        rank=rank,
        source="gallery:marseille",
        kind="photo",
        label=label,
        reference=f"point-{rank}",
        country=more.get("country", "FR"),
    )


def located(**changes: object) -> Answer:
    """Return an answer in Marseille with a match, texts, a refusal and a claimed position."""
    match = Evidence(
        tool="compare_photos",
        kind="match",
        summary="214 inliers with gallery photo “Rue de la République 12”, seen from the same side",
        candidates=(
            candidate(43.29931, 5.37012, 1, 0.86, "Rue de la République 12"),
            candidate(43.30010, 5.37109, 2, 0.10, "Rue de la République 30"),
            candidate(48.85661, 2.35222, 3, 0.04, "Rue de Rivoli 61"),
        ),
        weight=0.97,
        group="gallery:marseille",
        call_id="call_match",
    )
    sign = Evidence(
        tool="look_up_clue",
        kind="text",
        summary="The text “PHARMACIE DU PORT” is French",
        countries={
            "FR": 0.7,
            "BE": 0.1,
            "CH": 0.05,
            "CA": 0.05,
            "SN": 0.02,
            "LU": 0.02,
            "CI": 0.01,
        },
        weight=0.8,
        group="language",
        box=Box(left=600, top=660, right=960, bottom=730),
        call_id="call_clue",
    )
    phone = Evidence(
        tool="look_up_clue",
        kind="text",
        summary="“04 91 55 12 34” fits a French number of the Marseille area",
        countries={"FR": 0.9},
        weight=0.6,
        group="telephone",
        box=Box(left=1120, top=680, right=1400, bottom=735),
        call_id="call_clue",
    )
    place = Evidence(
        tool="find_place",
        kind="place",
        summary="“Port” alone names no place",
        candidates=(candidate(10.05, -61.9, 1, 0.5, "Port of Spain", country="TT"),),
        weight=0.0,
        group="place",
        call_id="call_place",
    )
    kept, near, far = match.candidates
    fields: dict[str, object] = {
        "status": "located",
        "latitude": 43.29931,
        "longitude": 5.37012,
        "radii": Radii(km_50=0.12, km_80=0.3, km_95=0.9),
        "country": "FR",
        "country_name": "France",
        "admin1": "Provence-Alpes-Côte d'Azur",
        "place": "Marseille",
        "countries": {"FR": 0.984, "BE": 0.006, "CH": 0.004},
        "within": {"1": 0.956, "25": 0.971, "200": 0.974, "750": 0.99, "2500": 0.998},
        "admin_shares": {"FR Provence-Alpes-Côte d'Azur": 0.97, "FR Île-de-France": 0.011},
        "entropy_bits": -2.5,
        "calibration": "k0123456789",
        "contributions": (
            Contribution(evidence_id=match.id, bits=17.2, without=0.00001, moved_km=660.0),
            Contribution(evidence_id=sign.id, bits=0.42, without=0.37, moved_km=0.0),
            Contribution(evidence_id=phone.id, bits=-0.01, without=0.503, moved_km=0.0),
        ),
        "explanation": (
            f"The photo matches a gallery photo in Marseille with 214 inliers ({match.id}, "
            f"compare_photos). The language of its signs ({sign.id}) and a telephone number "
            f"({phone.id}) agree with France."
        ),
        "evidence": (match, sign, phone, place),
        "alternatives": (
            Alternative(latitude=48.8566, longitude=2.3522, share=0.01, label="Paris"),
        ),
        "verdicts": (
            Verdict(evidence_id=match.id, candidate=kept, kept=True, reason="214 inliers"),
            Verdict(
                evidence_id=match.id, candidate=near, kept=True, reason="110 m away, 61 inliers"
            ),
            Verdict(
                evidence_id=match.id,
                candidate=far,
                kept=False,
                reason="7 inliers, fewer than the 20 that rule out chance",
            ),
            Verdict(
                evidence_id=place.id,
                candidate=place.candidates[0],
                kept=False,
                reason="No country clue agrees with Trinidad and Tobago",
            ),
        ),
        "rejected": (
            Rejection(value="0.0, 0.0", reason="Null Island is what a missing position looks like"),
        ),
        "steps": (
            Step(
                number=1,
                call_id="call_text",
                tool="read_text",
                arguments={"photo_id": PHOTO[:12], "scripts": ["latin"]},
                text="2 strings: “PHARMACIE DU PORT” (0.98), “04 91 55 12 34” (0.95)",
                outcome="ok",
                seconds=0.84,
                data={"strings": [{"text": "PHARMACIE DU PORT", "confidence": 0.98}]},
            ),
            Step(
                number=2,
                call_id="call_clue",
                tool="look_up_clue",
                arguments={"text": "PHARMACIE DU PORT"},
                text="French: FR 70 %, BE 10 %, CH 5 %",
                outcome="ok",
                seconds=0.02,
                evidence_ids=(sign.id, phone.id),
            ),
            Step(
                number=3,
                call_id="call_place",
                tool="find_place",
                arguments={"name": "Port", "limit": 10},
                text="Port of Spain (TT), weight 0: no country clue agrees",
                outcome="ok",
                seconds=0.004,
                evidence_ids=(place.id,),
            ),
            Step(
                number=4,
                call_id="call_zoom",
                tool="zoom",
                arguments={"left": 4000},
                text="left 4000 lies outside the photo of 1600 x 1067 px: give 0 to 1599",
                outcome="refused",
                seconds=0.0,
            ),
            Step(
                number=5,
                call_id="call_match",
                tool="compare_photos",
                arguments={"photo_id": PHOTO[:12], "reference": "point-1"},
                text="214 inliers of 391 matches; the views are related by a homography.",
                outcome="ok",
                seconds=1.37,
                evidence_ids=(match.id,),
                pictures=(
                    Picture(photo_id=PAIR, caption="The photo beside point-1, 214 inlier lines"),
                    Picture(photo_id="c" * 64, caption="The photo beside point-2, 61 inlier lines"),
                ),
                data={"inliers": 214, "matches": 391},
            ),
        ),
        "photo_id": PHOTO,
        "photo_name": "street corner.jpg",
        "claimed_latitude": 41.9,
        "claimed_longitude": 12.5,
        "stopped_because": "committed",
        "budget_spent": {"steps": 5, "tool_calls": 5, "seconds": 2.31},
        "seconds": 2.31,
        "versions": {"graticule": "0.1.0", "encoder": "embedded 3f9c1a", "recipe": "pipeline"},
        "trace_path": "traces/20260401-101500.jsonl",
    }
    return Answer.model_validate(fields | changes)


def region(**changes: object) -> Answer:
    """Return an answer that knows countries only, around the antimeridian."""
    clue = Evidence(
        tool="look_up_clue",
        kind="text",
        summary="The text “BULA VINAKA” is Fijian",
        countries={"FJ": 0.72, "TO": 0.08, "NZ": 0.12},
        weight=0.7,
        group="language",
        box=Box(left=600, top=660, right=960, bottom=730),
        call_id="call_clue",
    )
    fields: dict[str, object] = {
        "status": "region",
        "latitude": -17.8,
        "longitude": 179.4,
        "radii": Radii(km_50=160.0, km_80=900.0, km_95=2300.0),
        "country": "FJ",
        "country_name": "Fiji",
        "countries": {"FJ": 0.72, "NZ": 0.12, "TO": 0.08},
        "explanation": f"The language of one sign points to Fiji ({clue.id}).",
        "evidence": (clue,),
        "alternatives": (
            Alternative(latitude=-41.3, longitude=174.8, share=0.12, label="New Zealand"),
            Alternative(latitude=-21.1, longitude=-175.2, share=0.08, label="Tonga"),
        ),
        "steps": (
            Step(
                number=1,
                call_id="call_clue",
                tool="look_up_clue",
                arguments={"text": "BULA VINAKA"},
                text="Fijian",
                outcome="ok",
                seconds=0.01,
                evidence_ids=(clue.id,),
            ),
        ),
        "photo_id": PHOTO,
        "photo_name": "ferry.jpg",
        "stopped_because": "committed",
        "seconds": 0.9,
    }
    return Answer.model_validate(fields | changes)


def undetermined(**changes: object) -> Answer:
    """Return an answer that says it cannot tell."""
    fields: dict[str, object] = {
        "status": "undetermined",
        "explanation": "No text was read and no gallery photo matched.",
        "steps": (
            Step(
                number=1,
                call_id="call_text",
                tool="read_text",
                arguments={},
                text="No text found.",
                outcome="ok",
                seconds=0.5,
            ),
            Step(
                number=2,
                call_id="call_search",
                tool="search_similar_photos",
                arguments={"limit": 20},
                text="gallery 'paris' is locked by another process",
                outcome="unavailable",
                seconds=0.1,
            ),
        ),
        "photo_id": PHOTO,
        "photo_name": "sunset.jpg",
        "stopped_because": "tool calls",
        "seconds": 0.7,
    }
    return Answer.model_validate(fields | changes)


def modelled(**changes: object) -> Answer:
    """Return an answer that a model drove, with one of everything that a model may leave behind."""
    base = located()
    match, sign = base.evidence[0], base.evidence[1]
    prior = Evidence(
        tool="prior",
        kind="model",
        summary="Without any tool the model names 45.4400, 12.3300 for 'Venice'.",
        candidates=(candidate(45.44, 12.33, 1, 1.0, "Venice", country="IT"),),
        weight=0.7,
        group="model",
        box=Box(left=600, top=660, right=960, bottom=730),
        call_id="call_prior",
    )
    guess: JsonValue = {
        "latitude": 43.2993,
        "longitude": 5.3701,
        "place": "Marseille",
        "country": "France",
    }
    other: JsonValue = {
        "latitude": 48.8566,
        "longitude": 2.3522,
        "place": "Paris",
        "country": "France",
    }
    box: JsonValue = {"left": 0.37, "top": 0.61, "right": 0.6, "bottom": 0.69}
    seen: list[JsonValue] = [
        {"what": f"a blue sign {HOSTILE}", "box": box},
        {"what": "light", "box": None},
    ]
    steps = (
        Step(
            number=1, call_id="call_prior", tool="prior", arguments={"answers": 1},
            text=prior.summary, outcome="ok", seconds=1.1, evidence_ids=(prior.id,),
            data={"guess": {"latitude": 45.44, "longitude": 12.33, "radius_km": 40.0,
                            "place": "Venice", "country": "Italy", "confidence": 0.4,
                            "clues": seen, "reason": f"It looks so {HOSTILE}"}},
        ),
        *(
            step.model_copy(update={"number": number, "turn": number // 2, "trajectory": 1})
            for number, step in enumerate(base.steps, start=2)
        ),
        Step(
            number=7, call_id="call_ask", tool="ask_analyst", turn=4, trajectory=2,
            arguments={"question": f"By the sea? {HOSTILE}", "options": ["yes", "no"]},
            text="The analyst says 'yes'.", outcome="ok", seconds=0.0,
            data={"answered": True, "reply": f"1 {HOSTILE}", "chosen": "yes"},
        ),
        Step(
            number=8, call_id="call_judge", tool="compare_photos", arguments={}, turn=4,
            trajectory=2, text="not verified", outcome="ok", seconds=1.0,
            data={"judge": "different", "judge_reason": f"The arches differ {HOSTILE}"},
        ),
        Step(
            number=9, call_id="call_short", tool="diversify", arguments={"answers": 4},
            text="3 of 4", outcome="ok", seconds=1.0,
            data={"answers": [{"prompt": "0 references", "guess": one, "failed": ""}
                              for one in (guess, guess, other, None)]},
        ),
    )  # fmt: skip
    replies = (
        ModelReply(purpose="prior", tokens_in=1200, tokens_out=300, seconds=1.1),
        ModelReply(purpose="decide", turn=1, trajectory=1, tokens_in=1500, tokens_out=90,
                   seconds=2.0, said=f"I read the sign first. {HOSTILE}"),
        ModelReply(purpose="decide", turn=4, trajectory=2, tokens_in=2500, tokens_out=90,
                   seconds=2.0),
        ModelReply(purpose="diversify", tokens_in=800, tokens_out=40, seconds=0.7),
    )  # fmt: skip
    use = ModelUse(
        calls=4, tokens_in=6000, tokens_out=520, seconds=5.8, retries=1, replies=replies,
        mishaps=(Mishap(kind="text-call", action="repaired", count=2, example=HOSTILE),),
        conflicts=(StatedConflict(first=match.id, second=prior.id, distance_km=570.0,
                                  trajectory=1),
                   StatedConflict(first=sign.id, second="e0000000000", turn=9)),
        trajectories=(
            TrajectoryEnd(number=1, start="the photo alone", latitude=43.2993, longitude=5.3701,
                          why=f"the match {HOSTILE}", chosen=True, verdict=f"best {HOSTILE}"),
            TrajectoryEnd(number=2, start="its look-alikes", why="steps: 12 of 12"),
        ),
        notices=(f"images are left out from now on {HOSTILE}",),
    )  # fmt: skip
    reason = f"The {UNGROUNDED} windows fit. {HOSTILE}"
    fields: dict[str, object] = base.model_dump() | {
        "recipe": "agentic",
        "driver": f"model {HOSTILE}",
        "evidence": (*base.evidence, prior),
        "explanation": f"{base.explanation}{SAYS}{reason!r}",
        "reason": reason,
        "steps": steps,
        "model": use,
        "versions": base.versions | {"prompt prior": "abc123", "tool zoom": "t0123456789"},
    }
    return Answer.model_validate(fields | changes)
