"""The draw on a chain with real block hashes: the embedded one, transaction by transaction."""

import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak
from tests.contracts.deployed import Log, decode_log, encode_call
from tests.unit.vectors.reading import DATASET, SALT, START, order

from scatter.adapters.contracts import PROTOCOL, TOKEN, plan_deployment
from scatter.devnet.chain import EmbeddedChain
from scatter.devnet.rpc import Endpoint
from scatter.lifecycle.commitments import draw
from scatter.mechanism.parameters import HARDENED, local
from scatter.mechanism.units import UNIT, Address, JobId

PARAMETERS = local(HARDENED, dataset=3_600)


class Hands:
    """Accounts with keys, each transaction in a block of its own."""

    def __init__(self, names: list[str]) -> None:
        self.accounts = {name: Account.from_key(keccak(text=name)) for name in names}
        rich = {to_canonical_address(a.address): 10**24 for a in self.accounts.values()}
        self.chain = EmbeddedChain(rich, clock=lambda: float(START))
        self.endpoint = Endpoint(self.chain)
        self.at: dict[str, Address] = {}
        treasury = Address(self.accounts["treasury"].address)
        for step in plan_deployment(treasury, 0, treasury, PARAMETERS):
            self.send("treasury", None, step.init_code)
            self.at[step.name] = step.address

    def address(self, name: str) -> Address:
        return Address(self.accounts[name].address)

    def ask(self, method: str, *parameters: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        return json.loads(self.endpoint.answer(json.dumps(request).encode()))["result"]

    def call(
        self, name: str, function: str, *arguments: Any, contract: str = PROTOCOL
    ) -> list[Log]:
        receipt = self.send(name, self.at[contract], encode_call(contract, function, arguments))
        return [
            decode_log(
                PROTOCOL, [int(t, 16) for t in log["topics"]], bytes.fromhex(log["data"][2:])
            )
            for log in receipt["logs"]
            if log["address"] == self.at[PROTOCOL]
        ]

    def send(self, name: str, to: Address | None, data: bytes) -> Any:
        account: LocalAccount = self.accounts[name]
        content = {
            "type": 2,
            "chainId": 31337,
            "nonce": int(self.ask("eth_getTransactionCount", account.address, "latest"), 16),
            "to": to or b"",
            "value": 0,
            "data": data,
            "gas": 8_000_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 10**9,
        }
        sent = self.chain.submit(bytes(account.sign_transaction(content).raw_transaction))
        self.chain.mine()
        receipt = self.ask("eth_getTransactionReceipt", "0x" + sent.hex())
        assert receipt["status"] == "0x1"
        return receipt


VALIDATORS = [f"validator {i}" for i in range(6)]


@pytest.fixture
def hands() -> Hands:
    """Six validators are registered, and a job has its model; its seed block is the last one."""
    hands = Hands(["treasury", "requester", "trainer", *VALIDATORS])
    for name in ("requester", "trainer", *VALIDATORS):
        hands.call("treasury", "transfer", hands.address(name), 30_000 * UNIT, contract=TOKEN)
    for name in VALIDATORS:
        hands.call(name, "register", 1, 25_000 * UNIT)
    hands.call("requester", "createJob", *order().values())
    hands.call("trainer", "joinJob", 1, UNIT)
    hands.call("requester", "startJob", 1)
    closed = hands.call("trainer", "submitModel", 1, DATASET, DATASET)[-1]
    assert closed.event == "TrainingClosed"
    assert closed.values["seedBlock"] == hands.chain.headers.head().block_number + 1
    hands.chain.mine()
    return hands


def test_the_committee_follows_from_the_seed_block_s_hash(hands: Hands) -> None:
    seed = hands.chain.headers.head()

    [log] = hands.call("trainer", "drawCommittee", 1)

    eligible = [hands.address(name) for name in VALIDATORS]
    expected = draw(eligible, PARAMETERS.least_committee, bytes(seed.hash), JobId(1))
    assert log.event == "CommitteeDrawn"
    assert log.values["members"] == tuple(member.lower() for member in expected)


def test_who_leaves_or_comes_after_the_close_changes_nothing(hands: Hands) -> None:
    seed = hands.chain.headers.head()
    hands.call(VALIDATORS[0], "requestUnstake")
    hands.call(VALIDATORS[3], "requestUnstake")
    hands.call("treasury", "register", 1, 25_000 * UNIT)

    [log] = hands.call("trainer", "drawCommittee", 1)

    eligible = [hands.address(name) for name in VALIDATORS]
    expected = draw(eligible, PARAMETERS.least_committee, bytes(seed.hash), JobId(1))
    assert log.values["members"] == tuple(member.lower() for member in expected)


def test_a_hash_that_is_gone_is_replaced_by_one_to_come(hands: Hands) -> None:
    seed = hands.chain.headers.head().block_number
    while hands.chain.headers.head().block_number < seed + 256:
        hands.chain.mine()

    [renewed] = hands.call("trainer", "drawCommittee", 1)
    hands.chain.mine()
    later = hands.chain.headers.head()
    published, drawn = hands.call("requester", "publishDataset", 1, DATASET, SALT)

    assert renewed.event == "SeedRenewed"
    assert renewed.values["seedBlock"] == later.block_number
    assert published.event == "DatasetPublished"
    expected = draw([hands.address(name) for name in VALIDATORS], 3, bytes(later.hash), JobId(1))
    assert drawn.values["members"] == tuple(member.lower() for member in expected)


def test_the_oldest_hash_that_the_chain_knows_still_draws(hands: Hands) -> None:
    seed = hands.chain.headers.head()
    while hands.chain.headers.head().block_number < seed.block_number + 255:
        hands.chain.mine()

    [log] = hands.call("trainer", "drawCommittee", 1)

    eligible = [hands.address(name) for name in VALIDATORS]
    expected = draw(eligible, 3, bytes(seed.hash), JobId(1))
    assert log.values["members"] == tuple(member.lower() for member in expected)
