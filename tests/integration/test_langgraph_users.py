"""The state machine in the hands of LangGraph users: streams, checkpoints, subgraphs, forks."""

import base64
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

import agent.geolocator
from agent import make_graph
from agent.answer import Alternative, Answer, Radii, Step, Verdict
from agent.checkpoints import RECORDS
from agent.factors import Settlements
from agent.graph import Graph
from agent.model_settings import ModelSettings
from agent.settings import Settings
from tests.fakes import BlankReader, FakeGazetteer, calling
from tests.openai_stub import Call, OpenAIStub, calls, says
from tests.unit.photo_samples import encoded, picture
from tests.unit.test_agentic import PHOTO, PRIOR, SHORT, Model, commit, everything
from tools.evidence import Box, Candidate, Evidence, Picture, Reach, Rejection
from tools.workbench import Workbench

SERDE = "langgraph.checkpoint.serde.jsonplus"
QUESTION = calling(
    ("ask_analyst", {"question": "Which country?", "options": ["Germany", "France"]}),
    ("find_place", {"name": "Testdorf"}),
)
Make = Callable[..., Graph]


@pytest.fixture
def make(settings: Settings, settlements: Settlements, monkeypatch: pytest.MonkeyPatch) -> Make:
    def bench(*args: Any, **options: Any) -> Workbench:
        made = Workbench(*args, **{**options, "open_gazetteer": gazetteer})
        made.reader = BlankReader()
        return made

    def gazetteer() -> FakeGazetteer:
        return FakeGazetteer(settlements)

    monkeypatch.setattr(agent.geolocator, "Workbench", bench)

    def make(model: Model | ModelSettings | None = None, **options: Any) -> Graph:
        chat = model if isinstance(model, ModelSettings) else (model or Model(commit)).chat
        given: dict[str, Any] = {
            "model": chat,
            "settings": settings,
            "encoder": None,
            "recipe": "agentic",
        }
        return make_graph(**{**given, **options})

    return make


@pytest.fixture(autouse=True)
def unwarned(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test here may leave a word of LangGraph's serializer in the log."""
    import langgraph.checkpoint.serde.jsonplus as serde

    serde._warned_unregistered_types.clear()  # each is said once in a process
    serde._warned_blocked_types.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    said = [one.getMessage() for one in caplog.records if one.name == SERDE]
    assert not said


def thread(name: str = "1") -> Any:
    return {"configurable": {"thread_id": name}}


def shown(photo: bytes = PHOTO, shape: str = "url", text: str = "Where is this?") -> HumanMessage:
    data = base64.b64encode(photo).decode()
    shapes: dict[str, dict[str, Any]] = {
        "url": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        "base64": {"type": "image", "mime_type": "image/png", "base64": data},
        "data": {"type": "image", "mimeType": "image/png", "data": data},
    }
    block = shapes[shape]
    return HumanMessage([{"type": "text", "text": text}, block])


def start(photo: bytes = PHOTO, **more: Any) -> Any:
    return {"messages": [shown(photo)], **more}


@pytest.mark.parametrize("shape", ["url", "base64", "data"])
def test_an_image_in_a_chat_message_starts_a_run_and_the_last_word_is_the_answer(
    make: Make, shape: str
) -> None:
    ended = make().invoke({"messages": [shown(shape=shape)]})
    assert isinstance(ended["answer"], Answer)
    assert ended["messages"][0].content == [{"type": "text", "text": "Where is this?"}]
    last = ended["messages"][-1]
    assert isinstance(last, AIMessage)
    assert ended["answer"].explanation in last.text
    assert "not proof" in last.text


def test_the_custom_stream_is_the_trace(make: Make) -> None:
    parts = list(make().stream(start(), stream_mode=["custom", "updates"]))
    kinds = [part["kind"] for mode, part in parts if mode == "custom"]  # type: ignore[index]
    assert kinds[0] == "photo"
    assert {"model_call", "model_reply", "tool_call", "tool_result", "evidence", "belief"} <= set(
        kinds
    )
    nodes = [name for mode, part in parts if mode == "updates" for name in part]
    assert nodes[0] == "observe"
    assert nodes[-1] == "conclude"


def scripted(body: dict[str, Any], number: int) -> Any:
    last = json.dumps(body["messages"][-1])
    if "You have no tools now" in last:
        return says(PRIOR)
    if not body.get("tools"):
        return says(SHORT)
    ids = [word for word in json.dumps(body["messages"]).replace("]", "[").split("[")
           if len(word) == 11 and word[0] == "e"]  # fmt: skip
    call = Call("commit_location", {"evidence_ids": ids[:1], "reason": "it fits"})
    return calls(call, text="I have seen enough of it.")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_tokens_are_streamed_and_known_again_in_the_state(
    make: Make, asynchronous: bool
) -> None:
    pieces: dict[str, list[str]] = {}
    with OpenAIStub(scripted) as stub:
        graph = make(model=stub.settings(), asynchronous=asynchronous, checkpointer=InMemorySaver())
        streamed: Any = graph.astream(start(), thread(), stream_mode="messages")
        async for message, where in streamed:
            if isinstance(message, AIMessageChunk) and where["langgraph_node"] == "decide":
                pieces.setdefault(str(message.id), []).append(message.text)
        state = (await graph.aget_state(thread())).values
    (said,) = pieces.values()
    assert len([piece for piece in said if piece]) > 2
    (held,) = [m for m in state["messages"] if m.id in pieces]
    assert "".join(said) == held.text == "I have seen enough of it."


async def test_async_runs_end_like_sync_ones(make: Make, tmp_path: Path) -> None:
    plain = make().invoke(start())["answer"]
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "a.sqlite")) as saver:
        graph = make(asynchronous=True, checkpointer=saver)
        answer = (await graph.ainvoke(start(), thread()))["answer"]
        assert (await graph.aget_state(thread())).values["answer"] == answer
    same = {"seconds", "budget_spent", "steps", "model"}
    assert answer.model_dump(exclude=same) == plain.model_dump(exclude=same)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("Germany", "The analyst says 'Germany'"),
        ("1", "which means 'Germany'"),
        ([{"type": "response", "args": "Germany"}], "The analyst says 'Germany'"),
        ({"type": "response", "args": "Germany"}, "The analyst says 'Germany'"),
        ([{"type": "ignore", "args": None}], "did not answer"),
    ],
)
def test_a_question_waits_for_another_process(
    make: Make, tmp_path: Path, reply: Any, told: str
) -> None:
    path = str(tmp_path / "sessions.sqlite")
    with SqliteSaver.from_conn_string(path) as saver:
        graph = make(Model(QUESTION, commit), analyst=True, checkpointer=saver)
        written: dict[str, Any] = {}
        for values in graph.stream(start(), thread(), stream_mode="values"):
            written = {key: value for key, value in values.items() if key != "__interrupt__"}
        (asked,) = graph.get_state(thread()).interrupts
        assert asked.value["action_request"]["args"]["question"] == "Which country?"
    with SqliteSaver.from_conn_string(path) as saver:
        again = make(Model(commit), analyst=True, checkpointer=saver)
        assert again.get_state(thread()).values == written
        assert type(written["evidence"][0].candidates) is tuple
        ended = again.invoke(Command(resume=reply), thread())
        (said,) = [step.text for step in ended["steps"] if step.tool == "ask_analyst"]
        assert told in said
        assert ended["answer"].stopped_because == "committed"
        assert again.get_state(thread()).values == ended


def records() -> list[Any]:
    """Return one of each kind with every field filled."""
    candidate = Candidate(
        latitude=-12.5, longitude=180.0, radius_km=1e-3, score=1.0, rank=1, source="gallery:x",
        kind="photo", label="Ñandú 🗺 \"q\"", reference="7", country="FJ",
        reaches=(Reach(radius_km=1.0, share=0.5), Reach(radius_km=9.0, share=0.5)),
    )  # fmt: skip
    evidence = Evidence(
        tool="look", kind="match", summary="seen", candidates=(candidate, candidate),
        countries={"FJ": 0.25}, weight=1.0, given_countries=("FJ",), group="g",
        box=Box(left=0, top=0, right=2, bottom=3), call_id="c1",
    )  # fmt: skip
    step = Step(
        number=1, call_id="c1", tool="look", arguments={"a": [1, 2.0, None, {"b": (True)}]},
        text="found", outcome="ok", seconds=0.0, evidence_ids=(evidence.id,),
        pictures=(Picture(photo_id="a" * 64, caption="crop"),), data={"x": [[1.5, 2]], "y": {}},
    )  # fmt: skip
    answer = Answer(
        status="region", latitude=1.0, longitude=2.0, radii=Radii(km_50=1.0, km_80=2.0, km_95=3.0),
        countries={"FJ": 1.0}, explanation="x", evidence=(evidence,),
        alternatives=(Alternative(latitude=0.0, longitude=0.0, share=0.1, label="y"),),
        verdicts=(Verdict(evidence_id="e", candidate=candidate, kept=True, reason="z"),),
        rejected=(Rejection(value="v", reason="r"),), missing=("m",), steps=(step,), photo_id="p",
        photo_name="n", stopped_because="committed", budget_spent={"steps": 1.0}, seconds=0.5,
        versions={"a": "1"},
    )  # fmt: skip
    return [evidence, step, answer, Rejection(value="v", reason="r")]


def test_every_record_comes_back_equal_and_whole() -> None:
    serde = JsonPlusSerializer(allowed_msgpack_modules=RECORDS)
    for record in records():
        back = serde.loads_typed(serde.dumps_typed(record))
        assert type(back) is type(record)
        assert back == record
        assert back.model_dump_json() == record.model_dump_json()
        assert hash(back.model_dump_json()) == hash(record.model_dump_json())


def test_what_is_no_record_any_more_is_no_record() -> None:
    """A checkpoint of an older version, or an edited one, is not taken for a record."""
    serde = JsonPlusSerializer(allowed_msgpack_modules=RECORDS)
    kind, data = serde.dumps_typed(Rejection(value="v", reason="r"))
    back = serde.loads_typed((kind, data.replace(b"reason", b"season")))
    assert back == {"value": "v", "season": "r"}


def test_users_own_checkpointers_stay_as_they_are(make: Make) -> None:
    class Own(InMemorySaver):
        pass

    saver = Own()
    serde = saver.serde
    graph = make(checkpointer=saver)
    graph.invoke(start(), thread())
    assert saver.serde is serde
    assert isinstance(graph.checkpointer, Own)
    assert saver.get_tuple(thread()) is not None  # over the same store
    encrypted = InMemorySaver(serde=_Upside())
    assert make(checkpointer=encrypted).checkpointer is encrypted


class _Upside(JsonPlusSerializer):
    """A serializer of the user's own."""


def test_langgraphs_strict_mode_reads_our_types_from_the_schema(tmp_path: Path) -> None:
    """The mode is chosen when LangGraph is imported, hence another process."""
    code = """
import logging, sys
logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
from pathlib import Path
from langgraph.checkpoint.memory import InMemorySaver
from agent.budget import Budget
from agent.graph import compile_graph
from agent.nodes import Machine
from tests.fakes import BlankReader, FakeGazetteer, ScriptedDriver, plain_tool
from tests.unit.test_graph import commit, found, photo_bytes
from tools.commit import make_commit_location
from tools.evidence import Evidence
from tools.photos import PhotoStore
from tools.workbench import Workbench
import numpy as np
settled = np.array([[48.1, 11.5], [52.5, 13.4]]), np.array([1e6, 3e6]), ["DE", "DE"]
bench = Workbench(PhotoStore(Path(sys.argv[1])), (), lambda: FakeGazetteer(settled))
tools = (plain_tool("look", found), make_commit_location())
machine = Machine(bench, tools, ScriptedDriver([[("look", {})], commit]), Budget())
graph = compile_graph(machine, InMemorySaver())
config = {"configurable": {"thread_id": "1"}}
ended = graph.invoke({"photo_id": bench.photos.add(photo_bytes()).id}, config)
assert isinstance(ended["evidence"][0], Evidence)
assert graph.get_state(config).values == ended
print("equal")
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=root, capture_output=True, text=True, timeout=240,
        env={"LANGGRAPH_STRICT_MSGPACK": "true", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "equal\n"


def test_a_graph_of_ones_own_has_it_as_a_part(make: Make) -> None:
    class Case(TypedDict, total=False):
        photo_id: str
        messages: list[Any]
        answer: Any
        note: str

    def note(state: Case) -> Case:
        return {"note": state["answer"].status}

    builder = StateGraph(Case)
    builder.add_node("locate", make(Model(QUESTION, commit), analyst=True))
    builder.add_node("note", note)
    builder.add_edge(START, "locate")
    builder.add_edge("locate", "note")
    builder.add_edge("note", END)
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=RECORDS))
    graph = builder.compile(checkpointer=saver)
    asked = graph.invoke({"messages": [shown()]}, thread())
    assert asked["__interrupt__"][0].value["action_request"]["action"] == "ask_analyst"
    ended = graph.invoke(Command(resume="Germany"), thread())
    assert ended["note"] == ended["answer"].status
    assert "DE" in ended["answer"].countries


def sizes(saver: InMemorySaver) -> list[int]:
    """Return the bytes of every value that is stored."""
    return [len(data) for _, data in saver.blobs.values()]


def test_checkpoints_do_not_grow_with_the_photo(make: Make) -> None:
    rest = []
    for side in (64, 1600):
        saver = InMemorySaver()
        photo = encoded(picture(side, side, seed=7))
        make(checkpointer=saver).invoke(start(photo), thread())
        pixels = base64.b64encode(photo)
        with_photo = [data for _, data in saver.blobs.values() if pixels in data]
        # LangGraph keeps the input as it came, as input and as channel; then the pixels are out.
        assert len(with_photo) <= 2
        rest.append(sum(sizes(saver)) - len(with_photo) * len(pixels))
    assert rest[1] < 1.1 * rest[0] < 400_000


def test_a_photo_given_by_id_is_in_no_checkpoint(make: Make, settings: Settings) -> None:
    from tools.photos import PhotoStore

    photo = PhotoStore(settings.photos).add(encoded(picture(1600, 1600, seed=7)))
    saver = InMemorySaver()
    make(checkpointer=saver).invoke({"photo_id": photo.id}, thread())
    assert max(sizes(saver)) < 40_000


def test_a_second_photo_in_the_thread_is_another_investigation(make: Make) -> None:
    def second(messages: Any) -> AIMessage:
        assert "Testland" not in everything(messages[1:])
        return commit(messages)

    look = calling(("find_place", {"name": "Testdorf"}))
    model = Model(look, commit, second)
    graph = make(model, checkpointer=InMemorySaver())
    one = graph.invoke(start(hint="48.2, 16.37", trust_metadata=True), thread())
    other = encoded(picture(320, 200, seed=9))
    two = graph.invoke({"messages": [shown(other, text="And this?")]}, thread())
    assert two["photo_id"] != one["photo_id"]
    assert "hint" in {item.kind for item in one["evidence"]}
    assert "hint" not in {item.kind for item in two["evidence"]}
    assert two["answer"].photo_id == two["photo_id"]
    assert not two["answer"].trusted_metadata
    assert [step.number for step in two["steps"]] == list(range(1, len(two["steps"]) + 1))
    assert "find_place" not in {step.tool for step in two["steps"]}
    assert one["messages"] == two["messages"][: len(one["messages"])]
    assert everything(model.loop[-1]).count("And this?") == 1
    assert "Where is this?" not in everything(model.loop[-1][1:])


def test_an_earlier_checkpoint_can_be_gone_on_from(make: Make) -> None:
    look = calling(("find_place", {"name": "Testdorf"}))
    graph = make(Model(look, commit, look, commit), checkpointer=InMemorySaver())
    ended = graph.invoke(start(), thread())
    history = list(graph.get_state_history(thread()))
    turns = [state for state in history if state.next == ("decide",)]
    assert len(turns) == 2
    again = graph.invoke(None, turns[-1].config)
    same = {"seconds", "budget_spent", "steps", "model"}
    assert again["answer"].model_dump(exclude=same) == ended["answer"].model_dump(exclude=same)
    told = graph.update_state(turns[0].config, {"stopped_because": "the analyst's word"})
    forked = graph.invoke(None, told)
    assert forked["answer"] is not None
    assert len(list(graph.get_state_history(thread()))) > len(history)


def test_the_drawing_shows_the_machine(make: Make) -> None:
    drawn = make().get_graph().draw_mermaid()
    for arrow in (
        "__start__ -.-> observe", "__start__ -.-> follow_up", "follow_up --> prime",
        "observe --> prior", "prior --> prime", "prime -.-> decide",
        "decide -.-> act", "decide -.-> ask", "ask --> act", "act -.-> decide",
        "diversify --> verify", "verify --> conclude", "conclude --> __end__",
    ):  # fmt: skip
        assert arrow in drawn


def test_the_schemas_that_studio_shows_can_be_made(make: Make) -> None:
    graph = make()
    assert set(graph.get_input_jsonschema()["properties"]) == {
        "photo_id", "hint", "trust_metadata", "messages", "views", "region", "withdraw", "restore",
        "anew",
    }  # fmt: skip
    assert "answer" in graph.get_output_jsonschema()["properties"]


def test_the_servers_log_is_not_told_of_our_records_and_of_others_it_is() -> None:
    from agent.entry import _Ours

    def said(name: str, module: str) -> logging.LogRecord:
        text = "Deserializing unregistered type %s.%s from checkpoint."
        return logging.LogRecord(SERDE, logging.WARNING, "", 0, text, (module, name), None)

    assert not _Ours().filter(said("Evidence", "tools.evidence"))
    assert _Ours().filter(said("Theirs", "somewhere"))
    assert _Ours().filter(logging.LogRecord(SERDE, logging.WARNING, "", 0, "plain", (), None))
