"""The embedded chain: its clock, its pool, its log, and what its endpoint refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas
from eth_account import Account
from tests.adapters.chain_networks import raw

from scatter.devnet.chain import EmbeddedChain
from scatter.devnet.execution import RpcError
from scatter.devnet.faucet import FAUCET, FAUCET_KEY
from scatter.devnet.log import BlockLog
from scatter.devnet.rpc import MOST_BATCH, Endpoint
from scatter.mechanism.errors import BadInput

START = 1_800_000_000
BALANCES = {raw(FAUCET): 10**24}
SOMEBODY = "0x" + "11" * 20

RETURN_PREVRANDAO = "0x4460005260206000f3"
STORE_PREVRANDAO = "0x44600055"
COUNT = "0x716000548060010160005560005260206000f36000526012600ef3"
"""Makes a contract that adds 1 to what it stores, and returns what it stored before."""
REVERT_WITHOUT_DATA = "0x60006000fd"


class HandClock:
    def __init__(self) -> None:
        self.time = float(START)

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def chain(clock: HandClock) -> EmbeddedChain:
    return EmbeddedChain(BALANCES, clock=clock)


def signed(nonce: int, **changes: Any) -> bytes:
    content = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "to": SOMEBODY,
        "value": 1,
        "gas": 100_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
    } | changes
    return bytes(Account.sign_transaction(content, FAUCET_KEY).raw_transaction)


def ask(chain: EmbeddedChain, method: str, *parameters: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    answer = json.loads(Endpoint(chain).answer(json.dumps(request).encode()))
    return answer.get("result", answer.get("error"))


def tick(chain: EmbeddedChain, clock: HandClock, until: float) -> None:
    while clock.time < START + until:
        clock.time += 0.05
        chain.advance()


def test_an_empty_block_comes_every_second(chain: EmbeddedChain, clock: HandClock) -> None:
    tick(chain, clock, 10)
    assert chain.headers.height == 9
    assert chain.headers.time == START + 9


def test_a_transaction_is_mined_at_once_if_its_second_is_free(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    tick(chain, clock, 1.2)
    chain.submit(signed(0))
    assert (chain.headers.height, len(chain.pool)) == (1, 0)
    assert chain.headers.time == START + 1


def test_a_burst_shares_blocks_and_the_chain_keeps_the_clocks_time(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    for nonce in range(60):
        tick(chain, clock, 1 + nonce / 50)
        chain.submit(signed(nonce))
    tick(chain, clock, 4)
    assert ask(chain, "eth_getTransactionCount", FAUCET, "latest") == hex(60)
    assert abs(chain.headers.time - clock.time) <= 2


def test_a_header_built_again_is_the_one_that_was_hashed(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    chain.submit(signed(0))
    tick(chain, clock, 20)
    for number in range(chain.headers.height + 1):
        header = chain.headers.at(number)
        assert header.hash == chain.headers.hash_of(number)
        if number:
            fee = calculate_expected_base_fee_per_gas(chain.headers.at(number - 1))
            assert header.base_fee_per_gas == fee


def test_prevrandao_in_a_transaction_is_that_of_its_block(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    tick(chain, clock, 3.5)
    chain.submit(signed(0, to=b"", value=0, data=STORE_PREVRANDAO))
    tick(chain, clock, 5)
    (executed,) = chain.blocks.values()
    created = ask(chain, "eth_getBlockReceipts", hex(executed.header.block_number))[0]
    stored = ask(chain, "eth_getStorageAt", created["contractAddress"], "0x0", "latest")
    block = ask(chain, "eth_getBlockByHash", created["blockHash"])
    assert stored == block["mixHash"] != "0x" + "00" * 32
    assert ask(chain, "eth_call", {"data": RETURN_PREVRANDAO}, created["blockNumber"]) == stored


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": 0, "value": 2}, "nonce too low: next nonce 1, tx nonce 0"),
        ({"nonce": 99}, "nonce too high: next nonce 1, tx nonce 99"),
        ({"chainId": 1}, "invalid chain id for signer: have 1 want 31337"),
        ({"gas": 16_777_217}, "transaction gas limit too high"),
        ({"gas": 20_000}, "intrinsic gas too low"),
        ({"value": 10**30}, "insufficient funds for gas"),
        ({"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, "max fee per gas less than"),
    ],
)
def test_the_pool_refuses_in_geths_words(
    chain: EmbeddedChain, clock: HandClock, changes: dict[str, int], words: str
) -> None:
    clock.time += 1
    chain.submit(signed(0))
    with pytest.raises(RpcError, match=words):
        chain.submit(signed(changes.pop("nonce", 1), **changes))


def test_pooled_nonces_count_and_a_gap_waits_for_its_filling(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    chain.submit(signed(1))
    assert ask(chain, "eth_getTransactionCount", FAUCET, "pending") == "0x0"
    chain.submit(signed(0))
    assert ask(chain, "eth_getTransactionCount", FAUCET, "pending") == "0x2"
    tick(chain, clock, 2)
    assert len(chain.pool) == 0


def test_a_nonce_is_taken_over_by_who_pays_a_tenth_more(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    chain.submit(signed(0))
    with pytest.raises(RpcError, match="already known"):
        chain.submit(signed(0))
    with pytest.raises(RpcError, match="replacement transaction underpriced"):
        chain.submit(signed(0, value=2))
    better = signed(0, value=2, maxFeePerGas=11 * 10**9, maxPriorityFeePerGas=11 * 10**8)
    taken = chain.submit(better)
    tick(chain, clock, 2)
    assert list(chain.places) == [taken]


def test_a_chain_is_replayed_to_the_same_head(tmp_path: Path, clock: HandClock) -> None:
    first = EmbeddedChain(BALANCES, log=BlockLog(tmp_path / "log"), clock=clock)
    first.submit(signed(0))
    tick(first, clock, 5)
    snapshot = ask(first, "evm_snapshot")
    tick(first, clock, 7)
    first.cut(int(snapshot, 16) + 2)
    tick(first, clock, 30)
    first.close()

    again = EmbeddedChain({}, log=BlockLog(tmp_path / "log"), clock=clock)

    assert again.headers.head() == first.headers.head()
    assert again.places == first.places
    again.close()


def test_a_torn_last_line_is_dropped(tmp_path: Path, clock: HandClock) -> None:
    chain = EmbeddedChain(BALANCES, log=BlockLog(tmp_path / "log"), clock=clock)
    tick(chain, clock, 5)
    chain.close()
    with (tmp_path / "log").open("ab") as file:
        file.write(b'{"since":1,"transac')

    again = EmbeddedChain({}, log=BlockLog(tmp_path / "log"), clock=clock)

    assert again.headers.head() == chain.headers.head()
    again.close()


@pytest.mark.parametrize("line", [b"junk\n", b"-1\n", b'{"since":1}\n', b'{"since":1,"hash":"00"'])
def test_a_damaged_line_is_named(tmp_path: Path, clock: HandClock, line: bytes) -> None:
    EmbeddedChain(BALANCES, log=BlockLog(tmp_path / "log"), clock=clock).close()
    with (tmp_path / "log").open("ab") as file:
        file.write(line.rstrip(b"\n") + b"\n")
    with BlockLog(tmp_path / "log") as log, pytest.raises(BadInput, match="line 2: not an entry"):
        EmbeddedChain({}, log=log, clock=clock)


def test_a_log_has_one_chain_at_a_time(tmp_path: Path) -> None:
    with BlockLog(tmp_path / "log"), pytest.raises(BadInput, match="that is running"):
        BlockLog(tmp_path / "log")


def test_a_snapshot_brings_the_state_back(chain: EmbeddedChain, clock: HandClock) -> None:
    endpoint = Endpoint(chain)
    clock.time += 1
    assert b'"0x1"' in endpoint.answer(b'{"id":1,"method":"evm_snapshot"}')
    chain.submit(signed(0))
    assert b"true" in endpoint.answer(b'{"id":1,"method":"evm_revert","params":["0x1"]}')
    assert ask(chain, "eth_getTransactionCount", FAUCET, "latest") == "0x0"
    assert chain.headers.height == 0


def test_a_jump_of_the_clock_is_a_jump_of_the_next_block(
    chain: EmbeddedChain, clock: HandClock
) -> None:
    ask(chain, "evm_increaseTime", 3_600)
    ask(chain, "evm_mine")
    assert chain.headers.time == START + 3_600
    ask(chain, "evm_setNextBlockTimestamp", START + 9_000)
    ask(chain, "evm_mine")
    assert chain.headers.time == START + 9_000
    tick(chain, clock, 3)
    assert chain.headers.time == START + 9_002


def test_what_cannot_be_answered_is_an_error_with_the_usual_code(chain: EmbeddedChain) -> None:
    assert ask(chain, "eth_getLogs", {"toBlock": "0xff"})["code"] == -32602
    assert ask(chain, "eth_call", {}, "0xff")["message"].startswith("BlockOutOfRangeError")
    assert ask(chain, "eth_call", {"data": REVERT_WITHOUT_DATA}) == {
        "code": 3,
        "message": "execution reverted",
        "data": "0x",
    }
    assert ask(chain, "eth_nothing")["code"] == -32601
    assert ask(chain, "eth_getBalance")["code"] == -32602
    assert ask(chain, "eth_getBalance", 12)["code"] == -32602
    assert ask(chain, "eth_sendRawTransaction", "0x02ffff")["code"] == -32602
    assert ask(chain, "eth_getBlockByNumber", "0xff", False) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[]", b"1", b"{}", b"[" * 100_000, b"[" + b"{}," * MOST_BATCH + b"{}]", b"\xff"],
)
def test_a_request_of_no_form_is_answered_with_an_error(chain: EmbeddedChain, body: bytes) -> None:
    assert b'"error"' in Endpoint(chain).answer(body)


def test_gas_estimated_is_enough_and_not_much_more(chain: EmbeddedChain, clock: HandClock) -> None:
    call = {"from": FAUCET, "data": STORE_PREVRANDAO}
    gas = int(ask(chain, "eth_estimateGas", call), 16)
    clock.time += 1
    chain.submit(signed(0, to=b"", value=0, data=STORE_PREVRANDAO, gas=gas))
    receipt = ask(chain, "eth_getBlockReceipts", "latest")[0]
    assert receipt["status"] == "0x1"
    assert int(receipt["gasUsed"], 16) * 1.1 > gas


def test_a_call_leaves_nothing_that_the_next_one_sees(chain: EmbeddedChain) -> None:
    chain.submit(signed(0, to=b"", value=0, data=COUNT))
    chain.mine()
    counter = ask(chain, "eth_getBlockReceipts", "latest")[0]["contractAddress"]
    call = {"from": FAUCET, "to": counter}
    gas = ask(chain, "eth_estimateGas", call)

    assert [int(ask(chain, "eth_call", call), 16) for _ in range(3)] == [0, 0, 0]
    assert ask(chain, "eth_estimateGas", call) == gas
    assert ask(chain, "eth_call", {"data": REVERT_WITHOUT_DATA})["code"] == 3
    assert ask(chain, "eth_estimateGas", call) == gas

    height = chain.headers.height
    chain.submit(signed(1, to=counter, value=0))
    chain.mine()
    assert int(ask(chain, "eth_call", call), 16) == 1
    assert int(ask(chain, "eth_call", call, hex(height)), 16) == 0
    chain.cut(height)
    assert int(ask(chain, "eth_call", call), 16) == 0
