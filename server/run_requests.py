"""What a client asks of a run, and what the state machine is given for it."""

import json
import uuid
from typing import Annotated, Any, Literal

from langchain_core.messages import AnyMessage, HumanMessage, convert_to_messages
from langgraph.types import Command, Send
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agent.follow_up import SAME_PLACE
from agent.geolocator import check_hint
from agent.graph import NODES
from agent.images import image_in_messages, without_images
from agent.session_records import SessionInfo, SessionOptions
from agent.sessions import Sessions
from agent.state import OURS, InputState
from encoders.photo_file import printable
from geo.errors import InputError
from server.run_events import StreamMode
from server.storable import Kept

Nodes = Literal["*"] | list[str] | None
MOST_MESSAGES = 200


class CheckpointName(BaseModel):
    """Names a checkpoint; the thread is the path's."""

    checkpoint_id: str | None = Field(default=None, max_length=100)
    checkpoint_ns: str = ""


class SendTo(BaseModel):
    """A node that is to run, with an input of its own."""

    node: str
    input: dict[str, Any] | None = None


class RunCommand(BaseModel):
    """LangGraph's `Command`: a reply to what a thread waits with, a change, or a jump."""

    resume: Any = None
    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    goto: str | SendTo | list[str | SendTo] | None = None


class RunConfig(BaseModel):
    """A run's configuration; `configurable` takes the session's options."""

    model_config = ConfigDict(extra="allow")

    configurable: dict[str, Any] = Field(default_factory=dict)


class RunInput(BaseModel):
    """What a run is started with, see `agent.state.InputState`; other keys are left aside."""

    photo_id: str | None = Field(default=None, max_length=64)
    hint: str | None = None
    trust_metadata: bool | None = None
    messages: list[dict[str, Any]] | dict[str, Any] | str | None = None
    views: list[str] | None = Field(default=None, max_length=20)
    region: dict[str, JsonValue] | None = None
    withdraw: list[str] | None = None
    restore: list[str] | None = None
    anew: bool | None = None


class RunRequest(BaseModel):
    """What LangGraph's clients send to begin a run."""

    assistant_id: str = Field(max_length=100)
    input: RunInput | None = None
    command: RunCommand | None = None
    checkpoint: CheckpointName | None = None
    checkpoint_id: str | None = Field(default=None, max_length=100)
    config: RunConfig = RunConfig()
    context: dict[str, Any] | None = None
    metadata: Annotated[dict[str, JsonValue], Kept] | None = None
    stream_mode: StreamMode | list[StreamMode] = ["values"]
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    """Every stream is."""
    interrupt_before: Nodes = None
    interrupt_after: Nodes = None
    multitask_strategy: Literal["reject", "enqueue", "interrupt", "rollback"] = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    """What becomes of the thread of a run without one."""
    after_seconds: float | None = Field(default=None, ge=0, le=86_400)
    durability: Literal["sync", "async", "exit"] = "sync"
    """Every step is on disk before the next begins, whatever is asked."""
    webhook: str | None = None

    @property
    def modes(self) -> list[StreamMode]:
        """The stream modes."""
        given = self.stream_mode
        return list(given) if isinstance(given, list) else [given]

    @property
    def at(self) -> str:
        """The checkpoint to go on from; empty for the latest."""
        return self.checkpoint_id or (self.checkpoint and self.checkpoint.checkpoint_id) or ""

    @property
    def limits(self) -> dict[str, Any]:
        """Further arguments of the graph's stream."""
        given = {"interrupt_before": self.interrupt_before, "interrupt_after": self.interrupt_after}
        return {
            **({"subgraphs": True} if self.stream_subgraphs else {}),
            **{key: value for key, value in given.items() if value},
        }


def check_request(request: RunRequest) -> None:
    """Refuse what no run can do.

    Raises:
        InputError: the message says what, and what can be done instead.
    """
    if request.webhook:
        raise InputError("webhook: addresses are not called from here; follow the run's stream")
    if request.input is not None and request.command is not None:
        raise InputError("input and command: give one of them")
    named = [request.interrupt_before, request.interrupt_after]
    _check_nodes([one for some in named if isinstance(some, list) for one in some])
    if request.command is not None:
        _command(request.command)


def received(sessions: Sessions, given: RunInput) -> "Received":
    """Take what a client says, its photos into the store: they never reach a checkpoint.

    Raises:
        InputError: a message or an image cannot be used.
    """
    messages: list[AnyMessage] = []
    photos: list[str] = []
    same = True
    for message in _messages(given.messages):
        kept: AnyMessage = message
        found = []
        while (data := image_in_messages([kept])) is not None:
            found.append(sessions.photos.add(data).id)
            kept = _without_last_image(kept)
        if found:
            found.reverse()
            same = bool(SAME_PLACE.search(message.text))
            about = {**message.additional_kwargs, "photo_ids": found}
            (kept,) = without_images([message])
            kept = kept.model_copy(update={"additional_kwargs": about})
            photos += found
        check_hint(kept.text)
        messages.append(kept)
    named = [sessions.photos.get(one).id for one in (given.photo_id, *(given.views or ())) if one]
    check_hint(given.hint or "")
    return Received(
        given=given.model_copy(update={"messages": None}), messages=messages,
        photos=photos, same=same,
        photo_id=named[0] if given.photo_id else "", views=named[bool(given.photo_id):],
    )  # fmt: skip


class Received(BaseModel):
    """What a client says, its photos in the store.

    Attributes:
        photos: that came in messages.
        same: whether the last message with a photo says that it shows the place again.
        photo_id: of the photo that was named.
        views: further photos that were named.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    given: RunInput
    messages: list[Any]
    photos: list[str]
    same: bool
    photo_id: str
    views: list[str]

    def asked(self, info: SessionInfo, begun: bool) -> InputState:
        """Return the input of the state machine.

        Args:
            info: of the session.
            begun: whether it investigates a photo already.

        Raises:
            InputError: there is no photo.
        """
        photos, named = list(self.photos), self.photo_id
        first = info.photos[0] if info.photos else ""
        other = bool(photos and not self.same) or named not in ("", first)
        anew = begun and (other or bool(self.given.anew))
        asked = InputState(messages=self.messages)
        if not begun or anew:
            photos = list(dict.fromkeys([*([named] if named else []), *photos])) or [first]
            if not photos[0]:
                raise InputError(
                    "no photo in this session yet; send one as an image block of a message, or "
                    "its photo_id"
                )
            asked |= InputState(photo_id=photos[0], hint=self.given.hint or "", anew=anew)
            photos = photos[1:]
            trusted = self.given.trust_metadata
            asked["trust_metadata"] = info.options.trust_metadata if trusted is None else trusted
        elif named:
            asked["photo_id"] = named
        asked["views"] = [*photos, *self.views]
        given = self.given
        if given.region:
            asked["region"] = given.region
        if given.withdraw or given.restore:
            asked |= InputState(withdraw=given.withdraw or [], restore=given.restore or [])
        return asked


def said_of(asked: InputState) -> dict[str, JsonValue]:
    """Return what was said, for the trace."""
    text = asked.get("hint") or " ".join(one.text for one in asked.get("messages", ()))
    first = asked.get("photo_id")
    return {
        "text": text, "photos": [*([first] if first else ()), *asked.get("views", ())],
        "region": asked.get("region"), "withdraw": [*asked.get("withdraw", ())],
        "restore": [*asked.get("restore", ())],
    }  # fmt: skip


def with_photos(info: SessionInfo, asked: InputState) -> SessionInfo:
    """Return what is known of a session that also has the photos of an input."""
    first = [asked["photo_id"]] if asked.get("photo_id") else []
    photos = tuple(dict.fromkeys([*first, *info.photos, *asked.get("views", ())]))
    return info.model_copy(update={"photos": photos})


def with_options(info: SessionInfo, request: RunRequest, recipe: str) -> SessionInfo:
    """Return what is known of a session whose options are those that a run asks for.

    Args:
        info: of the session.
        request: its `config.configurable` and `context` may name options.
        recipe: that the assistant stands for; empty leaves the session's.

    Raises:
        InputError: an option does not fit.
    """
    given = {**request.config.configurable, **(request.context or {})}
    named = {key: given[key] for key in SessionOptions.model_fields if key in given}
    options = {**info.options.model_dump(mode="json"), **({"recipe": recipe} if recipe else {})}
    try:
        held = SessionOptions.model_validate_json(json.dumps({**options, **named}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"config.configurable.{where}: {first['msg']}; correct it") from None
    return info.model_copy(update={"options": held})


def command_of(sessions: Sessions, given: RunCommand) -> "Command[Any]":
    """Return LangGraph's command; what it changes is what a person may say, and nothing else.

    Raises:
        InputError: there is no such node, or only the machine itself writes what it would change.
    """
    update = dict(given.update) if given.update else None
    changed = None if update is None else person_says(sessions, update)
    command = _command(given)
    said = {"resume": given.resume} if "resume" in given.model_fields_set else {}
    if said and given.resume is None:
        said = {"resume": {"type": "ignore"}}  # LangGraph takes no bare None for a reply
    return Command(update=changed, goto=command, **said)


def person_says(sessions: Sessions, values: dict[str, Any]) -> dict[str, Any]:
    """Return values of the state that a person may write, photos in the store.

    Raises:
        InputError: a key is the machine's own, or a value does not fit.
    """
    if unknown := sorted(set(values) - set(RunInput.model_fields)):
        raise InputError(
            f"{printable(unknown[0], 60)!r} is written by the state machine alone; change one of "
            f"{', '.join(RunInput.model_fields)}"
        )
    try:
        given = RunInput.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"values.{where}: {first['msg']}; correct it") from None
    held = received(sessions, given)
    changed: dict[str, Any] = given.model_dump(exclude_none=True, exclude={"messages"})
    if "messages" in values:
        changed["messages"] = held.messages
    if held.photo_id:
        changed["photo_id"] = held.photo_id
    if views := [*held.photos, *held.views]:
        changed["views"] = views
    return changed


def _command(given: RunCommand) -> list[Any]:
    """Return where a command jumps to."""
    jumps = given.goto if isinstance(given.goto, list) else [given.goto] if given.goto else []
    _check_nodes([one if isinstance(one, str) else one.node for one in jumps])
    return [one if isinstance(one, str) else Send(one.node, one.input) for one in jumps]


def _check_nodes(names: list[str]) -> None:
    if unknown := [name for name in names if name not in NODES]:
        raise InputError(
            f"there is no node {printable(unknown[0], 60)!r}; choose from {', '.join(NODES)}"
        )


def _messages(given: list[dict[str, Any]] | dict[str, Any] | str | None) -> list[HumanMessage]:
    """Return a person's messages; what front ends fill in for tools is left aside."""
    rows: list[Any] = given if isinstance(given, list) else [given] if given else []
    if len(rows) > MOST_MESSAGES:
        raise InputError(f"{len(rows)} messages at once, limit {MOST_MESSAGES}; send the new ones")
    try:
        found = convert_to_messages(rows)
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        told = printable(str(error).splitlines()[0], 200)
        raise InputError(f"messages do not fit ({told}); send type and content") from None
    kept: list[HumanMessage] = []
    for message in found:
        if message.type == "tool" and (message.id or "").startswith(OURS):
            continue
        if not isinstance(message, HumanMessage):
            raise InputError(
                f"a message of type {printable(message.type, 30)!r} is the state machine's to "
                "write; send human messages"
            )
        given_id = message.id or ""
        fresh = not given_id or given_id.startswith(OURS)
        named = str(uuid.uuid4()) if fresh else given_id
        kept.append(message.model_copy(update={"id": named}))
    return kept


def _without_last_image(message: AnyMessage) -> AnyMessage:
    blocks = list(message.content) if isinstance(message.content, list) else []
    for at in reversed(range(len(blocks))):
        block = blocks[at]
        if isinstance(block, dict) and block.get("type") in ("image", "image_url"):
            del blocks[at]
            break
    return message.model_copy(update={"content": blocks})
