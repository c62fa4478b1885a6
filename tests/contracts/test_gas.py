"""What the protocol costs, from the receipts of anvil: the only figures that count.

The EVM in memory keeps storage warm between calls, and under-reports. `pytest -rP` on this file
prints the figures that `docs/contracts.md` quotes.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from eth_utils.crypto import keccak
from tests.contracts.deployed import encode_call
from tests.unit.vectors.reading import DATASET, SALT, address_of, order
from tools.gas_page import ALL, PAGE, SIZES, averages, measure, read_averages

from scatter.adapters.contracts import PROTOCOL, TOKEN, plan_deployment
from scatter.devnet.anvil import anvil_command, find_anvil
from scatter.devnet.free_port import find_free_port
from scatter.lifecycle.commitments import commit_to_scores
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import UNIT, Address

pytestmark = pytest.mark.needs_anvil

PARAMETERS = local(PAPER, join=3_600, dataset=600, commit=600, reveal=600, challenge=60, vote=30)
TREASURY = address_of("treasury")
REQUESTER = address_of("requester")
MOST_GAS_OF_ONE = 16_777_216
"""EIP-7825."""
MOST_SECONDS_TO_START = 30.0
MOST_DRIFT, MOST_DRIFT_OF_ALL = 0.03, 0.003
"""From run to run, by the order of the draw; of one call on average, and of a whole job."""


@dataclass
class Anvil:
    """One chain, driven by hand: every transaction is a block."""

    http: httpx.Client
    at: dict[str, Address] = field(default_factory=dict)
    used: list[tuple[str, int]] = field(default_factory=list)
    """What was called since the list was last emptied, with the gas of its receipt."""

    def ask(self, method: str, *arguments: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        answer = self.http.post("/", json=request).json()
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def send(self, sender: Address, what: str, to: Address | None, data: bytes) -> int:
        self.ask("anvil_setBalance", sender, hex(10**20))
        self.ask("anvil_impersonateAccount", sender)
        call = {"from": sender, "data": "0x" + data.hex(), "gas": hex(MOST_GAS_OF_ONE)}
        sent = self.ask("eth_sendTransaction", call | ({"to": to} if to else {}))
        # The block follows the answer by some milliseconds.
        tries = (self.ask("eth_getTransactionReceipt", sent) for _ in range(1_000))
        receipt = next(filter(None, tries))
        assert receipt["status"] == "0x1", f"{what} failed"
        self.used.append((what, int(receipt["gasUsed"], 16)))
        return int(receipt["gasUsed"], 16)

    def call(self, sender: str, function: str, *arguments: Any, contract: str = PROTOCOL) -> int:
        data = encode_call(contract, function, arguments)
        return self.send(address_of(sender), function, self.at[contract], data)

    def pass_time(self, seconds: int, blocks: int = 1) -> None:
        self.ask("evm_increaseTime", seconds)
        self.ask("anvil_mine", hex(blocks))


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    binary = find_anvil(os.environ)
    assert binary is not None
    port = find_free_port()
    command = [c for c in anvil_command(binary, port, None) if c not in ("--mixed-mining",)]
    place = command.index("--block-time")
    del command[place : place + 2]  # blocks come with transactions only
    process = subprocess.Popen(command)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            wait_until_ready(process, http)
            yield Anvil(http)
    finally:
        process.terminate()
        process.wait(10)


def wait_until_ready(process: subprocess.Popen[bytes], http: httpx.Client) -> None:
    deadline = time.monotonic() + MOST_SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            http.post("/", json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []})
        except httpx.TransportError:
            continue
        return
    pytest.fail(f"anvil does not answer at {http.base_url}; its exit code: {process.returncode}")


def deploy(anvil: Anvil) -> int:
    """Deploys the seven; returns their gas."""
    deployer = address_of("deployer")
    total = 0
    for step in plan_deployment(deployer, 0, TREASURY, PARAMETERS):
        total += anvil.send(deployer, step.name, None, step.init_code)
        anvil.at[step.name] = step.address
    return total


def people(anvil: Anvil, trainers: int, validators: int, challengers: int) -> None:
    names = ["requester"]
    names += [f"trainer {i}" for i in range(trainers)]
    names += [f"validator {i}" for i in range(validators)]
    names += [f"challenger {i}" for i in range(challengers)]
    for name in names:
        arguments = (address_of(name), 100_000 * UNIT)
        anvil.call("treasury", "transfer", *arguments, contract=TOKEN)
    for name in names:
        if name.startswith("validator"):
            anvil.call(name, "register", 1, 25_000 * UNIT)
        if name.startswith("challenger"):
            anvil.call(name, "register", 2, 20_000 * UNIT)


def play(anvil: Anvil, job: int, trainers: int, validators: int) -> list[tuple[str, int]]:
    """One honest job; returns its transactions with their gas."""
    anvil.used.clear()
    terms = list(order(most_trainers=trainers, topic="handwritten-digits").values())
    anvil.call("requester", "createJob", *terms)
    for i in range(trainers):
        anvil.call(f"trainer {i}", "joinJob", job, 1_000 * UNIT)
    anvil.call("requester", "startJob", job)
    for i in range(trainers):
        digests = (keccak(text=f"model {job} {i}"), keccak(text=f"key {job} {i}"))
        anvil.call(f"trainer {i}", "submitModel", job, *digests)
    anvil.pass_time(1, blocks=2)
    anvil.call("requester", "publishDataset", job, DATASET, SALT)
    scores = [9_000 + i for i in range(trainers)]
    for i in range(validators):
        member = address_of(f"validator {i}")
        anvil.call(
            f"validator {i}", "commitScores", job, commit_to_scores(job, member, scores, SALT)
        )
    for i in range(validators):
        name = f"validator {i}"
        anvil.call(name, "revealScores", job, address_of(name), scores, SALT)
    anvil.pass_time(PARAMETERS.challenge_window)
    anvil.call("requester", "settle", job)
    return list(anvil.used)


def show(calls: list[tuple[str, int]]) -> None:
    for name in dict(calls):
        gas = [used for what, used in calls if what == name]
        print(f"{name:20} {len(gas):3} x {sum(gas) // len(gas):>10,} = {sum(gas):>11,}")
    print(f"{'total':20} {len(calls):3}   {'':10}   {sum(used for _, used in calls):>11,}")


def test_deploying_all_seven_costs_at_most_8_million(anvil: Anvil) -> None:
    total = deploy(anvil)

    show(anvil.used)
    assert total <= 8_000_000


def test_an_honest_job_takes_24_transactions_and_2_8_million(anvil: Anvil) -> None:
    deploy(anvil)
    people(anvil, trainers=6, validators=3, challengers=2)
    for job in (1, 2):
        play(anvil, job, trainers=6, validators=3)

    calls = play(anvil, 3, trainers=6, validators=3)

    show(calls)
    assert len(calls) <= 24
    assert sum(gas for _, gas in calls) <= 2_800_000


def test_what_a_job_costs_stands_in_the_page() -> None:
    """Every change of what a call costs shows in review."""
    known, found = read_averages(PAGE.read_text()), averages(measure(SIZES[0]))

    assert found.keys() == known.keys(), "run `make gas`"
    off = {
        call: (gas, known[call])
        for call, gas in found.items()
        if abs(gas - known[call]) > gas * (MOST_DRIFT_OF_ALL if call[1] == ALL else MOST_DRIFT)
    }
    assert not off, "run `make gas` and look at the difference"


def test_the_largest_job_settles_in_one_transaction(anvil: Anvil) -> None:
    deploy(anvil)
    people(anvil, trainers=64, validators=16, challengers=2)

    calls = play(anvil, 1, trainers=64, validators=16)

    show(calls)
    assert calls[-1][0] == "settle"
    assert max(gas for _, gas in calls) <= 16_700_000
