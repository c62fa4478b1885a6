"""Hostile hands on the seven contracts: any selector, any argument, any caller, any time.

`Crowd` makes the calls, half of them such as a cheat would make, half of them noise.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak
from tests.contracts.books import Books
from tests.contracts.deployed import ERROR, Contracts, Log, encode_call
from tests.unit.vectors.reading import DATASET, SALT, START, address_of, order

from scatter.adapters.contracts import DEPLOYMENT_ORDER, PROTOCOL, TOKEN, load_contract
from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import (
    MOST_STAKE,
    UNIT,
    Address,
    BlockNumber,
    JobId,
    Score,
    Timestamp,
)

NOBODY = "0x" + "00" * 20
TREASURY = address_of("treasury")
ACTORS = [address_of(f"hostile {i}") for i in range(14)]
REASONS = {v for k, v in vars(reasons).items() if k.isupper()}
NUMBERS = [
    *(0, 1, 2, 3, 63, 64, 128, 255, 256, 4_000, 5_000, 10_000, 10_001),
    *(UNIT, 100 * UNIT, 20_000 * UNIT, 25_000 * UNIT, MOST_STAKE, MOST_STAKE + 1),
    *(2**127, 2**128 - 1, 2**128, 2**160, 2**255, 2**256 - 1),
]
STANDARD = {
    *("transfer", "transferFrom", "approve", "permit", "setApprovalForAll", "safeTransferFrom"),
}
"""What the six do for anybody."""


class Crowd:
    """Everybody is against everybody."""

    def __init__(self, contracts: Contracts, dice: Random) -> None:
        self.contracts = contracts
        self.dice = dice
        self.books = Books(contracts, TREASURY)
        self.block = Block(BlockNumber(1_000), Timestamp(START))
        self.done: Counter[str] = Counter()
        self.committees: dict[int, tuple[str, ...]] = {}
        self.requesters: dict[int, str] = {}
        self.trainers: dict[int, list[str]] = {}
        self.accused: dict[int, list[str]] = {}
        self.secrets: dict[tuple[int, str], list[int]] = {}
        self.addresses = [*ACTORS, *contracts.at.values(), TREASURY, NOBODY]
        self.calls = [
            (contract, entry)
            for contract in DEPLOYMENT_ORDER
            for entry in load_contract(contract).abi
            if entry["type"] == "function" and entry["stateMutability"] == "nonpayable"
        ]
        self.tick()
        for i, actor in enumerate(ACTORS):
            self.call(TREASURY, TOKEN, "transfer", actor, 90_000 * UNIT)
            if i < 8:
                self.call(actor, PROTOCOL, "register", 1 + i % 2, 25_000 * UNIT)

    def step(self) -> None:
        """One thing somebody does, or some time that passes."""
        chance = self.dice.random()
        if chance < 0.25:
            self.tick()
        elif chance < 0.28:
            self.wait()
        elif chance < 0.45:
            self.make_noise()
        elif chance < 0.5:
            self.mind_own_tokens()
        else:
            self.cheat()

    # Time

    def tick(self, seconds: int = 0, blocks: int = 1) -> None:
        self.block = Block(
            BlockNumber(self.block.number + blocks), Timestamp(self.block.time + seconds)
        )
        self.contracts.move_to(self.block)

    def wait(self) -> None:
        """To a deadline or the second before, or far beyond; at times past all known hashes."""
        job = self.a_job()
        phase, deadline = self.contracts.read(PROTOCOL, "phase", job)
        blocks = self.dice.choice([1, 3, 3, 256, 257, 300])
        if phase and deadline > self.block.time and self.dice.random() < 0.8:
            until = deadline - self.dice.randrange(2)
            self.tick(max(0, until - self.block.time), blocks)
        else:
            self.tick(self.dice.choice([0, 1, 5, 400]), blocks)

    # Calls

    def make_noise(self) -> None:
        contract, entry = self.dice.choice(self.calls)
        arguments = [self.anything(i) for i in entry["inputs"]]
        self.call(self.dice.choice(ACTORS), contract, entry["name"], *arguments)

    def mind_own_tokens(self) -> None:
        one, other = self.dice.choice(ACTORS), self.dice.choice(ACTORS)
        some = self.dice.choice([0, 1, UNIT, 10_000 * UNIT])
        moves = ["transfer", "approve", "transferFrom", *["register"] * 4, "leave", "go"]
        move = self.dice.choice(moves)
        match move:
            case "transfer" | "approve":
                self.call(one, TOKEN, move, other, some)
            case "transferFrom":
                self.call(one, TOKEN, move, other, self.dice.choice(ACTORS), some)
            case "register":
                self.call(one, PROTOCOL, "register", self.dice.choice([1, 2]), 25_000 * UNIT)
            case "leave" if self.dice.random() < 0.15:
                self.call(one, PROTOCOL, "requestUnstake")
            case "go":
                self.call(one, PROTOCOL, "withdraw")

    def cheat(self) -> None:
        job = self.a_job()
        one, other = self.dice.choice(ACTORS), self.dice.choice(ACTORS)
        requester = self.requesters.get(job, one)
        now = self.block.time
        phase, deadline = self.contracts.read(PROTOCOL, "phase", job)
        late = phase and now >= deadline
        match phase:
            case Phase.NONE | Phase.SETTLED | Phase.CANCELLED if self.dice.random() < 0.3:
                most = self.dice.choice([1, 2, 3])
                terms = order(reward=self.dice.choice([100 * UNIT, 101 * UNIT + 7]))
                self.call(one, PROTOCOL, "createJob", *(terms | {"most_trainers": most}).values())
            case Phase.SETTLED | Phase.CANCELLED:
                self.call(one, PROTOCOL, self.dice.choice(["settle", "cancelJob"]), job)
            case Phase.OPEN if late:
                self.call(one, PROTOCOL, self.dice.choice(["startJob", "cancelJob"]), job)
            case Phase.OPEN if self.dice.random() < 0.9:
                self.call(one, PROTOCOL, "joinJob", job, self.dice.choice([1, 3, UNIT + 1]))
            case Phase.OPEN:
                self.call(requester, PROTOCOL, "startJob", job)
            case Phase.TRAINING if late:
                self.call(one, PROTOCOL, "closeTraining", job)
            case Phase.TRAINING:
                trainer = self.dice.choice([*self.trainers[job], one])
                self.call(trainer, PROTOCOL, "submitModel", job, DATASET, SALT)
            case Phase.DATASET if late:
                self.call(one, PROTOCOL, "settle", job)
            case Phase.DATASET if self.dice.random() < 0.6:
                self.call(one, PROTOCOL, "drawCommittee", job)
            case Phase.DATASET:
                self.call(requester, PROTOCOL, "publishDataset", job, DATASET, SALT)
            case Phase.COMMIT:
                self.score(job)
            case Phase.REVEAL:
                member = self.dice.choice(self.committees[job])
                scores = self.secrets.get((job, member), [1])
                self.call(one, PROTOCOL, "revealScores", job, member, scores, SALT)
            case Phase.CHALLENGE if late:
                self.call(one, PROTOCOL, "settle", job)
            case Phase.CHALLENGE if self.accused[job] and self.dice.random() < 0.7:
                target = self.dice.choice(self.accused[job])
                for voter in self.dice.sample(ACTORS, 8):
                    self.call(voter, PROTOCOL, "vote", job, target, self.dice.random() < 0.9)
            case Phase.CHALLENGE:
                target = self.dice.choice([*self.trainers[job], *self.committees[job], other])
                for accuser in self.dice.sample(ACTORS, 4):
                    self.call(accuser, PROTOCOL, "accuse", job, target)

    def score(self, job: int) -> None:
        member = self.dice.choice(self.committees[job])
        if self.dice.random() < 0.2:
            self.call(member, PROTOCOL, "refrain", job)
            return
        models = self.contracts.read("ModelToken", "submitted", job).bit_count()
        scores = [self.dice.choice([0, 4_999, 5_000, 10_000]) for _ in range(models)]
        chosen = [Score(score) for score in scores]
        hashed = commit_to_scores(JobId(job), Address(member), chosen, SALT)
        if self.call(member, PROTOCOL, "commitScores", job, hashed):
            self.secrets[job, member] = scores

    def call(self, caller: str, contract: str, function: str, *arguments: Any) -> bool:
        """Whether it was done. A refusal has a known reason and changes nothing."""
        spenders = self.whose(caller, contract, function, arguments)
        result = self.contracts.env.execute_code(
            to_address=self.contracts.at[contract],
            sender=caller,
            data=encode_call(contract, function, arguments),
        )
        if not result.is_success:
            self.check_refusal(function, result.output)
            return False
        assert contract == PROTOCOL or function in STANDARD, f"{function} obeyed a stranger"
        logs = self.contracts._decode(result)
        self.done[function] += 1
        self.remember(logs)
        self.books.record(caller, spenders, logs)
        return True

    def remember(self, logs: Sequence[Log]) -> None:
        for log in logs:
            self.done[log.event] += 1
            job = log.values.get("job", 0)
            match log.event:
                case "JobCreated":
                    self.requesters[job] = log.values["requester"]
                    self.trainers[job], self.accused[job] = [], []
                case "TrainerJoined":
                    self.trainers[job].append(log.values["trainer"])
                case "CommitteeDrawn":
                    self.committees[job] = log.values["members"]
                case "Accused":
                    self.accused[job].append(log.values["target"])

    def whose(
        self, caller: str, contract: str, function: str, arguments: Sequence[Any]
    ) -> list[str]:
        """Whose tokens a call may move freely: the caller's, or of whoever allowed it."""
        if contract == TOKEN and function == "transferFrom":
            owner, _, amount = arguments
            allowed = self.contracts.read(TOKEN, "allowance", owner, caller)
            return [owner.lower()] if allowed >= amount else []
        return [caller.lower()] if contract == TOKEN and function == "transfer" else []

    def check_refusal(self, function: str, output: bytes) -> None:
        if not output and function == "safeTransferFrom":
            return  # no receiver of titles
        assert output[:4] == ERROR, f"{function} failed without a reason"
        assert decode(["string"], output[4:])[0] in REASONS

    # Choices

    def a_job(self) -> int:
        count = self.contracts.read(PROTOCOL, "jobCount")
        return self.dice.randint(max(0, count - 2), count)

    def anything(self, entry: Mapping[str, Any]) -> Any:
        kind: str = entry["type"]
        if kind.endswith("]"):
            item, _, length = kind.removesuffix("]").partition("[")
            count = int(length) if length else self.dice.randrange(4)
            return [self.anything({**entry, "type": item}) for _ in range(count)]
        if kind == "tuple":
            return tuple(self.anything(member) for member in entry["components"])
        if kind == "uint256" and entry["name"] == "job":
            return self.a_job() + self.dice.choice([0, 0, 0, 1])
        if kind == "uint256" and entry["name"] in ("role", "place", "part", "seat"):
            return self.dice.randrange(4)
        if kind == "uint256":
            return self.dice.choice(NUMBERS)
        return {
            "address": self.dice.choice(self.addresses),
            "bool": self.dice.random() < 0.5,
            "uint8": self.dice.choice([0, 1, 27, 28, 255]),
            "bytes32": self.dice.choice([DATASET, SALT, bytes(32)]),
            "bytes": self.dice.choice([b"", b"\x02" * 33, b"\xff" * 64]),
            "string": self.dice.choice(["", "digits", "A", "a" * 64]),
        }[kind]

    # The end

    def end_everything(self) -> None:
        """Strangers and time end every job and every role; the lottery alone is left."""
        read = self.contracts.read
        for job in range(1, read(PROTOCOL, "jobCount") + 1):
            for _ in range(4):
                phase, deadline = read(PROTOCOL, "phase", job)
                if phase >= Phase.SETTLED:
                    break
                self.tick(max(0, deadline - self.block.time))
                names = {1: "startJob", 2: "closeTraining"}
                phase, deadline = read(PROTOCOL, "phase", job)
                self.tick(max(0, deadline - self.block.time))
                if not self.call(TREASURY, PROTOCOL, names.get(phase, "settle"), job):
                    self.call(TREASURY, PROTOCOL, "cancelJob", job)
            assert read(PROTOCOL, "phase", job)[0] >= Phase.SETTLED
        for actor in ACTORS:
            if read(TOKEN, "holdings", actor)[1]:
                self.call(actor, PROTOCOL, "requestUnstake")
        self.tick(10**6)
        for actor in ACTORS:
            if read(TOKEN, "holdings", actor)[1]:
                assert self.call(actor, PROTOCOL, "withdraw")
        self.books.check()
        assert self.books.balances[self.books.token] == self.books.lottery
        for actor in ACTORS:
            if read(TOKEN, "balanceOf", actor) >= 25_000 * UNIT:
                assert self.call(actor, PROTOCOL, "register", 1, 25_000 * UNIT), "locked out"


def hash_of(number: int) -> bytes:
    return keccak(number.to_bytes(32, "big"))


def deploy(parameters: Parameters) -> Contracts:
    return Contracts(parameters, TREASURY, hash_of)
