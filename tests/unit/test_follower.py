"""The follower: at least once, in chain order, over crashes and replaced blocks."""

import asyncio
from collections.abc import Sequence

import pytest

from scatter.mechanism.units import BlockNumber, JobId, Timestamp
from scatter.node.follower import follow
from scatter.ports.chain import ChainUnreachable, Head
from scatter.ports.store import Cursor

pytestmark = pytest.mark.anyio

START = BlockNumber(0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Chain:
    """Blocks, each with a name and the jobs that it touches."""

    def __init__(self, *blocks: tuple[str, Sequence[int]]) -> None:
        self.blocks = list(blocks)
        self.failures = 0

    async def head(self) -> Head:
        if self.failures:
            self.failures -= 1
            raise ChainUnreachable("the line was cut")
        return self._show(len(self.blocks) - 1)

    async def block(self, number: BlockNumber) -> Head | None:
        return self._show(number) if number < len(self.blocks) else None

    async def jobs_touched(self, since: BlockNumber, until: BlockNumber) -> Sequence[JobId]:
        return [JobId(job) for _, jobs in self.blocks[since : until + 1] for job in jobs]

    def _show(self, number: int) -> Head:
        name = self.blocks[number][0].encode()
        return Head(BlockNumber(number), name, Timestamp(number))


class Memory:
    def __init__(self) -> None:
        self.kept: Cursor | None = None

    async def cursor(self) -> Cursor | None:
        return self.kept

    async def move_cursor(self, cursor: Cursor) -> None:
        self.kept = cursor


async def run(chain: Chain, memory: Memory, confirmations: int = 0) -> list[int]:
    """Follows until the head was reached; the jobs in the order of their delivery."""
    delivered: list[int] = []
    reached = asyncio.Event()

    async def handle(job: JobId) -> None:
        delivered.append(job)

    async def arrive(_: Head) -> None:
        reached.set()

    following = asyncio.create_task(
        follow(
            chain,
            memory,
            handle,
            start=START,
            on_head=arrive,
            confirmations=confirmations,
            poll_seconds=0.001,
        )
    )
    await asyncio.wait_for(reached.wait(), 5)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return delivered


async def test_delivers_in_chain_order_and_once_when_nothing_fails() -> None:
    chain, memory = Chain(("a", []), ("b", [3]), ("c", [1, 2])), Memory()
    assert await run(chain, memory) == [3, 1, 2]
    assert await run(chain, memory) == []
    chain.blocks.append(("d", [1]))
    assert await run(chain, memory) == [1]


async def test_delivers_again_what_a_handler_failed_at() -> None:
    chain, memory = Chain(("a", []), ("b", [1])), Memory()

    async def fail(job: JobId) -> None:
        raise RuntimeError(job)

    with pytest.raises(RuntimeError):
        await follow(chain, memory, fail, start=START)
    assert memory.kept is None
    assert await run(chain, memory) == [1]


async def test_delivers_the_jobs_of_blocks_that_replaced_others() -> None:
    chain, memory = Chain(("a", []), ("b", [1]), ("c", [2])), Memory()
    await run(chain, memory)
    chain.blocks[1:] = [("b2", [7]), ("c2", [8]), ("d2", [])]
    delivered = await run(chain, memory)
    assert delivered == [7, 8]


async def test_goes_back_when_the_chain_became_shorter() -> None:
    chain, memory = Chain(("a", []), ("b", [1]), ("c", [2])), Memory()
    await run(chain, memory)
    del chain.blocks[2]
    assert await run(chain, memory) == [1]


async def test_waits_for_confirmations() -> None:
    chain, memory = Chain(("a", []), ("b", [1]), ("c", [2])), Memory()
    assert await run(chain, memory, confirmations=1) == [1]
    chain.blocks.append(("d", []))
    assert await run(chain, memory, confirmations=1) == [2]


async def test_outlives_an_outage() -> None:
    chain, memory = Chain(("a", []), ("b", [1])), Memory()
    chain.failures = 3
    assert await run(chain, memory) == [1]
