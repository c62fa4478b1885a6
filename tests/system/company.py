"""Seven real nodes on a chain whose clock jumps: a job with a liar, played as often as wanted.

The chain goes back to where it was before each play, and each node begins with an empty data
folder; so whatever one play leaves, the next knows nothing of it. Nodes may be killed on the way,
at a fail point each; whoever is dead is started again at once.
"""

import asyncio
import contextlib
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.system.fail_points import FailPoint, Record, cast_with

from scatter.adapters.blockstore import cut_folder
from scatter.adapters.deployment import Deployment, deploy, write_deployment
from scatter.adapters.evm import EvmChain, open_chain
from scatter.adapters.rpc import Rpc
from scatter.adapters.sandbox import Bubblewrap, PlainProcess
from scatter.adapters.transactions import load_signer
from scatter.demo.cast import INITIAL_SUPPLY, Cast, DemoOptions, assemble
from scatter.demo.gas import add_up_gas
from scatter.demo.stage import SENDING, TOPIC, Node, NodeFailed, furnish
from scatter.devnet.local import open_local_chain
from scatter.lifecycle.job import Job, fold, phase, settleable_at
from scatter.lifecycle.vocabulary import Phase, Role
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import BlockNumber, Digest, JobId, Seconds
from scatter.node.app import HONEST
from scatter.node.config_text import render
from scatter.unixfs.building import drop

JOB = JobId(1)
WINDOW = 600
MOST_SECONDS = 300.0
LOOK_SECONDS = 0.05
POLL_SECONDS = 0.2
MOST_ENDING_LOOKS = 200
PARAMETERS = local(
    PAPER,
    join=WINDOW,
    dataset=WINDOW,
    commit=WINDOW,
    reveal=WINDOW,
    challenge=WINDOW,
    vote=WINDOW // 2,
    seed_delay=2,
)
MODEL = '[model]\nw = { dtype = "float32", shape = [2] }\n'
TRAINING = f'name = "t"\nkind = "train"\ntopic = "{TOPIC}"\nruntime = "numpy"\n{MODEL}'
EVALUATION = f'name = "e"\nkind = "evaluate"\ntopic = "{TOPIC}"\nruntime = "numpy"\n{MODEL}'
TRAIN = """
import time
import numpy as np
from scatter_job import Trained

def train(data, base, settings):
    while (data / "hold").exists():
        time.sleep(0.01)
    numbers = [float(word) for word in (data / "data.txt").read_text().split()]
    return Trained({"w": np.array(numbers, np.float32)}, examples=10)
"""
EVALUATE = """
def evaluate(weights, data, settings):
    return float(weights["w"][0])
"""


SANDBOX = PlainProcess.name if shutil.which("bwrap") is None else Bubblewrap.name
"""One whose runs are children of their node, so that a fail point can see them begin."""


@dataclass(frozen=True)
class Outcome:
    """What a play left, as far as anybody's money or model is concerned."""

    payouts: list[str]
    model: bytes
    calls: Counter[str]
    """Transactions to the contracts, of everybody, by name."""
    failed: int


@dataclass
class Company:
    """The chain, its state before any job, and a folder in which plays take place."""

    folder: Path
    cast: Cast
    chain: EvmChain
    rpc: Rpc
    deployment: Deployment
    trusted: list[Digest]
    snapshot: str

    async def play(self, kills: Mapping[str, FailPoint]) -> Outcome:
        """Plays the job to its end; raises AssertionError when a fail point is not reached.

        Without kills the steps of all honest nodes are recorded.
        """
        await self.rpc.ask("evm_revert", self.snapshot)
        self.snapshot = await self.rpc.ask("evm_snapshot")
        first = (await self.chain.head()).number
        nodes = await asyncio.to_thread(self._hire, kills)
        play = _Play(self, nodes, {name: nodes[name] for name in kills})
        try:
            async with asyncio.timeout(MOST_SECONDS):
                model = await play.to_the_end()
        except TimeoutError:
            raise AssertionError(f"not over in time: {await play.where()}") from None
        finally:
            for node in nodes.values():
                node.kill()
        last = (await self.chain.head()).number
        bill = await add_up_gas(self.rpc, self.deployment, BlockNumber(first + 1), last)
        return Outcome(
            payouts=sorted(map(str, await self.chain.payments(JOB))),
            model=model.read_bytes(),
            calls=Counter({name: cost.transactions for name, cost in bill.by_call.items()}),
            failed=bill.failed,
        )

    def steps(self, name: str) -> set[str]:
        """What the node did in the play in which nobody was killed."""
        return set(self._record(name).read_text().splitlines())

    async def job(self) -> Job | None:
        history = await self.chain.history(JOB)
        return fold(history, self.deployment.parameters) if history else None

    async def jump(self, seconds: int) -> None:
        """The chain's clock goes forward, and a block says so."""
        await self.rpc.ask("evm_increaseTime", hex(seconds))
        await self.rpc.ask("evm_mine")

    def _hire(self, kills: Mapping[str, FailPoint]) -> dict[str, Node]:
        place = self.folder / "play"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        write_deployment(place / "deployment.json", self.deployment)
        nodes = furnish(place, self.cast, self.folder / "shares", self.trusted, Seconds(WINDOW))
        for name, node in nodes.items():
            timing = replace(node.config.timing, poll_seconds=POLL_SECONDS)
            sandbox = replace(node.config.sandbox, backend=SANDBOX)
            node.config = replace(node.config, timing=timing, sandbox=sandbox)
            node.config_file.write_text(render(node.config, node.folder))
            if name in kills:
                node.casting = cast_with(node.actor.part, kills[name])
                if kills[name] == FailPoint("within", "run") and node.config.topics:
                    # Its training ends by no other death than its node's.
                    self.hold(node).touch()
            elif not kills and not node.actor.malicious:
                node.casting = cast_with(node.actor.part, Record(self._record(name)))
            node.start()
        return nodes

    def hold(self, node: Node) -> Path:
        """While this file is there, the node's training goes on and on."""
        return self.folder / "shares" / node.actor.slug / "hold"

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.steps"


@dataclass
class _Play:
    company: Company
    nodes: dict[str, Node]
    victims: dict[str, Node]
    """Who has yet to be killed."""
    jumped: bool = False

    async def to_the_end(self) -> Path:
        """Returns the aggregate's file."""
        await asyncio.gather(*(node.wait_until_ready() for node in self.nodes.values()))
        await self._publish()
        result = None
        while result is None or self.victims:
            await self._look_after()
            await self._jump()
            result = await self._result()
            await asyncio.sleep(LOOK_SECONDS)
        assert [share["problem"] for share in result["shares"]] == ["", ""]
        return Path(result["model"])

    async def where(self) -> str:
        job = await self.company.job()
        now = None if job is None else phase(job, (await self.company.chain.head()).time)
        return f"the job is in {now!r}, and not yet killed are {list(self.victims)}"

    @property
    def _requester(self) -> Node:
        return self.nodes["requester"]

    async def _publish(self) -> None:
        """Looks whether the job is there before it publishes again, as its operator should."""
        folder = self.company.folder
        proposal = {
            "training_job": str(folder / "training-job"),
            "evaluation_job": str(folder / "evaluation-job"),
            "dataset": str(folder / "dataset"),
            "reward": "1000",
            "threshold": "0.4",
            "most_trainers": len(self.company.cast.trainers),
            "training_hours": 0.5,
        }
        while not await self.company.chain.job_count():
            try:
                await self._requester.ask("POST", "/jobs", proposal)
            except NodeFailed:
                if "requester" not in self.victims:
                    raise
                await self._look_after()

    async def _look_after(self) -> None:
        """Starts again who was killed; nobody may end otherwise."""
        for name, node in self.nodes.items():
            if name not in self.victims:
                node.check()
            elif node.process is not None and node.process.exitcode is not None:
                assert node.process.exitcode == -signal.SIGKILL, f"it ended, see {node.log}"
                await self._see_no_orphan(node)
                node.kill()
                self.company.hold(node).unlink(missing_ok=True)
                node.casting = HONEST
                await self.company.jump(1)
                node.start()
                await node.wait_until_ready()
                del self.victims[name]
                return

    async def _see_no_orphan(self, node: Node) -> None:
        """No run in the sandbox outlives the node by more than a moment."""
        looks = 0
        while orphans := _find_processes(node):
            looks += 1
            assert looks < MOST_ENDING_LOOKS, orphans
            await asyncio.sleep(LOOK_SECONDS)

    async def _jump(self) -> None:
        """Over whatever there is nothing left to do in but to wait."""
        job, head = await self.company.job(), await self.company.chain.head()
        if job is None or self.jumped:
            return
        if phase(job, head.time) is Phase.DATASET and head.number <= (job.seed_block or 0):
            await self.company.jump(1)
        if job.condemned:
            at = settleable_at(job)
            assert at is not None, "nobody can have settled before"
            await self.company.jump(at - head.time)
            self.jumped = True

    async def _result(self) -> Any:
        try:
            return await self._requester.ask_if_there(f"/jobs/{JOB}/result")
        except NodeFailed:
            if "requester" not in self.victims:
                raise
            return None


def _find_processes(node: Node) -> list[str]:
    """What runs with the node's folder among its arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(node.folder) in command:
                found.append(command)
    return found


@contextlib.asynccontextmanager
async def open_company(folder: Path) -> AsyncIterator[Company]:
    """A chain with the contracts, money and stakes in place, and no job yet."""
    cast = assemble(
        DemoOptions(trainers=2, validators=2, challengers=2, malicious={"validator": 1})
    )
    trusted = _write_jobs(folder)
    async with contextlib.AsyncExitStack() as stack:
        funded = [actor.account for actor in (*cast.actors, cast.treasury)]
        node = await stack.enter_async_context(open_local_chain(funded=funded))
        rpc = await stack.enter_async_context(Rpc(node.rpc_url))
        treasury = load_signer(cast.treasury.key)
        made = await deploy(
            rpc, treasury, cast.treasury.account, PARAMETERS, profile="paper", patience=SENDING
        )
        chain = await stack.enter_async_context(open_chain(made, treasury, patience=SENDING))
        await asyncio.gather(*(chain.transfer(a.account, INITIAL_SUPPLY) for a in cast.actors))
        stakes = {
            Role.VALIDATOR: (cast.validators, PARAMETERS.validator_stake),
            Role.CHALLENGER: (cast.challengers, PARAMETERS.challenger_stake),
        }
        for role, (actors, stake) in stakes.items():
            for actor in actors:
                async with open_chain(made, load_signer(actor.key), patience=SENDING) as own:
                    await own.register(role, stake)
        snapshot = await rpc.ask("evm_snapshot")
        yield Company(folder, cast, chain, rpc, made, trusted, snapshot)


def _write_jobs(folder: Path) -> list[Digest]:
    """The two jobs, the dataset and everybody's data; returns what nodes must trust."""
    files = {
        "training-job/job.toml": TRAINING,
        "training-job/train.py": TRAIN,
        "evaluation-job/job.toml": EVALUATION,
        "evaluation-job/evaluate.py": EVALUATE,
        "dataset/pictures.txt": "what nobody trained on",
        "shares/trainer-1/data.txt": "0.85 1",
        "shares/trainer-2/data.txt": "0.80 2",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    most = 1 << 20
    return [cut_folder(folder / job, drop, most) for job in ("training-job", "evaluation-job")]
