"""One account under stress: fifty sends at once, fees that rise, an empty purse."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import pytest
from tests.adapters.chain_networks import (
    QUICK,
    RICH,
    RealNetwork,
    deploy_on,
    give_gas_money,
    new_account,
)
from tests.adapters.hostile_endpoint import HostileEndpoint

from scatter.adapters.evm import EvmChain
from scatter.adapters.rpc import Rpc, RpcRefused
from scatter.adapters.transactions import MOST_FEE, NoGasMoney, Ticket, TransactionStuck
from scatter.devnet.local import open_local_chain
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import Tokens

pytestmark = pytest.mark.anyio

FIFTH_REFUSED = cycle(["", "", "txpool is full", "", ""])
HASTY = replace(QUICK, replace=0.03, give_up=0.3)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


PRICE = 10**9
"""Wei per unit of gas, as a block before anything happens has it."""


class Quiet:
    """A chain that makes a block when it is told to, at the price that it is told."""

    def __init__(self, network: RealNetwork, members: list[EvmChain]) -> None:
        self.rpc = network.rpc
        self.members = members

    async def mine(self, price: int) -> None:
        await self.rpc.ask("anvil_setNextBlockBaseFeePerGas", hex(price))
        await self.rpc.ask("evm_mine")

    async def mine_until(self, task: asyncio.Task[Any], price: int) -> None:
        """Makes blocks until the task has ended, however it ends."""
        while not task.done():
            await self.mine(price)

    async def fees_offered(self, member: EvmChain) -> list[int]:
        """By the account's transactions that wait."""
        pool = await self.rpc.ask("txpool_content")
        waiting = {**pool["pending"], **pool["queued"]}
        mine = {who.lower(): sent for who, sent in waiting.items()}.get(member.account.lower(), {})
        return [int(sent["maxFeePerGas"], 16) for sent in mine.values()]


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    async with open_local_chain(engine="anvil") as chain, Rpc(chain.rpc_url) as rpc:
        network = await deploy_on(rpc)
        members = [network.through(rpc, await network.join(), HASTY) for _ in range(2)]
        await rpc.ask("evm_setAutomine", False)
        await rpc.ask("evm_setIntervalMining", 0)
        made = Quiet(network, members)
        await made.mine(PRICE)
        yield made


async def nonces_of(chain: EvmChain, rpc: Rpc) -> list[int]:
    """Of the account's transactions, in the order of the chain."""
    head = (await chain.head()).number
    blocks = await rpc.ask_each("eth_getBlockByNumber", [(hex(n), True) for n in range(head + 1)])
    return [
        int(sent["nonce"], 16)
        for block in blocks
        for sent in block["transactions"]
        if sent["from"].lower() == chain.account.lower()
    ]


async def test_fifty_at_once_leave_neither_gap_nor_double_though_some_are_refused(
    real_network: RealNetwork,
) -> None:
    endpoint = HostileEndpoint(real_network)
    # Every fifth is refused by the endpoint; some that the contract refuses get into a block.
    endpoint.withheld["eth_sendRawTransaction"] = islice(FIFTH_REFUSED, 50)
    endpoint.lies["eth_estimateGas"] = lambda _, gas: gas or hex(100_000)
    receiver = await real_network.join()
    member = real_network.through(endpoint.rpc(), await real_network.join())
    amounts = [RICH * 2 if number % 10 == 9 else 1 for number in range(50)]

    ended = await asyncio.gather(
        *(member.transfer(receiver.account, Tokens(amount)) for amount in amounts),
        return_exceptions=True,
    )

    kinds = Counter(type(end).__name__ for end in ended)
    assert kinds["RpcRefused"] == 10
    assert kinds["Refused"] + kinds["NoneType"] == 40
    assert all(isinstance(e, RpcRefused | Refused | None) for e in ended)
    assert (await receiver.holdings(receiver.account)).balance == RICH + kinds["NoneType"]
    assert await nonces_of(member, real_network.rpc) == list(range(40))


async def test_an_empty_purse_is_told_what_it_needs_and_goes_on_when_filled(
    real_network: RealNetwork,
) -> None:
    receiver = await real_network.join()
    poor = real_network.access(new_account())
    await real_network.treasury.transfer(poor.account, Tokens(2))
    words = (
        rf"^{poor.account} cannot pay for gas: it holds 0\.000000000 of the chain's currency and "
        r"needs up to 0\.\d{9}; send it some$"
    )
    for _ in range(2):
        with pytest.raises(NoGasMoney, match=words):
            await poor.transfer(receiver.account, Tokens(1))

    await give_gas_money(real_network.rpc, poor.account)
    await poor.transfer(receiver.account, Tokens(1))

    assert (await receiver.holdings(receiver.account)).balance == RICH + 1
    assert await nonces_of(poor, real_network.rpc) == [0]


@pytest.mark.needs_anvil
class TestStuck:
    """On anvil, where a test sets the price of gas and makes the blocks."""

    async def test_a_higher_fee_replaces_one_that_is_too_low(self, quiet: Quiet) -> None:
        member, receiver = quiet.members
        ticket = await submit_transfer(member, receiver)
        low = ticket.fee
        confirming = asyncio.create_task(member._sender.confirm(ticket))

        await quiet.mine_until(confirming, price=4 * low)

        assert confirming.result().succeeded
        assert 4 * low <= ticket.fee <= MOST_FEE
        assert await nonces_of(member, quiet.rpc) == [0]
        assert (await member.holdings(receiver.account)).balance == RICH + 1

    async def test_what_was_given_up_and_mined_in_the_end_counts_once(self, quiet: Quiet) -> None:
        member, receiver = quiet.members
        await give_up(quiet, member, receiver, 1)
        await quiet.mine(price=PRICE)

        await member.transfer(receiver.account, Tokens(1))

        assert await nonces_of(member, quiet.rpc) == [0]
        assert (await member.holdings(receiver.account)).balance == RICH + 1

    async def test_no_more_is_ever_offered_than_the_bound(self, quiet: Quiet) -> None:
        member, receiver = quiet.members
        await quiet.mine(price=MOST_FEE * 2 // 5)

        await give_up(quiet, member, receiver, 1)

        assert await quiet.fees_offered(member) == [MOST_FEE]

    async def test_the_same_twice_on_purpose_counts_twice(self, quiet: Quiet) -> None:
        member, receiver = quiet.members
        for _ in range(2):
            sending = asyncio.create_task(member.transfer(receiver.account, Tokens(1)))
            await quiet.mine_until(sending, price=PRICE)
            sending.result()

        assert await nonces_of(member, quiet.rpc) == [0, 1]

    async def test_what_was_given_up_is_taken_up_under_its_nonce(self, quiet: Quiet) -> None:
        member, receiver = quiet.members
        await give_up(quiet, member, receiver, 1)

        again = asyncio.create_task(member.transfer(receiver.account, Tokens(1)))
        await quiet.mine_until(again, price=PRICE)

        again.result()
        assert await nonces_of(member, quiet.rpc) == [0]
        assert (await member.holdings(receiver.account)).balance == RICH + 1

    async def test_what_was_given_up_holds_nobody_up(self, quiet: Quiet) -> None:
        member, receiver = quiet.members
        await give_up(quiet, member, receiver, 1)

        ticket = await submit_transfer(member, receiver, 5)
        confirming = asyncio.create_task(member._sender.confirm(ticket))
        await quiet.mine_until(confirming, price=PRICE)

        assert confirming.result().succeeded
        assert await nonces_of(member, quiet.rpc) == [0]
        assert (await member.holdings(receiver.account)).balance == RICH + 5


async def give_up(quiet: Quiet, member: EvmChain, receiver: EvmChain, amount: int) -> None:
    """Sends a transfer that the pool keeps and no block takes, until the sender gives it up."""
    sending = asyncio.create_task(member.transfer(receiver.account, Tokens(amount)))
    await asyncio.wait({sending})
    assert isinstance(sending.exception(), TransactionStuck)
    assert len(await quiet.fees_offered(member)) == 1


async def submit_transfer(member: EvmChain, receiver: EvmChain, amount: int = 1) -> Ticket:
    calls = member._calls[member._token]
    payload = calls.encode("transfer", receiver.account, amount)
    return await member._sender.submit(member._token, payload)
