"""LangGraph's own conformance suite, on the savers that keep sessions."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from agent.session_store import open_store
from tests.postgres_server import postgres

pytestmark = pytest.mark.clients
Saver = BaseCheckpointSaver[Any]


class Threaded(BaseCheckpointSaver[Any]):
    """A saver whose methods run in threads, as our runs do: the suite is asynchronous."""

    def __init__(self, saver: Saver) -> None:
        super().__init__(serde=saver.serde)
        self.saver = saver

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.saver.get_tuple, config)

    async def alist(
        self, config: RunnableConfig | None, **given: Any
    ) -> AsyncIterator[CheckpointTuple]:
        for one in await asyncio.to_thread(lambda: list(self.saver.list(config, **given))):
            yield one

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await asyncio.to_thread(self.saver.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        await asyncio.to_thread(self.saver.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.saver.delete_thread, thread_id)

    def get_next_version(self, current: Any, channel: None) -> Any:
        return self.saver.get_next_version(current, channel)


async def _conforms(
    name: str, opened: Callable[[], contextlib.AbstractContextManager[Saver]]
) -> None:
    from langgraph.checkpoint.conformance import checkpointer_test, validate

    @checkpointer_test(name=name)
    async def factory() -> AsyncGenerator[Saver, None]:
        with opened() as saver:
            yield Threaded(saver)

    report = await validate(factory)
    assert report.passed_all_base(), report.to_dict()


async def test_the_file(tmp_path: Path) -> None:
    count = iter(range(100))

    @contextlib.contextmanager
    def opened() -> Any:
        store = open_store("", tmp_path / str(next(count)))
        yield store.saver
        store.close()

    await _conforms("file", opened)


async def test_the_database(tmp_path: Path) -> None:
    with postgres(tmp_path / "server") as address:

        @contextlib.contextmanager
        def opened() -> Any:
            store = open_store(address, tmp_path)
            yield store.saver
            store.close()

        await _conforms("database", opened)
