"""`ModelJudge`: a chat model that says whether two photos show the same place."""

import base64
import io
import json
import re
from collections.abc import Mapping

from langchain_core.messages import HumanMessage
from PIL import Image
from pydantic import JsonValue

import prompts
from agent.asking import ChatClient, Problem, Question, Reply, Tell, numbered
from agent.model_settings import ModelSettings
from encoders.photo_file import printable
from geo.errors import UnavailableError
from tools.judge import REASON_LETTERS, Verdict

PURPOSE = "same-place"
JPEG_QUALITY = 90
SCHEMA: Mapping[str, JsonValue] = {
    "title": "same_place",
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["same", "different", "cannot-tell"]},
        "reason": {"type": "string", "maxLength": REASON_LETTERS, "pattern": r"^[^\x00-\x1f]*$"},
    },
    "required": ["verdict", "reason"],
    "additionalProperties": False,
}
_WORDS = r"(same|different|(?:cannot|can ?not|can['’]t)[-_ ]?tell)"
_SAID = re.compile(rf"""verdict["'*\s]*[:=]["'*\s]*{_WORDS}\b""", re.IGNORECASE)
_ALONE = re.compile(rf"\W*{_WORDS}\W*", re.IGNORECASE)
_REASON = re.compile(r"""reason["'*\s]*[:=]["'*\s]*([^"\n}]+)""", re.IGNORECASE)


class ModelJudge:
    """Asks a chat model, showing it both photos and what the geometric check found.

    Args:
        client: of the model.
        settings: image size, seed.
        tell: announces the events of the trace.
    """

    def __init__(self, client: ChatClient, settings: ModelSettings, tell: Tell) -> None:
        self._client = client
        self._settings = settings
        self._tell = tell

    def same_place(
        self,
        ours: Image.Image,
        theirs: Image.Image,
        geometry: str,
        photo_ids: tuple[str, str] = ("", ""),
    ) -> Verdict:
        """Ask once; what cannot be read is "cannot-tell" and announced as `malformed`.

        Raises:
            UnavailableError: nobody answers, or the model is shown fewer than two images.
        """
        self._refuse_blind()
        side = self._settings.image_side_px // 2
        content: list[str | dict[str, JsonValue]] = [
            {"type": "text", "text": prompts.load(PURPOSE).render(geometry=geometry)},
            {"type": "text", "text": "The photo to locate:"},
            _shown(ours, side),
            {"type": "text", "text": "The photo whose position is known:"},
            _shown(theirs, side),
        ]
        question = Question(
            PURPOSE,
            [HumanMessage(content)],
            schema=SCHEMA,
            images=tuple(one for one in photo_ids if one),
            prompts=prompts.hashes([PURPOSE]),
            temperature=0.0,  # a verdict, not an idea
            seed=self._settings.seed,
        )
        reply = self._client.ask(question, numbered(self._tell))
        verdict, problem = read_verdict(reply)
        if problem:
            self._tell("malformed", {"purpose": PURPOSE, **problem.model_dump(mode="json")})
        return verdict

    def _refuse_blind(self) -> None:
        if self._settings.images < 2:
            raise UnavailableError(
                f"model settings allow {self._settings.images} images in a request, a comparison "
                "takes 2: raise `images`"
            )
        if self._client.capabilities.images is False:
            raise UnavailableError(
                f"model {self._client.name!r:.80} takes no images, a comparison takes 2: choose a "
                "multimodal model"
            )


def read_verdict(reply: Reply) -> tuple[Verdict, Problem | None]:
    """Read a reply; what is not the JSON that was asked for is told as a problem."""
    tokens, text = reply.tokens_in + reply.tokens_out, reply.text.strip()
    word, reason = _from_json(text)
    if word:
        return _verdict(word, reason, tokens), None
    said = list(_SAID.finditer(text))
    alone = _ALONE.fullmatch(text)
    if said or alone:
        last = said[-1][1] if said else alone[1] if alone else ""  # a second thought counts
        found = _REASON.search(text, said[-1].end() if said else 0)
        fenced = "fenced-json" if "```" in text else "not-json"
        kind = "truncated" if reply.finish == "length" else fenced
        problem = Problem(kind=kind, detail=_cut(text), action="repaired")
        return _verdict(last, found[1].strip("'* ") if found else "", tokens), problem
    kind = "unreadable" if text else "endless-thinking" if reply.thinking else "empty"
    detail = _cut(text) or f"no text, finish {reply.finish!r:.40}"
    problem = Problem(kind=kind, detail=detail, action="rejected")
    unread = "its reply could not be read"
    return Verdict(verdict="cannot-tell", reason=unread, tokens=tokens), problem


def _from_json(text: str) -> tuple[str, str]:
    """Return verdict and reason of a reply that is the JSON asked for; empty where it is not."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(said, dict) or not isinstance(said.get("verdict"), str):
        return "", ""
    word = _ALONE.fullmatch(said["verdict"])
    return (word[1] if word else ""), str(said.get("reason", ""))


def _verdict(word: str, reason: str, tokens: int) -> Verdict:
    word = word.lower()
    return Verdict(
        verdict="same" if word == "same" else "different" if word == "different" else "cannot-tell",
        reason=_cut(" ".join(reason.split())),
        tokens=tokens,
    )


def _cut(text: str) -> str:
    return printable(text, REASON_LETTERS)


def _shown(image: Image.Image, side_px: int) -> dict[str, JsonValue]:
    """Return an image block with the image as a data URI, its longer side at most `side_px`."""
    small = image.convert("RGB")
    small.thumbnail((side_px, side_px))
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=JPEG_QUALITY)
    coded = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{coded}"}}
