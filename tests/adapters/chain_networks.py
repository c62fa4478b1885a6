"""Networks for the tests of the chain: accounts, blocks and time, on a fake or on a real chain."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import httpx
from eth_account.signers.local import LocalAccount
from eth_typing import Address as RawAddress
from starlette.types import Receive, Scope, Send

from scatter.adapters.deployment import Deployment, deploy
from scatter.adapters.evm import EvmChain
from scatter.adapters.rpc import Rpc
from scatter.adapters.transactions import Patience, Sender, load_signer
from scatter.devnet.chain import EmbeddedChain
from scatter.devnet.faucet import FAUCET, FAUCET_KEY, FIRST_BALANCE
from scatter.devnet.local import open_local_chain
from scatter.devnet.server import application
from scatter.fakes.chain import FakeChain, FakeWorld
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import UNIT, Address, Tokens
from scatter.ports.chain import Chain

PARAMETERS = local(PAPER)
RICH = Tokens(100_000 * UNIT)
QUICK = Patience(poll=0.002, replace=5.0, give_up=20.0)
GAS_MONEY = 10**18

numbers = itertools.count(1)


def new_account() -> LocalAccount:
    """An account that no other test uses."""
    return load_signer(next(numbers).to_bytes(32, "big"))


class Network(Protocol):
    """A chain with the protocol on it."""

    async def join(self) -> Chain:
        """A new account with tokens."""
        ...

    async def pass_time(self, seconds: int) -> None: ...

    async def mine(self) -> None: ...


class FakeNetwork:
    def __init__(self) -> None:
        treasury = Address(new_account().address)
        self._world = FakeWorld(PARAMETERS, treasury)
        self._treasury = self._world.access(treasury)

    async def join(self) -> FakeChain:
        member = self._world.access(Address(new_account().address))
        await self._treasury.transfer(member.account, RICH)
        return member

    async def pass_time(self, seconds: int) -> None:
        self._world.pass_time(seconds)

    async def mine(self) -> None:
        self._world.mine()


class RealNetwork:
    def __init__(self, rpc: Rpc, deployment: Deployment, treasury: EvmChain) -> None:
        self.rpc = rpc
        self.deployment = deployment
        self.treasury = treasury
        self._faucet = Sender(rpc, load_signer(FAUCET_KEY), deployment.chain_id, QUICK)

    def access(self, account: LocalAccount) -> EvmChain:
        sender = Sender(self.rpc, account, self.deployment.chain_id, QUICK)
        return EvmChain(self.rpc, self.deployment, sender)

    def through(self, rpc: Rpc, member: EvmChain, patience: Patience = QUICK) -> EvmChain:
        """A member's access, newly opened through another endpoint."""
        account = member._sender._account
        sender = Sender(rpc, account, self.deployment.chain_id, patience)
        return EvmChain(rpc, self.deployment, sender)

    async def join(self) -> EvmChain:
        member = self.access(new_account())
        await give_gas_money(self.rpc, member.account)
        await self.treasury.transfer(member.account, RICH)
        return member

    async def pass_time(self, seconds: int) -> None:
        await self.rpc.ask("evm_increaseTime", seconds)
        await self.mine()

    async def mine(self) -> None:
        await self.rpc.ask("evm_mine")


class SteppingClock:
    """A clock that goes on by a third of a second whenever somebody looks."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self.step = 1 / 3

    def __call__(self) -> float:
        self.time += self.step
        return self.time


def embedded_rpc(chain: EmbeddedChain) -> Rpc:
    """An endpoint without a network; every request is an occasion for a due block."""
    served = application(chain)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        chain.advance()
        await served(scope, receive, send)

    return Rpc("http://embedded", transport=httpx.ASGITransport(app=answer))


def embedded_chain() -> EmbeddedChain:
    return EmbeddedChain({raw(FAUCET): FIRST_BALANCE}, clock=SteppingClock())


def raw(address: str) -> RawAddress:
    return RawAddress(bytes.fromhex(address[2:]))


async def give_gas_money(rpc: Rpc, account: Address) -> None:
    """By a plain transfer of the faucet."""
    faucet = load_signer(FAUCET_KEY)
    nonce = int(await rpc.ask("eth_getTransactionCount", faucet.address, "pending"), 16)
    signed = faucet.sign_transaction(
        {
            "type": 2,
            "chainId": 31337,
            "nonce": nonce,
            "to": account,
            "value": GAS_MONEY,
            "gas": 21_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
    )
    sent = await rpc.ask("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex())
    while await rpc.ask("eth_getTransactionReceipt", sent) is None:
        await rpc.ask("evm_mine")


@asynccontextmanager
async def open_network(kind: str) -> AsyncIterator[Network]:
    """A fresh network: `fake`, `embedded` or `anvil`."""
    if kind == "fake":
        yield FakeNetwork()
    elif kind == "embedded":
        async with embedded_rpc(embedded_chain()) as rpc:
            yield await deploy_on(rpc)
    else:
        async with open_local_chain(engine="anvil") as chain, Rpc(chain.rpc_url) as rpc:
            yield await deploy_on(rpc)


async def deploy_on(rpc: Rpc) -> RealNetwork:
    treasury = new_account()
    await give_gas_money(rpc, Address(treasury.address))
    deployment = await deploy(
        rpc, treasury, Address(treasury.address), PARAMETERS, profile="test", patience=QUICK
    )
    sender = Sender(rpc, treasury, deployment.chain_id, QUICK)
    return RealNetwork(rpc, deployment, EvmChain(rpc, deployment, sender))
