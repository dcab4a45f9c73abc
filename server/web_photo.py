"""The photo with its clue boxes, and the pictures that tools drew of pairs."""

from collections.abc import Callable, Sequence
from typing import Any

from agent.report_model import LETTERS, MOST_CLUES
from agent.sessions import Sessions
from agent.text_lines import line_asked
from geo.errors import GeolocationError
from server.web_elements import button, el
from server.web_story import Story, Told
from server.web_words import withheld_words
from tools.photos import Photo

Frame = tuple[str, str, str, str]
"""Number or letter, evidence id, what it is, CSS position."""
Look = Callable[[str], object]
LENS_KEYS = "Picture under a lens: arrow keys move it, plus and minus zoom, Escape hides it"


def photo_panel(
    sessions: Sessions, story: Story, photos: Sequence[str], shown: str, look: Look
) -> None:
    """Show one of the place's photos, framed where evidence was read, and thumbnails of all.

    Args:
        sessions: with the photos.
        story: of the session.
        photos: ids, the one to locate first.
        shown: id of the one to show; the first where it is none of them.
        look: called with the id of the one to show instead.
    """
    if not photos:
        el("p", "empty", "No photo yet.")
        return
    shown = shown if shown in photos else photos[0]
    if len(photos) > 1:
        _thumbnails(story, photos, shown, look)
    try:
        photo = sessions.photos.get(shown)
    except GeolocationError:
        el("p", "missing", "The photo is no longer in the store.")
        return
    frames = frames_of(story, photo)
    with el("div", "tools-row"):
        el("button", "button small", "Lens", type="button", data_act="lens",
           data_frame="photo-frame", aria_pressed="true")  # fmt: skip
        if frames:
            el("button", "button small", "Frames", type="button", data_act="boxes",
               aria_pressed="true")  # fmt: skip
        el("span", "soft", f"{photo.name or 'photo'} · {photo.width} × {photo.height} px")
    _framed(photo, frames, first=shown == photos[0])


def _thumbnails(story: Story, photos: Sequence[str], shown: str, look: Look) -> None:
    with el("div", "photo-tabs", role="group", aria_label="Photos of the place"):
        for number, one in enumerate(photos, start=1):
            what = "to locate" if number == 1 else "further view"
            with button("", lambda one=one: look(one), "photo-tab", aria_pressed=str(
                one == shown).lower(), aria_label=f"Photo {number}, {what}"):  # fmt: skip
                el("img", "", src=f"/page/files/photos/{one}?side=160", alt="")
                el("span", "", f"{number} · {what}")


def _framed(photo: Photo, frames: Sequence[Frame], *, first: bool) -> None:
    with el("div", "photo-wrap"):
        frame = el("figure", "photo-frame lensed", id="photo-frame", data_lens=True, tabindex=0,
                   role="group", aria_label=LENS_KEYS)  # fmt: skip
        frame.style(f"--ratio:{photo.width / photo.height:.4f}")
        with frame:
            source = f"/page/files/photos/{photo.id}"
            what = "The photo to locate" if first else "Another photo of the place"
            el("img", "", src=f"{source}?side=1400", data_full=f"{source}?side=4096",
               alt=f"{what}, {photo.name or 'without a name'}")  # fmt: skip
            for mark, evidence, what, style in frames:
                _frame(mark, evidence, what, style)
    if frames:
        with el("ol", "clues", aria_label="What the frames hold"):
            for mark, evidence, what, _ in frames:
                with el("li", "clue", data_ev=evidence):
                    el("b", "mono", mark)
                    el("span", "", what[:220])


def _frame(mark: str, evidence: str, what: str, style: str) -> None:
    number = mark.isdigit()
    made = el("button", "box" if number else "box said", type="button", data_ev=evidence,
              data_show=evidence if number else None, title=what[:200],
              aria_label=f"Frame {mark}: {what[:160]}")  # fmt: skip
    made.style(style)
    with made:
        el("b", "", mark, aria_hidden="true")


def frames_of(story: Story, photo: Photo) -> list[Frame]:
    """Return the frames of a photo: evidence's boxes, then what the prior says it saw."""
    size = (photo.width, photo.height)
    first = not story.photos or photo.id == story.photos[0]
    clues = _clues(story) if first else []
    found = []
    for key, told in story.evidence.items():
        if told.data.get("tool") == "prior" and clues:
            continue  # its clues have frames of their own
        style = _style(told.data.get("box"), *size)
        if style and photo_of(story, told) == photo.id:
            found.append((str(told.number), key, str(told.data.get("summary")), style))
    for letter, clue in zip(LETTERS, clues[:MOST_CLUES], strict=False):
        box = clue.get("box") or {}
        style = _style({side: float(box[side]) * size[side in ("top", "bottom")]
                        for side in box}, *size)  # fmt: skip
        if style:
            what = f"The model says it saw: {clue.get('what')}"
            found.append((letter, f"clue-{letter}", what, style))
    return found


def photo_of(story: Story, told: Told) -> str:
    """Return the photo that a piece of evidence was read on: by default the one to locate."""
    step = story.steps.get(str(told.data.get("call_id"))) or {}
    arguments, data = step.get("arguments") or {}, step.get("data") or {}
    named = str(arguments.get("photo_id") or "").strip().lower()
    if not named:
        read = [
            (str(one.get("tool")), one.get("arguments") or {}, one.get("data") or {})
            for one in story.steps.values()
        ]
        line = line_asked(arguments, data, read)
        named = line.photo_id.lower() if line is not None else ""
    known = next((one for one in story.photos if named and one.startswith(named)), named)
    return known or (story.photos[0] if story.photos else "")


def _clues(story: Story) -> list[dict[str, Any]]:
    for step in story.steps.values():
        if step.get("tool") == "prior":
            guess = (step.get("data") or {}).get("guess") or {}
            return [one for one in guess.get("clues") or () if isinstance(one, dict)]
    return []


def _style(box: Any, width: int, height: int) -> str:
    if not box or box["left"] >= width or box["top"] >= height:
        return ""
    right, bottom = min(box["right"], width), min(box["bottom"], height)
    return (
        f"left:{100 * box['left'] / width:.3f}%;top:{100 * box['top'] / height:.3f}%;"
        f"width:{100 * (right - box['left']) / width:.3f}%;"
        f"height:{100 * (bottom - box['top']) / height:.3f}%"
    )


def pairs_of(story: Story) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the pictures that tools made, each with its step, in order."""
    return [
        (step, picture) for step in story.steps.values() for picture in step.get("pictures") or ()
    ]


def pairs_panel(story: Story) -> None:
    """Show pairs of photos with the lines that join them, and crops, under a lens."""
    found = pairs_of(story)
    if not found and (why := withheld_words(story.answer)):
        el("p", "empty", why)
        return
    if not found:
        el("p", "empty", "No pictures yet. Where the photo is compared with one of a gallery, "
           "both stand here side by side with lines between the points that agree.")  # fmt: skip
        return
    for index, (step, picture) in enumerate(found):
        name = f"pair-{index}"
        with el("figure", "pair"):
            with el("div", "tools-row"):
                el("button", "button small", "Lens", type="button", data_act="lens",
                   data_frame=name, aria_pressed="true",
                   aria_label=f"Lens over picture {index + 1}")  # fmt: skip
                el("span", "soft", f"step {step.get('number')}")
            with el("div", "pair-frame lensed", id=name, data_lens=True, tabindex=0,
                    role="group", aria_label=LENS_KEYS):  # fmt: skip
                source = f"/page/files/photos/{picture['photo_id']}"
                el("img", "", src=f"{source}?side=1400", data_full=f"{source}?side=4096",
                   loading="lazy", alt=str(picture.get("caption")))  # fmt: skip
            el("figcaption", "soft", str(picture.get("caption")))
