"""A feed is followed by many at once: each sees everything once, in order, to the end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from agent.feed import Feed


def test_followers_see_what_was_and_what_comes() -> None:
    feed: Feed[int] = Feed()
    feed.append(1)
    with ThreadPoolExecutor(4) as pool:
        early = [pool.submit(lambda: list(feed.follow())) for _ in range(3)]
        for item in range(2, 500):
            feed.append(item)
        late = pool.submit(lambda: list(feed.follow(100)))
        feed.close()
        for one in early:
            assert one.result(10) == [(n, n) for n in range(1, 500)]
        assert late.result(10) == [(n, n) for n in range(101, 500)]


async def test_event_loops_follow_what_threads_append() -> None:
    feed: Feed[int] = Feed()

    def write() -> None:
        for item in range(300):
            feed.append(item)
        feed.close()

    async def read(after: int) -> list[int]:
        return [item async for _, item in feed.afollow(after)]

    following = [asyncio.create_task(read(after)) for after in (0, 0, 50)]
    await asyncio.sleep(0)
    threading.Thread(target=write).start()
    whole, again, rest = await asyncio.wait_for(asyncio.gather(*following), 10)
    assert whole == again == list(range(300))
    assert rest == list(range(50, 300))


async def test_who_stops_following_is_not_woken_any_more() -> None:
    feed: Feed[int] = Feed()
    feed.append(1)
    stream = feed.afollow()
    assert await anext(stream) == (1, 1)
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert not feed._wake
    feed.append(2)


def test_who_follows_a_loop_that_ended_does_not_disturb_the_writer() -> None:
    feed: Feed[int] = Feed()

    async def left() -> None:
        asyncio.get_running_loop().create_task(anext(feed.afollow()))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)

    asyncio.run(left())
    feed.append(1)
    assert len(feed) == 1
