"""What the adapter does when the chain moves, the network fails, or the endpoint lies."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.adapters.chain_networks import (
    QUICK,
    RICH,
    RealNetwork,
    deploy_on,
    embedded_chain,
    embedded_rpc,
    give_gas_money,
    new_account,
)
from tests.adapters.test_chain import ORDER, STAKE

from scatter.adapters.deployment import check_deployment, read_deployment, write_deployment
from scatter.adapters.interface import Logs, parse_log
from scatter.adapters.rpc import BadAnswer, Rpc
from scatter.adapters.transactions import NoGasMoney, Patience, Sender
from scatter.devnet.chain import EmbeddedChain
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Tokens
from scatter.ports.chain import ChainUnreachable, WrongChain

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def chain() -> EmbeddedChain:
    return embedded_chain()


@pytest.fixture(scope="module")
async def network(chain: EmbeddedChain) -> AsyncIterator[RealNetwork]:
    async with embedded_rpc(chain) as rpc:
        yield await deploy_on(rpc)


class LosesAnswers(httpx.AsyncBaseTransport):
    """Passes every transaction on, loses the first answers, and words the rest like `words`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, lost: int, words: str) -> None:
        self._inner = inner
        self._lost = lost
        self._words = words.encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if b"eth_sendRawTransaction" in request.content and self._lost:
            self._lost -= 1
            raise httpx.ReadError("the line was cut")
        content = (await response.aread()).replace(b"already known", self._words)
        return httpx.Response(response.status_code, content=content)


@pytest.mark.parametrize("words", ["already known", "nonce too low"])
async def test_a_lost_answer_does_not_send_twice(network: RealNetwork, words: str) -> None:
    member, receiver = await network.join(), await network.join()
    transport = LosesAnswers(network.rpc._client._transport, 2, words)
    sender = Sender(
        Rpc("http://embedded", transport=transport), member._sender._account, 31337, QUICK
    )
    member._sender = sender

    await member.transfer(receiver.account, Tokens(1))

    assert (await member.holdings(receiver.account)).balance == RICH + 1
    assert await sender.next_nonce() == 1


async def test_fifty_sends_at_once_from_one_account(network: RealNetwork) -> None:
    member, receiver = await network.join(), await network.join()
    await asyncio.gather(*(member.transfer(receiver.account, Tokens(1)) for _ in range(50)))
    assert (await member.holdings(receiver.account)).balance == RICH + 50


async def test_a_transaction_that_the_pool_forgot_is_sent_again(
    network: RealNetwork, chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = await network.join()
    sender = Sender(network.rpc, member._sender._account, 31337, Patience(0.002, 0.05, 10.0))
    with monkeypatch.context() as frozen:
        frozen.setattr(chain, "advance", lambda: None)
        ticket = await sender.submit(member.account, b"")
    chain.pool.clear()

    receipt = await sender.confirm(ticket)

    assert receipt.succeeded
    assert len(ticket.hashes) > 1


async def test_a_history_is_read_anew_when_blocks_are_replaced(network: RealNetwork) -> None:
    requester, kept, dropped = await network.join(), await network.join(), await network.join()
    job = await requester.create(ORDER)
    snapshot = await network.rpc.ask("evm_snapshot")
    await dropped.join(job, STAKE)
    before = await requester.history(job)

    await network.rpc.ask("evm_revert", snapshot)
    await kept.join(job, STAKE)
    after = await requester.history(job)

    assert [e.trainer for e in before[1:]] == [dropped.account]  # type: ignore[attr-defined]
    assert [e.trainer for e in after[1:]] == [kept.account]  # type: ignore[attr-defined]


async def test_an_account_without_gas_money_is_told(network: RealNetwork) -> None:
    with pytest.raises(NoGasMoney, match="cannot pay for gas"):
        await Sender(network.rpc, new_account(), 31337, QUICK).send(new_account().address, b"")


async def test_a_dead_endpoint_is_unreachable() -> None:
    async with Rpc("http://127.0.0.1:9") as rpc:
        with pytest.raises(ChainUnreachable, match="Check the address"):
            await rpc.ask("eth_sendRawTransaction", "0x")


async def test_another_chain_of_the_same_number_is_noticed(network: RealNetwork) -> None:
    other = embedded_chain()
    other.mine()
    async with embedded_rpc(EmbeddedChain({}, clock=lambda: 5.0)) as rpc:
        with pytest.raises(WrongChain, match="another chain of the same number"):
            await check_deployment(rpc, network.deployment)


def answering(body: bytes) -> Rpc:
    return Rpc(
        "http://liar", transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b'{"id":9,"result":1}',
        b"[" * 100_000,
        b'{"id":1,"error":7}',
        b" " * (33 << 20),
    ],
)
async def test_an_answer_of_no_form_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        await answering(body).ask("eth_chainId")


LOG = {
    "address": "0x" + "11" * 20,
    "topics": ["0x" + "22" * 32],
    "data": "0x",
    "blockNumber": "0x1",
    "blockHash": "0x" + "33" * 32,
    "logIndex": "0x0",
}


@pytest.mark.parametrize(
    "change",
    [
        {"address": "0x11"},
        {"topics": "0x"},
        {"topics": ["0x22"]},
        {"topics": LOG["topics"] * 5},
        {"data": None},
        {"blockNumber": "0x" + "f" * 60},
        {"blockHash": 7},
        {"removed": True},
    ],
)
def test_a_log_of_no_form_is_a_bad_answer(change: dict[str, Any]) -> None:
    parse_log(LOG)
    with pytest.raises(BadAnswer):
        parse_log(LOG | change)


async def test_a_log_that_is_none_of_the_contracts_is_a_bad_answer(network: RealNetwork) -> None:
    decoder: Logs[Any] = network.treasury._events
    with pytest.raises(BadAnswer, match="none of its events"):
        decoder.decode(parse_log(LOG))


class TestDeploymentFile:
    async def test_reads_back_what_was_written(self, network: RealNetwork, tmp_path: Path) -> None:
        write_deployment(tmp_path / "network.json", network.deployment)
        assert read_deployment(tmp_path / "network.json") == network.deployment

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"chain_id": -1}, "chain_id must be a whole number"),
            ({"genesis": "0x00"}, "not 32 bytes"),
            ({"contracts": {}}, "contracts.ScatterToken must be a checksummed address"),
            ({"parameters": {"supply": 1}}, "must be a whole number"),
            ({"parameters": {"surprise": 1}}, "no parameter 'surprise'"),
        ],
    )
    async def test_says_what_is_wrong(
        self, network: RealNetwork, tmp_path: Path, change: dict[str, Any], words: str
    ) -> None:
        path = tmp_path / "network.json"
        write_deployment(path, network.deployment)
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(BadInput, match=words):
            read_deployment(path)

    def test_a_missing_one_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="There is no deployment file"):
            read_deployment(tmp_path / "network.json")


async def test_gas_money_is_needed_once(network: RealNetwork) -> None:
    account = new_account()
    await give_gas_money(network.rpc, account.address)  # type: ignore[arg-type]
    await Sender(network.rpc, account, 31337, QUICK).send(account.address, b"")
