"""A company of nodes on fakes: real duties, the specification as chain, a clock moved by hand.

A model is two numbers; the first is its quality, which evaluation returns as its score. Nodes are
looked at one after the other, as their queues would: when an event touched the job, when the time
that a duty named has come, and after a pause when it failed. The clock moves only when nobody has
anything to do, so a job of days takes a fraction of a second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from eth_account import Account
from eth_account.signers.local import LocalAccount
from safetensors.numpy import load_file
from tests.scenarios.power import Fuse, PowerCut, wired

from scatter.fakes.chain import FakeWorld
from scatter.fakes.content import FakeContent
from scatter.fakes.content import World as Published
from scatter.fakes.peers import FakeNetwork, FakePeers
from scatter.fakes.sandbox import FakeSandbox
from scatter.fakes.store import FakeStore
from scatter.learning.inspection import Inspection, inspect_folder
from scatter.lifecycle.commitments import commit_to_dataset
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.job import Job, fold, phase
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.vocabulary import Phase, Role, Verdict
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.parameters import HARDENED, PAPER, Parameters, local
from scatter.mechanism.units import UNIT, Address, JobId, Score, Seconds, Tokens
from scatter.ports.chain import JobOrder
from scatter.ports.peers import KeyReply
from scatter.ports.sandbox import Task
from scatter.ports.statements import Deployment
from scatter.roles.challenger import Challenger
from scatter.roles.duty import Duty, Offer, Patience, SandboxPolicy, Surroundings
from scatter.roles.keys import KeyKeeping
from scatter.roles.requester import Proposal, Requester
from scatter.roles.trainer import Trainer
from scatter.roles.validator import Validator

WINDOWS = {"join": 300, "dataset": 120, "commit": 120, "reveal": 60, "challenge": 60, "vote": 20}
LOCAL_PAPER = local(PAPER, **WINDOWS, seed_delay=2)
LOCAL_HARDENED = local(HARDENED, **WINDOWS, seed_delay=2)
TOPIC = "pictures"
INITIAL = Tokens(100_000 * UNIT)
REWARD = Tokens(1_000 * UNIT)
CONTEXT = (31_337, Address("0x5FbDB2315678afecb367f032d93F642f64180aa3"))
FIRST_JOB = JobId(1)
MOST_STEPS = 3_000

T = TypeVar("T")

_RUNNER = asyncio.Runner()
"""One event loop for all stages: to make one takes longer than most looks at a job."""


def run(call: Coroutine[Any, Any, T]) -> T:
    return _RUNNER.run(call)


async def _end_all_else() -> None:
    """What a process that lost its power had begun, ends with it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


MODEL_TABLE = '[model]\nw = { dtype = "float32", shape = [2] }\n'
TRAINING = f'name = "t"\nkind = "train"\ntopic = "{TOPIC}"\nruntime = "numpy"\n' + MODEL_TABLE
EVALUATION = f'name = "e"\nkind = "evaluate"\ntopic = "{TOPIC}"\nruntime = "numpy"\n' + MODEL_TABLE


def train(task: Task) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The model that the data allow: its quality, and a number that is only theirs."""
    quality, own = (float(word) for word in (task.data / "data.txt").read_text().split())
    return {"w": np.array([quality, own], np.float32)}, {"examples": 10, "metrics": {}}


def evaluate(name: str, path: Path, task: Task) -> float:
    return float(np.clip(abs(load_file(path)["w"][0]), 0, 1))


async def look(folder: Path) -> Inspection:
    return inspect_folder(folder)


class Meddled:
    """A port around some of whose calls something happens."""

    def __init__(self, port: object, calls: Mapping[str, Callable[..., Awaitable[Any]]]) -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return partial(self._calls[name], real) if name in self._calls else real


class CountingWorld(FakeWorld):
    """A chain that counts what it has taken in."""

    transactions = 0

    def news(self, job: JobId) -> int:
        """Logs that touch the job."""
        return len(self.ledger.history(job)) + sum(one.job == job for one in self.letters)

    def act(self, call: Callable[[Block], T]) -> T:
        answer = super().act(call)
        self.transactions += 1
        return answer


@dataclass
class Node:
    """One participant: what survives a power cut, and the duty built from it."""

    stage: "Stage"
    name: str
    """Its part, and a number: `trainer 2`."""
    signer: LocalAccount
    folder: Path
    peers: FakePeers
    content: FakeContent
    make_duty: Callable[[Surroundings], Duty]
    store: FakeStore = field(default_factory=FakeStore)
    train: Callable = train
    evaluate: Callable = evaluate
    fuse: Fuse | None = None
    present: bool = True
    errors: list[ScatterError] = field(default_factory=list)
    trained: int = 0
    wakes: dict[JobId, int] = field(default_factory=dict)
    seen: dict[JobId, int] = field(default_factory=dict)
    failures: int = 0

    def __post_init__(self) -> None:
        self.sandbox = FakeSandbox(self._train, self._evaluate)
        self.chain = self.stage.world.access(self.account)
        self.build()

    @property
    def account(self) -> Address:
        return Address(self.signer.address)

    @property
    def earned(self) -> int:
        """Since the beginning, a role stake that is left counted as its own."""
        funds = self.stage.world.ledger.funds
        bond = funds.bonds.of(self.account)
        return funds.balance(self.account) + (bond.stake if bond else 0) - INITIAL

    def build(self) -> None:
        """As a process that starts: everything but disk and store is new."""
        whole = Surroundings(
            chain=self.chain,
            content=self.content,
            peers=self.peers,
            sandbox=self.sandbox,
            store=self.store,
            inspect=look,
            folder=self.folder,
            sealing_context=CONTEXT,
        )
        self.surroundings = whole if self.fuse is None else wired(whole, self.fuse)
        self.duty = self.make_duty(self.surroundings)
        self.peers.serve_keys(self._serve(KeyKeeping(whole, self.signer)))
        self.wakes.clear()
        self.seen.clear()

    def meddle(self, port: str, **calls: Callable[..., Awaitable[Any]]) -> None:
        """Something happens around a call: `calls` get the real one first, then its arguments."""
        changed = Meddled(getattr(self.surroundings, port), calls)
        self.surroundings = replace(self.surroundings, **{port: changed})
        self.duty = self.make_duty(self.surroundings)

    def leave(self) -> None:
        """It does nothing any more, and nobody reaches it."""
        self.present = False
        self.peers.is_online = False
        self.stage.published.published.get(self.content.address, {}).clear()

    def is_due(self, job: JobId) -> bool:
        news = self.stage.world.news(job) != self.seen.get(job, 0)
        return self.present and (news or self.wakes.get(job, 2**63) <= self.stage.world.time)

    def advance(self, job: JobId = FIRST_JOB) -> None:
        """One look of the node's queue at the job."""
        world = self.stage.world
        self.seen[job] = world.news(job)
        self.wakes.pop(job, None)
        try:
            wake = run(self.duty.advance(job))
        except ScatterError as error:
            self.errors.append(error)
            wake = world.time + min(2**self.failures, 60)
            self.failures += 1
        except PowerCut:
            run(_end_all_else())
            self.fuse = None
            self.build()
            return
        else:
            self.failures = 0
        if wake is not None:
            news = world.news(job) != self.seen[job]
            assert news or wake > world.time, f"{self.name} would spin"
            self.wakes[job] = wake

    def _train(self, task: Task):
        self.trained += 1
        return self.train(task)

    def _evaluate(self, name: str, path: Path, task: Task) -> float:
        return self.evaluate(name, path, task)

    def _serve(self, keeping: KeyKeeping):
        async def keeper(job: JobId, trainer: Address, asker: Address) -> KeyReply:
            reply = await keeping(job, trainer, asker)
            self.stage.handed_over.append((self.account, trainer, asker, self.stage.phase(job)))
            return reply

        return keeper


class Stage:
    """The company, and the chain that they share."""

    def __init__(
        self,
        folder: Path,
        *,
        trainers: int = 6,
        validators: int = 3,
        challengers: int = 2,
        parameters: Parameters = LOCAL_PAPER,
        cast: Mapping[str, type] | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`cast` names those that cheat: `{"trainer 6": RandomWeightsTrainer}`."""
        self.folder = folder
        self.treasury = Address("0x" + "11" * 20)
        self.world = CountingWorld(parameters, self.treasury)
        self.published = Published()
        self.network = FakeNetwork(Deployment(*CONTEXT))
        self.patience = patience or Patience()
        self.handed_over: list[tuple[Address, Address, Address, Phase]] = []
        """Keys: holder, trainer, asker, and the phase then."""
        self._cast = dict(cast or {})
        self._write_jobs()
        self.requester = self._hire("requester", 1)
        self.trainers = [self._hire("trainer", n) for n in range(1, trainers + 1)]
        self.validators = [self._hire("validator", n) for n in range(1, validators + 1)]
        self.challengers = [self._hire("challenger", n) for n in range(1, challengers + 1)]
        p = parameters
        for node in self.validators:
            run(node.chain.register(Role.VALIDATOR, p.validator_stake))
        for node in self.challengers:
            run(node.chain.register(Role.CHALLENGER, p.challenger_stake))
        self.world.mine()
        self.world.transactions = 0

    @property
    def nodes(self) -> list[Node]:
        return [self.requester, *self.trainers, *self.validators, *self.challengers]

    @property
    def errors(self) -> list[str]:
        return [f"{node.name}: {error}" for node in self.nodes for error in node.errors]

    @property
    def lottery(self) -> int:
        return self.world.ledger.funds.lottery

    @property
    def training_job(self) -> Path:
        return self.folder / "jobs" / "train"

    @property
    def evaluation_job(self) -> Path:
        return self.folder / "jobs" / "eval"

    @property
    def dataset(self) -> Path:
        return self.folder / "jobs" / "dataset"

    def job(self, number: JobId = FIRST_JOB) -> Job:
        return fold(self.world.ledger.history(number), self.world.ledger.parameters)

    def phase(self, number: JobId = FIRST_JOB) -> Phase:
        return phase(self.job(number), self.world.time)

    def verdict(self, number: JobId = FIRST_JOB) -> Verdict:
        return self.job(number).verdict

    def paid(self, kind: type[Payment]) -> list[Payment]:
        """The payments of one kind so far."""
        return [p for p in self.world.ledger.funds.payments if isinstance(p, kind)]

    def earnings(self) -> dict[str, int]:
        """What everybody has won or lost, and what the lottery holds."""
        return {node.name: node.earned for node in self.nodes} | {"lottery": self.lottery}

    def proposal(self, **changes: object) -> Proposal:
        usual = Proposal(
            training_job=self.training_job,
            evaluation_job=self.evaluation_job,
            dataset=self.dataset,
            reward=REWARD,
            threshold=Score(4_000),
            floor=Score(4_000),
            most_trainers=len(self.trainers),
            least_stake=Tokens(UNIT),
            training_time=Seconds(600),
        )
        return replace(usual, **changes)

    def publish(self, **changes: object) -> JobId:
        """The requester publishes; after a power cut it looks whether the job is there."""
        before = len(self.world.ledger.jobs)
        try:
            return run(self.requester.duty.publish(self.proposal(**changes)))
        except PowerCut:
            run(_end_all_else())
            self.requester.fuse = None
            self.requester.build()
        after = len(self.world.ledger.jobs)
        return JobId(after) if after > before else self.publish(**changes)

    def publish_unchecked(self, **changes: object) -> JobId:
        """Another program than ours publishes these folders, whatever is in them."""
        content, chain = self.requester.content, self.requester.chain
        salt = bytes(32)
        dataset = run(self.requester.duty._keep_dataset(self.dataset, salt))
        usual = JobOrder(
            training_job=run(content.add(self.training_job)),
            evaluation_job=run(content.add(self.evaluation_job)),
            dataset_commitment=commit_to_dataset(dataset, salt),
            topic=TOPIC,
            reward=REWARD,
            threshold=Score(4_000),
            floor=Score(4_000),
            most_trainers=len(self.trainers),
            least_stake=Tokens(UNIT),
            training_time=Seconds(600),
        )
        return run(chain.create(replace(usual, **changes)))

    def join_by_hand(self) -> None:
        """All trainers join, whatever they would think of the job."""
        for node in self.trainers:
            run(node.chain.join(FIRST_JOB, node.duty.offers[TOPIC].stake))

    def play_until(self, wanted: Phase, job: JobId = FIRST_JOB) -> None:
        """Lets everybody do their part until the job is in this phase."""
        for _ in range(MOST_STEPS):
            if self.phase(job) is wanted:
                return
            assert not self.job(job).over, f"the job ended before {wanted.name}"
            self._step(job)
        raise AssertionError(f"{MOST_STEPS} steps, and the job is in {self.phase(job).name}")

    def play_out(self, job: JobId = FIRST_JOB) -> None:
        """To the end, and until nobody has anything left to do."""
        self.play_until(Phase.SETTLED, job)
        for _ in range(MOST_STEPS):
            if not self._step(job):
                return
        raise AssertionError("somebody never rests")

    def check_books(self) -> None:
        funds = self.world.ledger.funds
        assert funds.in_circulation() == self.world.ledger.parameters.supply
        assert funds.held == funds.owed()

    def _step(self, job: JobId) -> bool:
        """One look of one node, or the clock's next tick; False when nobody waits for anything."""
        for node in self.nodes:
            if node.is_due(job):
                node.advance(job)
                return True
        wakes = [node.wakes[job] for node in self.nodes if node.present and job in node.wakes]
        if not wakes:
            assert self.job(job).over, f"nobody moves the job on from {self.phase(job).name}"
            return False
        self.world.pass_time(max(1, min(wakes) - self.world.time))
        return True

    def _hire(self, part: str, number: int) -> Node:
        name = f"{part} {number}"
        signer = Account.from_key(sha256(name.encode()).digest())
        folder = self.folder / name.replace(" ", "-")
        data = folder / "data"
        data.mkdir(parents=True)
        (data / "data.txt").write_text(f"{0.9 - 0.05 * number:.2f} {number}")
        gateway = f"http://{part}{number}.example"
        kind = self._cast.get(name)
        policy, patience = SandboxPolicy(), self.patience
        offer = Offer(data=data, stake=Tokens((500 + 100 * number) * UNIT))
        makers: dict[str, Callable[[Surroundings], Duty]] = {
            "requester": lambda s: (kind or Requester)(s, patience),
            "trainer": lambda s: (kind or Trainer)(s, policy, {TOPIC: offer}, patience),
            "validator": lambda s: (kind or Validator)(s, policy, patience),
            "challenger": lambda s: (kind or Challenger)(s, policy, patience),
        }
        self.world.ledger.transfer(self.treasury, Address(signer.address), INITIAL)
        return Node(
            stage=self,
            name=name,
            signer=signer,
            folder=folder,
            peers=self.network.join(signer, gateway),
            content=FakeContent(self.published, gateway),
            make_duty=makers[part],
        )

    def _write_jobs(self) -> None:
        for folder in (self.training_job, self.evaluation_job, self.dataset):
            folder.mkdir(parents=True)
        (self.training_job / "job.toml").write_text(TRAINING)
        (self.training_job / "train.py").write_text("")
        (self.evaluation_job / "job.toml").write_text(EVALUATION)
        (self.evaluation_job / "evaluate.py").write_text("")
        (self.dataset / "pictures.txt").write_text("what nobody trained on")
