"""The chain replaces blocks, our own transactions among them: nothing is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.adapters.chain_networks import RealNetwork, deploy_on
from tests.adapters.test_chain import ORDER, STAKE

from scatter.adapters.evm import EvmChain
from scatter.adapters.rpc import Rpc
from scatter.devnet.local import open_local_chain
from scatter.fakes.store import FakeStore
from scatter.lifecycle.events import TrainerJoined
from scatter.mechanism.units import JobId
from scatter.node.follower import follow

MOST_SECONDS = 20

pytestmark = [pytest.mark.anyio, pytest.mark.needs_anvil]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def network() -> AsyncIterator[RealNetwork]:
    async with open_local_chain(engine="anvil") as chain, Rpc(chain.rpc_url) as rpc:
        yield await deploy_on(rpc)


@pytest.fixture
async def trainer(network: RealNetwork) -> EvmChain:
    return await network.join()


@pytest.fixture
async def job(network: RealNetwork, trainer: EvmChain) -> JobId:
    """A job that no reorganisation of this test reaches, and that the trainer has looked at."""
    job = await (await network.join()).create(ORDER)
    for _ in range(4):
        await network.mine()
    await trainer.history(job)
    return job


async def replace_blocks(network: RealNetwork, depth: int = 2) -> None:
    """The last blocks go, with all that is in them; as many empty ones come, and one more."""
    await network.rpc.ask("anvil_reorg", depth, [])
    await network.mine()


async def joined(chain: EvmChain, job: JobId) -> list[str]:
    return [event.trainer for event in await chain.history(job) if isinstance(event, TrainerJoined)]


async def nonce(chain: EvmChain) -> int:
    return int(await chain._rpc.ask("eth_getTransactionCount", chain.account, "latest"), 16)


async def test_what_was_sent_is_sent_again_when_its_block_is_replaced(
    network: RealNetwork, trainer: EvmChain, job: JobId
) -> None:
    await trainer.join(job, STAKE)
    assert await joined(trainer, job) == [trainer.account]

    await replace_blocks(network)
    assert await joined(trainer, job) == []
    await trainer.join(job, STAKE)

    assert await joined(trainer, job) == [trainer.account]
    assert await nonce(trainer) == 1


@dataclass
class Joining:
    """A duty as the nodes' are: it looks at its job, and joins where it has not joined."""

    chain: EvmChain
    job: JobId
    looks: int = 0

    async def look(self) -> None:
        self.looks += 1
        if self.chain.account not in await joined(self.chain, self.job):
            await self.chain.join(self.job, STAKE)

    async def look_at(self, job: JobId) -> None:
        if job == self.job:
            await self.look()


@pytest.mark.parametrize("confirmations", [0, 2, 6])
async def test_a_duty_does_again_what_a_reorganisation_undid(
    network: RealNetwork, trainer: EvmChain, job: JobId, confirmations: int
) -> None:
    store, duty = FakeStore(), Joining(trainer, job)
    start = (await trainer.history(job))[0].block
    await duty.look()
    following = asyncio.create_task(
        follow(
            trainer,
            store,
            duty.look_at,
            start=start,
            on_replaced=duty.look,
            confirmations=confirmations,
            poll_seconds=0.005,
        )
    )

    async def has_caught_up() -> bool:
        cursor, head = await store.cursor(), await trainer.head()
        return cursor is not None and cursor.block >= head.number - confirmations

    try:
        async with asyncio.timeout(MOST_SECONDS):
            while not await has_caught_up():
                assert not following.done()
            looks = duty.looks
            await replace_blocks(network)
            while await joined(trainer, job) != [trainer.account] or duty.looks == looks:
                assert not following.done()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    assert await nonce(trainer) == 1
