"""An endpoint that lies, contradicts itself or drowns its asker: refused in a sentence, bounded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.adapters.chain_networks import RealNetwork
from tests.adapters.hostile_endpoint import HostileEndpoint
from tests.adapters.test_chain import ORDER, STAKE

from scatter.adapters.blocks import ChainMoved
from scatter.adapters.evm import EvmChain
from scatter.adapters.rpc import BadAnswer, Rpc, RpcRefused, quantity
from scatter.adapters.transactions import MOST_FEE, MOST_TIP, FeesTooHigh
from scatter.mechanism.units import BlockNumber, JobId, Tokens
from scatter.ports.chain import ChainUnreachable, WrongChain

pytestmark = pytest.mark.anyio

OTHER = "0x" + "ab" * 32


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def network(real_network: RealNetwork) -> RealNetwork:
    return real_network


@pytest.fixture
def endpoint(network: RealNetwork) -> HostileEndpoint:
    return HostileEndpoint(network)


@pytest.fixture
async def chain(network: RealNetwork, endpoint: HostileEndpoint) -> EvmChain:
    """A new account with tokens, which sees the chain through the endpoint."""
    member = await network.join()
    return network.through(endpoint.rpc(), member)


@pytest.fixture
async def job(network: RealNetwork) -> JobId:
    """A job with one trainer."""
    requester, trainer = await network.join(), await network.join()
    number = await requester.create(ORDER)
    await trainer.join(number, STAKE)
    return number


class TestBlocks:
    async def test_a_head_that_moves_back_is_taken_as_it_is(
        self, network: RealNetwork, chain: EvmChain, endpoint: HostileEndpoint, job: JobId
    ) -> None:
        head = await chain.head()
        whole = await chain.history(job)
        await network.mine()
        endpoint.lies["eth_getBlockByNumber"] = lag_behind(head.number - 1)

        assert (await chain.head()).number == head.number - 1

        endpoint.lies.clear()
        assert await chain.history(job) == whole

    async def test_another_chain_behind_the_same_address_is_refused(
        self, network: RealNetwork, chain: EvmChain, endpoint: HostileEndpoint, job: JobId
    ) -> None:
        whole = await chain.history(job)
        endpoint.lies["eth_getBlockByNumber"] = show_another_chain
        endpoint.lies["eth_getLogs"] = lambda _, logs: []

        for _ in range(2):
            with pytest.raises(WrongChain, match="serves another chain of the same number"):
                await chain.history(job)

        endpoint.lies.clear()
        assert await chain.history(job) == whole

    async def test_another_chain_id_after_a_reconnect_is_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        await chain.head()
        endpoint.lies["eth_getBlockByNumber"] = show_another_chain
        endpoint.lies["eth_chainId"] = lambda *_: "0x1"
        with pytest.raises(WrongChain, match="serves the chain 1, the deployment is on 31337"):
            await chain.head()

    async def test_another_block_than_was_asked_for_is_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        endpoint.lies["eth_getBlockByNumber"] = lambda _, block: block | {"number": "0x1"}
        with pytest.raises(BadAnswer, match="asked for the block 2, the endpoint gave 1"):
            await chain.block(BlockNumber(2))

    @pytest.mark.parametrize(
        "change",
        [{"number": "-0x1"}, {"timestamp": "0x" + "f" * 17}, {"hash": None}, {"number": 7}],
    )
    async def test_a_block_of_no_form_is_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint, change: dict[str, Any]
    ) -> None:
        endpoint.lies["eth_getBlockByNumber"] = lambda _, block: block | change
        with pytest.raises(BadAnswer):
            await chain.head()


class TestLogs:
    @pytest.mark.parametrize(
        "change",
        [
            {"address": "0x" + "11" * 20},
            {"blockNumber": "0xffffff"},
            {"logIndex": "-0x1"},
        ],
    )
    async def test_logs_that_were_not_asked_for_are_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint, job: JobId, change: dict[str, Any]
    ) -> None:
        endpoint.lies["eth_getLogs"] = lambda _, logs: [log | change for log in logs]
        with pytest.raises(BadAnswer):
            await chain.history(job)
        endpoint.lies.clear()
        assert len(await chain.history(job)) == 2

    async def test_logs_of_another_job_are_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint, job: JobId
    ) -> None:
        def of_another_job(_: list[Any], logs: list[Any]) -> list[Any]:
            return [log | {"topics": [log["topics"][0], OTHER, *log["topics"][2:]]} for log in logs]

        endpoint.lies["eth_getLogs"] = of_another_job
        with pytest.raises(BadAnswer, match="not asked for"):
            await chain.history(job)
        with pytest.raises(BadAnswer, match="is of no job"):
            await chain.jobs_touched(BlockNumber(0), (await chain.head()).number)

    async def test_logs_of_a_block_that_is_not_the_chains_are_never_believed(
        self, chain: EvmChain, endpoint: HostileEndpoint, job: JobId
    ) -> None:
        endpoint.lies["eth_getLogs"] = lambda _, logs: [log | {"blockHash": OTHER} for log in logs]
        with pytest.raises(ChainMoved):
            await chain.history(job)
        endpoint.lies.clear()
        assert len(await chain.history(job)) == 2

    async def test_a_log_twice_is_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint, job: JobId
    ) -> None:
        endpoint.lies["eth_getLogs"] = lambda _, logs: logs + logs
        with pytest.raises(BadAnswer, match="twice"):
            await chain.history(job)

    async def test_a_count_of_jobs_that_cannot_be_is_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        endpoint.lies["eth_call"] = lambda *_: "0x" + "ff" * 32
        with pytest.raises(BadAnswer, match="there are 115792"):
            await chain.job_count()

    async def test_the_answer_of_no_contract_is_refused(
        self, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        endpoint.lies["eth_call"] = lambda *_: "0x"
        with pytest.raises(BadAnswer, match="jobCount does not decode"):
            await chain.job_count()


class TestMoney:
    async def test_an_absurd_price_of_gas_is_not_paid(
        self, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        endpoint.lies["eth_getBlockByNumber"] = lambda _, block: (
            block | {"baseFeePerGas": "0x" + "f" * 64}
        )
        with pytest.raises(
            FeesTooHigh, match="gwei per unit of gas, and at most 500 are ever paid"
        ):
            await chain.transfer(chain.account, Tokens(1))
        assert "eth_sendRawTransaction" not in endpoint.asked

        endpoint.lies.clear()
        await chain.transfer(chain.account, Tokens(1))

    async def test_an_absurd_tip_is_cut(self, chain: EvmChain, endpoint: HostileEndpoint) -> None:
        endpoint.lies["eth_maxPriorityFeePerGas"] = lambda *_: hex(10**20)
        ticket = await chain._sender.submit(chain.account, b"")
        assert (ticket.tip, ticket.fee < MOST_FEE) == (MOST_TIP, True)
        await chain._sender.confirm(ticket)

    async def test_an_absurd_amount_of_gas_is_cut_to_the_cap(
        self, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        endpoint.lies["eth_estimateGas"] = lambda *_: "0x" + "f" * 16
        ticket = await chain._sender.submit(chain.account, b"")
        assert ticket.gas == 16_777_216
        await chain._sender.confirm(ticket)

    async def test_a_receipt_of_another_transaction_is_not_believed(
        self, network: RealNetwork, chain: EvmChain, endpoint: HostileEndpoint
    ) -> None:
        receiver = await network.join()
        lies = iter([{"transactionHash": OTHER, "status": "0x0"}] * 3)
        endpoint.lies["eth_getTransactionReceipt"] = lambda _, receipt: (
            receipt and receipt | next(lies, {})
        )
        before = (await network.treasury.holdings(receiver.account)).balance

        await chain.transfer(receiver.account, Tokens(1))

        assert (await network.treasury.holdings(receiver.account)).balance == before + 1


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b'{"id":1,"result":' + b"[" * 65 + b"]" * 65 + b"}", "nested more than 64 deep"),
            (b'{"id":1,"result":[' + b"[]," * 2_000_000 + b"0]}", "more than 2000000 values"),
            (b'{"id":1,"result":' + b"9" * 5_000 + b"}", "did not answer with JSON"),
            (b"\xff\xfe", "did not answer with JSON"),
            (b"<html>too many requests</html>", "did not answer with JSON"),
            (b"null", "not an answer to eth_chainId"),
        ],
    )
    async def test_a_body_that_drowns_or_says_nothing_is_refused(
        self, endpoint: HostileEndpoint, body: bytes, words: str
    ) -> None:
        endpoint.body = body
        async with endpoint.rpc() as rpc:
            with pytest.raises(BadAnswer, match=words):
                await rpc.ask("eth_chainId")

    async def test_a_body_that_never_ends_is_cut_off(self) -> None:
        async with Rpc("http://liar", transport=Dripping(b" " * (1 << 16))) as rpc:
            with pytest.raises(BadAnswer, match="more than 33554432 bytes"):
                await rpc.ask("eth_chainId")

    async def test_a_body_that_drips_for_ever_is_given_up(self) -> None:
        slow = Dripping(b" ")
        async with Rpc("http://slow", transport=slow, timeout_seconds=0.02, pauses=()) as rpc:
            with pytest.raises(ChainUnreachable, match=r"does not answer \(TimeoutError\)"):
                await rpc.ask("eth_chainId")
        assert slow.dripped

    async def test_too_many_requests_is_told_by_its_status(self) -> None:
        busy = httpx.MockTransport(lambda _: httpx.Response(429))
        async with Rpc("http://busy", transport=busy, pauses=(0.0,)) as rpc:
            with pytest.raises(ChainUnreachable, match="HTTP status 429"):
                await rpc.ask("eth_chainId")

    @pytest.mark.parametrize("value", ["-0x1", "0x", "0x1_0", " 0x1", "10", "0x" + "f" * 65, None])
    def test_a_number_of_no_form_is_refused(self, value: Any) -> None:
        with pytest.raises(BadAnswer, match="not a quantity"):
            quantity(value, 256)

    def test_whatever_the_endpoint_does_wrong_means_that_nothing_was_learned(self) -> None:
        assert all(
            issubclass(kind, ChainUnreachable)
            for kind in (BadAnswer, RpcRefused, ChainMoved, WrongChain)
        )


class Dripping(httpx.AsyncBaseTransport):
    """Answers with the same chunk again and again."""

    def __init__(self, chunk: bytes) -> None:
        self._chunk = chunk
        self.dripped = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def drip() -> AsyncIterator[bytes]:
            while True:
                self.dripped += 1
                await asyncio.sleep(0)
                yield self._chunk

        return httpx.Response(200, content=drip())


def lag_behind(height: int) -> Any:
    """Answers as a chain that ends at `height`."""

    def lie(asked: list[Any], block: Any) -> Any:
        number = asked[0]
        if number == "latest":
            return block | {"number": hex(height), "hash": OTHER}
        return block if int(number, 16) <= height else None

    return lie


def show_another_chain(_: list[Any], block: Any) -> Any:
    """The same numbers, other hashes, from the first block on."""
    return block and block | {"hash": "0x" + block["hash"][:1:-1], "parentHash": OTHER}
