"""The conversation on the wire: what servers accept, what fits, and nothing sent twice."""

import base64
import io
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_openai_messages,
)
from PIL import Image

from agent.conversation import NO_REPLY, NOT_RUN, Wired, WireLimits, wire
from agent.shown_pictures import PictureCache, encode_picture
from tests.unit.photo_samples import encoded, picture
from tools.evidence import ToolError
from tools.photo_store import PhotoStore

EVIDENCE = "e0123456789"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PhotoStore:
    return PhotoStore(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def ids(photos: PhotoStore) -> list[str]:
    return [photos.add(encoded(picture(64, 48, seed)), f"{seed}.jpg").id for seed in range(5)]


def shown(photo_id: str, caption: str = "a crop", text: str = "") -> HumanMessage:
    said = [{"type": "text", "text": text}] if text else []
    return HumanMessage([*said, {"type": "photo", "photo_id": photo_id, "caption": caption}])


def calling(*calls: tuple[str, str], text: str = "") -> AIMessage:
    made = [{"name": name, "args": {"n": 1}, "id": id_, "type": "tool_call"} for name, id_ in calls]
    return AIMessage(content=text, tool_calls=made)


def texts(wired: Wired) -> str:
    parts = []
    for message in wired.messages:
        blocks = message.content if isinstance(message.content, list) else [message.content]
        parts += [b if isinstance(b, str) else str(b.get("text", "")) for b in blocks]
    return "\n".join(parts)


def image_parts(message: BaseMessage) -> list[dict[str, Any]]:
    blocks = message.content if isinstance(message.content, list) else []
    return [b for b in blocks if isinstance(b, dict) and b.get("type") == "image_url"]


def picture_in(part: dict[str, Any]) -> Image.Image:
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def test_a_photo_becomes_an_image_behind_a_line_that_names_it(
    photos: PhotoStore, ids: list[str]
) -> None:
    wired = wire([shown(ids[0], "the photo", "Where?")], photos, WireLimits())
    (message,) = wired.messages
    assert isinstance(message, HumanMessage)
    line = f"Where?\n\nPicture {ids[0][:12]}: the photo (64 x 48 px)"
    assert message.content[0] == {"type": "text", "text": line}
    (image,) = image_parts(message)
    assert picture_in(image).size == (64, 48)
    assert (wired.images, wired.dropped) == ((ids[0],), ())
    assert wired.characters == len(line)


def test_images_have_the_stated_size_and_no_metadata(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path)
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    photo = store.add(encoded(picture(400, 200, 9), exif=exif.tobytes()), "x.jpg")
    wired = wire([shown(photo.id)], store, WireLimits(side_px=100))
    (part,) = image_parts(wired.messages[0])
    image = picture_in(part)
    assert (image.size, image.mode, image.format) == ((100, 50), "RGB", "JPEG")
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert "(400 x 200 px, shown at 100 x 50)" in texts(wired)


@pytest.mark.parametrize(
    ("size", "shown_size"), [((8, 16), (32, 64)), ((2000, 8), (100, 1)), ((64, 64), (64, 64))]
)
def test_tiny_images_are_enlarged_to_what_models_take(
    size: tuple[int, int], shown_size: tuple[int, int]
) -> None:
    made = encode_picture(Image.new("L", size), 100)
    assert (made.size, made.shown) == (size, shown_size)


def test_the_first_photo_stays_longest_and_of_the_others_the_newest(
    photos: PhotoStore, ids: list[str]
) -> None:
    messages: list[AnyMessage] = [shown(ids[0], "the photo")]
    for number in range(1, 5):
        messages += [calling(("zoom", f"c{number}")), ToolMessage("ok", tool_call_id=f"c{number}")]
        messages.append(shown(ids[number], f"crop {number}"))
    assert wire(messages, photos, WireLimits()).images == tuple(ids)
    wired = wire(messages, photos, WireLimits(images=3))
    assert wired.images == (ids[0], ids[3], ids[4])
    assert f"[picture {ids[1][:12]}: crop 1; no longer shown]" in texts(wired)
    assert len(wired.dropped) == 2
    assert "limit 3 images" in wired.dropped[0]
    left = [wire(messages, photos, WireLimits(drop_images=n)).images for n in range(7)]
    assert left == [tuple(ids), (ids[0], *ids[2:]), (ids[0], *ids[3:]), (ids[0], ids[4]),
                    (ids[0],), (), ()]  # fmt: skip


@pytest.mark.parametrize("limits", [WireLimits(images=0), WireLimits(see=False)])
def test_a_server_without_eyes_gets_words(
    photos: PhotoStore, ids: list[str], limits: WireLimits
) -> None:
    wired = wire([shown(ids[0], "the photo")], photos, limits)
    assert wired.messages[0].content == f"[picture {ids[0][:12]}: the photo; not shown]"
    assert wired.images == ()
    assert "takes no images" in wired.dropped[0]


def test_the_same_photo_is_sent_once(photos: PhotoStore, ids: list[str]) -> None:
    wired = wire([shown(ids[0]), AIMessage("Hm."), shown(ids[0])], photos, WireLimits())
    assert wired.images == (ids[0],)
    assert wired.messages[-1].content == f"[picture {ids[0][:12]}: a crop; see above]"


def test_a_photo_that_is_gone_is_told_and_nothing_breaks(photos: PhotoStore) -> None:
    for gone in ("f" * 64, "", "no id"):
        wired = wire([shown(gone)], photos, WireLimits())
        assert "cannot be opened" in texts(wired)
        assert (wired.images, len(wired.dropped)) == ((), 1)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
        {"type": "image", "mimeType": "image/png", "data": "AAAA"},
        {"type": "image_url", "image_url": "https://example.org/x.jpg"},
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
        {"type": ["image"]},
        {},
    ],
)
def test_what_front_ends_leave_never_travels(photos: PhotoStore, block: dict[str, Any]) -> None:
    wired = wire([HumanMessage([block]), AIMessage([block])], photos, WireLimits())
    assert "AAAA" not in str(wired.messages)
    assert "example" not in str(wired.messages)
    assert all(isinstance(message.content, str) and message.content for message in wired.messages)


def test_system_first_and_user_in_turn_with_the_assistant(photos: PhotoStore) -> None:
    wired = wire(
        [HumanMessage("a"), SystemMessage("s"), HumanMessage("b"), AIMessage("c"),
         HumanMessage("d"), SystemMessage("t"), HumanMessage([{"type": "text", "text": "e"}])],
        photos,
        WireLimits(),
    )  # fmt: skip
    assert [(m.type, m.content) for m in wired.messages] == [
        ("system", "s\n\nt"), ("human", "a\n\nb"), ("ai", "c"), ("human", "d\n\ne"),
    ]  # fmt: skip
    assert wired.characters == len("s\n\ntabcde") + 4


def test_every_call_has_one_result_behind_it_in_its_order(photos: PhotoStore) -> None:
    wired = wire(
        [HumanMessage("go"), calling(("a", "1"), ("b", "2"), ("c", "3")), HumanMessage("look"),
         ToolMessage("two", tool_call_id="2"), ToolMessage("one", tool_call_id="1"),
         ToolMessage("nobody asked", tool_call_id="9", name="x"), AIMessage("so")],
        photos,
        WireLimits(),
    )  # fmt: skip
    assert [(m.type, m.content) for m in wired.messages[2:]] == [
        ("tool", "one"), ("tool", "two"), ("tool", NOT_RUN),
        ("human", "look\n\nResult of x:\nnobody asked"), ("ai", "so"),
    ]  # fmt: skip
    assert [m.tool_call_id for m in wired.messages if isinstance(m, ToolMessage)] == ["1", "2", "3"]


def test_only_standard_calls_and_plain_text_of_the_assistant_travel(photos: PhotoStore) -> None:
    message = AIMessage(
        content=[{"type": "thinking", "thinking": "SECRET"}, {"type": "text", "text": "look"}],
        tool_calls=[{"name": "zoom in!", "args": {}, "id": "1", "type": "tool_call"}],
        additional_kwargs={"reasoning_content": "SECRET", "tool_calls": [{"id": "SECRET"}]},
        response_metadata={"x": "SECRET"},
    )
    wired = wire([HumanMessage("go"), message], photos, WireLimits())
    sent = wired.messages[1]
    assert isinstance(sent, AIMessage)
    assert "SECRET" not in repr(wired.messages)
    assert (sent.content, sent.tool_calls[0]["name"]) == ("look", "zoom_in_")


def test_empty_replies_are_not_sent_empty(photos: PhotoStore) -> None:
    wired = wire(
        [AIMessage(""), HumanMessage(""), calling(("a", "1")), ToolMessage("", tool_call_id="1")],
        photos,
        WireLimits(),
    )
    assert [m.type for m in wired.messages] == ["human", "ai", "ai", "tool"]
    assert wired.messages[1].content == NO_REPLY
    assert wired.messages[3].content == "(no text)"


def test_a_server_without_tools_gets_the_structured_form(photos: PhotoStore) -> None:
    wired = wire(
        [HumanMessage("go"), calling(("zoom", "1"), ("find", "2"), text="Hm."),
         ToolMessage("big", tool_call_id="1"), HumanMessage("turn")],
        photos,
        WireLimits(tool_messages=False),
    )  # fmt: skip
    assert [m.type for m in wired.messages] == ["human", "ai", "human"]
    assert not any(getattr(m, "tool_calls", None) for m in wired.messages)
    assert json.loads(str(wired.messages[1].content)) == {
        "thought": "Hm.",
        "calls": [{"tool": n, "arguments": {"n": 1}} for n in ("zoom", "find")],
    }
    assert wired.messages[2].content == (
        f"Result of zoom:\nbig\n\nResult of find:\n{NOT_RUN}\n\nturn"
    )


def long_run(turns: int = 4, result: str = "") -> list[AnyMessage]:
    messages: list[AnyMessage] = [SystemMessage("s" * 2000), HumanMessage("Where?")]
    for turn in range(turns):
        messages.append(calling(("search", f"c{turn}"), text=f"Turn {turn}."))
        text = result or f"{'far ' * 800}\nevidence {EVIDENCE}{turn}: here\n{'and ' * 50}"
        messages.append(ToolMessage(text.replace(f"{EVIDENCE}{turn}", f"e{turn:010x}"),
                                    tool_call_id=f"c{turn}"))  # fmt: skip
        messages.append(HumanMessage(f"Left: {turn}"))
    return messages


def test_old_results_shrink_by_degrees_and_keep_their_evidence(photos: PhotoStore) -> None:
    messages = long_run()
    sizes = [wire(messages, photos, WireLimits(shorten=n)).characters for n in range(8)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] < sizes[0] * 0.7
    assert sizes[5] < sizes[1] * 0.7
    wired = wire(messages, photos, WireLimits(shorten=50))
    for turn in range(4):
        assert f"evidence e{turn:010x}: here" in texts(wired)
    results = [m for m in wired.messages if isinstance(m, ToolMessage)]
    assert results[-1].content == messages[-2].content.strip()  # type: ignore[union-attr] # it is text
    assert all(len(m.content) < 120 for m in results[:-1])
    assert len(wired.dropped) == 3
    assert "result of search (c0)" in wired.dropped[0]
    assert wire(messages, photos, WireLimits()).dropped == ()


def test_an_endless_line_with_evidence_keeps_what_is_around_it(photos: PhotoStore) -> None:
    messages = long_run(2, "x" * 5000 + f" {EVIDENCE} " + "x" * 5000)
    wired = wire(messages, photos, WireLimits(shorten=9))
    first = next(m for m in wired.messages if isinstance(m, ToolMessage))
    assert EVIDENCE in first.content
    assert len(first.content) < 600


def as_sent(messages: list[BaseMessage]) -> list[Any]:
    return [m.model_dump() for m in messages]


@pytest.mark.parametrize("tool_messages", [True, False])
def test_what_follows_leaves_what_was_sent_as_it_was(
    photos: PhotoStore, ids: list[str], tool_messages: bool
) -> None:
    messages: list[AnyMessage] = [SystemMessage("s"), shown(ids[0], "the photo", "Where?")]
    sent: list[Any] = []
    for turn in range(4):
        wired = wire(messages, photos, WireLimits(tool_messages=tool_messages))
        now = as_sent(wired.messages)
        assert now[: len(sent)] == sent
        assert wired.dropped == ()
        sent = now
        messages += [
            calling(("zoom", f"{turn}a"), ("find", f"{turn}b"), text="Hm."),
            ToolMessage("big", tool_call_id=f"{turn}a"),
            ToolMessage("far", tool_call_id=f"{turn}b"),
            shown(ids[turn + 1]),
            HumanMessage("Left: 3 steps."),
        ]
        if turn == 2:
            messages += [AIMessage(""), HumanMessage("Call a tool.")]
    assert len(sent) > 8


BLOCKS = st.sampled_from(
    [{"type": "text", "text": "hi"}, {"type": "photo", "photo_id": "f" * 64, "caption": "c"},
     {"type": "photo"}, {"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "image"},
     {"type": "text", "text": ""}, "words", {}]
)  # fmt: skip
CONTENT = st.text(max_size=5) | st.lists(BLOCKS, max_size=3)
IDS = st.sampled_from(["1", "2", "3", ""])
ANY_MESSAGE = st.one_of(
    st.builds(HumanMessage, CONTENT),
    st.builds(SystemMessage, CONTENT),
    st.builds(AIMessage, CONTENT),
    st.builds(lambda names, text: calling(*((n, n) for n in names), text=text),
              st.lists(IDS, max_size=3, unique=True), st.text(max_size=3)),
    st.builds(lambda text, id_: ToolMessage(text, tool_call_id=id_), CONTENT, IDS),
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ANY_MESSAGE, max_size=10),
    st.builds(
        WireLimits,
        images=st.integers(0, 3),
        tool_messages=st.booleans(),
        see=st.booleans(),
        drop_images=st.integers(0, 3),
        shorten=st.integers(0, 3),
    ),
)
def test_any_history_becomes_one_that_servers_accept(
    photos: PhotoStore, messages: list[AnyMessage], limits: WireLimits
) -> None:
    wired = wire(messages, photos, limits)
    types = [message.type for message in wired.messages]
    assert "system" not in types[1:]
    body = [t for t in types if t != "system"]
    assert not body or body[0] == "human"
    assert all(pair != ("human", "human") for pair in itertools.pairwise(body))
    waiting: list[str] = []
    for message in wired.messages:
        if isinstance(message, ToolMessage):
            assert waiting.pop(0) == message.tool_call_id
        else:
            assert waiting == []
        if isinstance(message, AIMessage):
            waiting = [str(call["id"]) for call in message.tool_calls]
            assert message.content or waiting
        else:
            assert message.content
    assert waiting == []
    assert limits.tool_messages or "tool" not in types
    assert json.dumps(convert_to_openai_messages(wired.messages), allow_nan=False)


def test_a_picture_is_made_once_and_the_cache_has_a_limit(
    photos: PhotoStore, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = PhotoStore.image

    def counted(self: PhotoStore, photo_id: str) -> Image.Image:
        opened.append(photo_id)
        return real(self, photo_id)

    monkeypatch.setattr(PhotoStore, "image", counted)
    one = len(encode_picture(real(photos, ids[0]), 64).uri)
    cache = PictureCache(maximum_bytes=int(one * 2.5))
    assert cache.show(photos, ids[0], 64) is cache.show(photos, ids[0], 64)
    assert cache.show(photos, ids[0], 32).shown == (32, 24)
    assert opened == [ids[0]] * 2
    for photo_id in ids:
        cache.show(photos, photo_id, 64)
        assert cache.bytes <= cache.maximum_bytes
    opened.clear()
    cache.show(photos, ids[4], 64)
    cache.show(photos, ids[0], 64)
    assert opened == [ids[0]]  # the oldest was given up, the newest not
    with pytest.raises(ToolError):
        cache.show(photos, "f" * 64, 64)


def test_many_threads_share_the_cache(photos: PhotoStore, ids: list[str]) -> None:
    cache = PictureCache(maximum_bytes=6000)
    wrong: list[object] = []

    def work(offset: int) -> None:
        for turn in range(20):
            photo_id = ids[(turn + offset) % 5]
            if cache.show(photos, photo_id, 32).size != (64, 48):
                wrong.append(photo_id)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    held = [picture.uri for picture in cache._kept.values()]
    assert cache.bytes == sum(map(len, held)) <= 6000


def test_a_conversation_is_wired_in_about_a_millisecond(photos: PhotoStore) -> None:
    messages = long_run(12, "a result of a tool, " * 20)
    wire(messages, photos, WireLimits())
    times = []
    for _ in range(20):
        began = time.perf_counter()
        wire(messages, photos, WireLimits())
        times.append(time.perf_counter() - began)
    assert min(times) < 0.01  # measured 0.25 ms; forty times more is a mistake, not a busy machine
