"""OpenAI's chat completions: any chat client talks to the geolocator as to a model.

https://platform.openai.com/docs/api-reference/chat/create. The first photo is located, the words
beside it are a hint, what is written later becomes evidence for a revised answer. Models are
recipes: `graticule`, `graticule/pipeline` and so on.
"""

import asyncio
import uuid
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from agent.session_run import SessionRun
from encoders.photo_file import printable
from geo.errors import GeolocationError
from server.completions_reply import NO_PHOTO, Frame, Usage, framed
from server.completions_request import (
    MODEL,
    ChatRequest,
    ErrorBody,
    OpenAIError,
    model_names,
    read_chat_request,
)
from server.completions_talk import (
    DONE,
    EVENTS,
    Chat,
    Chunks,
    Talk,
    in_openais_words,
    off_loop,
    quoted,
    sent,
)
from server.completions_turns import planned, started
from server.context import Context, context_of
from server.fetching import fetch_photo
from server.mcp_photos import decoded
from server.problems import RETRY_S, ProblemError
from server.schemas import takes
from tools.photos import Photo

router = APIRouter(tags=["chat completions"])
GONE_S = 0.25
"""How often it is looked whether the client still waits."""
MOST_IMAGES = 8
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": "A refusal in OpenAI's shape."}
    for status in (400, 403, 404, 409, 422, 500, 503)
}


@router.get("/v1/models", summary="List the recipes as models")
async def list_models() -> Any:
    """List what may be given for `model`."""
    return {"object": "list", "data": [_model(name) for name in model_names()]}


@router.get(
    "/v1/models/{name:path}", summary="One recipe as a model", responses={404: RESPONSES[404]}
)
async def get_model(name: str) -> Response:
    """Return one model."""
    if name not in model_names():
        shown = printable(name, 60)
        return _refused(OpenAIError(
            f"there is no model {shown!r}; GET /v1/models lists those there are", 404,
            param="model", code="model_not_found",
        ))  # fmt: skip
    return JSONResponse(_model(name))


@router.post(
    "/v1/chat/completions", summary="Talk to the geolocator as to a chat model",
    openapi_extra=takes(ChatRequest), responses=RESPONSES,
)  # fmt: skip
async def chat_completions(request: Request) -> Response:
    """Locate the photo of a conversation, or answer what is said about it.

    Errors have OpenAI's shape. A client that goes away stops its run; the session is kept.
    """
    try:
        chat = await _read(request)
        frame = framed(chat.asked, uuid.uuid4().hex)
        if not chat.plan.turns:
            return _without_photo(chat, frame)
        talk = Talk(chat, await off_loop(_first, chat))
        if chat.asked.stream:
            return Chunks(talk, frame)
        return await _whole(request, talk, frame)
    except ClientDisconnect:
        raise
    except Exception as error:
        return _refused(in_openais_words(error))


async def _read(request: Request) -> Chat:
    """Read a request, store its photos, and see what it asks."""
    context = context_of(request)
    asked = read_chat_request(await request.body())
    photos = await _photos(context, asked)
    named = request.headers.get("x-session", "") or asked.session
    plan = await off_loop(planned, context.sessions, asked, photos, named)
    return Chat(context.sessions, asked, plan, str(request.base_url).rstrip("/"))


async def _photos(context: Context, asked: ChatRequest) -> dict[int, tuple[Photo, ...]]:
    """Store the images of the person's messages; one that is stored already costs its hash."""
    shown = [
        (index, url)
        for index, message in enumerate(asked.messages)
        for url in message.images
        if message.role == "user"
    ]
    if len(shown) > MOST_IMAGES:
        raise OpenAIError(
            f"{len(shown)} images in one conversation, limit {MOST_IMAGES}; begin a new one",
            param="messages",
        )
    found: dict[int, tuple[Photo, ...]] = {}
    for index, url in shown:
        found[index] = (*found.get(index, ()), await _photo(context, index, url))
    return found


async def _photo(context: Context, index: int, url: str) -> Photo:
    photos, name = context.sessions.photos, None
    try:
        if url.startswith(("http://", "https://")):
            data, name = await fetch_photo(url, context.settings.server)
        elif url.startswith("data:"):
            data = await off_loop(decoded, url, photos.limits.max_bytes)
        else:
            raise OpenAIError(
                f"an image is a data:image/...;base64, URI, not {printable(url, 40)!r}; send the "
                "file's bytes in base64"
            )
        return await off_loop(photos.add, data, name)
    except (ProblemError, GeolocationError, OpenAIError) as error:
        refusal = in_openais_words(error)
        refusal.param = f"messages.{index}.content"
        raise refusal from None


def _first(chat: Chat) -> SessionRun:
    """Begin the run of the first turn; whatever is wrong shows before a stream begins."""
    plan = chat.plan
    return started(chat.sessions, plan.session_id, plan.revision, plan.turns[0], chat.options)


async def _whole(request: Request, talk: Talk, frame: Frame) -> Response:
    """Return a reply once the runs have ended; stop them where the client does not wait."""
    told: list[str] = []

    async def tell(line: str) -> None:
        told.append(line)

    following = asyncio.create_task(talk.follow(tell))
    try:
        while not following.done():
            await asyncio.wait({following}, timeout=GONE_S)
            if not following.done() and await request.is_disconnected():
                raise ClientDisconnect
        following.result()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    text, reasoning = await talk.text(), ""
    if talk.chat.asked.steps == "content":
        text = "".join(map(quoted, told)) + "\n" + text
    elif talk.chat.asked.steps == "reasoning":
        reasoning = "\n".join(told)
    content = frame.whole(text, reasoning, talk.usage, talk.ours)
    return JSONResponse(content, headers={"x-session": talk.run.session_id})


def _without_photo(chat: Chat, frame: Frame) -> Response:
    """Return the reply to a conversation that shows no photo: nothing runs."""
    usage, ours = Usage(), {"session_id": "", "status": "new", "ignored": chat.asked.ignored}
    if not chat.asked.stream:
        return JSONResponse(frame.whole(NO_PHOTO, "", usage, ours))
    parts = [
        frame.chunk({"role": "assistant", "content": NO_PHOTO}),
        frame.chunk({}, "stop", graticule=ours),
    ]
    if chat.wants_usage:
        parts.append(frame.usage(usage))
    body = b"".join(map(sent, parts)) + DONE
    return Response(body, media_type=EVENTS)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": MODEL}


def _refused(error: OpenAIError) -> Response:
    retry = {"retry-after": str(RETRY_S)} if error.status in (409, 503) else {}
    return JSONResponse(error.content, error.status, retry)
