"""One command, one network, real jobs: what `scatter demo` does from start to end."""

import asyncio
import math
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scatter.adapters.sandbox import open_sandbox
from scatter.demo.cast import THRESHOLD, DemoOptions, assemble
from scatter.demo.folder import GLOBAL_MODEL, claim_folder
from scatter.demo.gas import add_up_gas
from scatter.demo.phases import Sight, watch
from scatter.demo.report import Accuracy, DemoReport, account_for
from scatter.demo.stage import Stage, set_stage
from scatter.demo.supply import count_supply
from scatter.demo.yardstick import Lesson, Yardstick, evaluate, make_yardstick
from scatter.devnet.local import Engine
from scatter.learning.examples import find_examples
from scatter.learning.splits import write_shares
from scatter.lifecycle.job import Job
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.verdict import judge
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.parameters import Parameters, local, profile
from scatter.mechanism.units import UNIT, WHOLE, Address, BlockNumber, JobId, Tokens
from scatter.ports.chain import Holdings
from scatter.ports.sandbox import Isolation, Sandbox

LEAST_CHALLENGE_SECONDS = 12
MOST_CHALLENGE_SECONDS = 300
TRAINING_HOURS = 0.5
_RESULT_SECONDS = 90.0


class Audience(Protocol):
    """Whoever is shown how a demo goes on."""

    def begin(self, step: str) -> None:
        """A step of the set-up, or after the jobs, begins."""
        ...

    def see(self, sight: Sight) -> None:
        """A job as it stands now."""
        ...


class DemoFailed(ScatterError):
    """A job of the demo did not end as it should; the message says where to look."""


async def run_demo(
    options: DemoOptions, audience: Audience, *, engine: Engine = "any"
) -> DemoReport:
    """Sets the stage, runs the jobs, leaves the model and `report.json` in `options.out`.

    Raises ScatterError with a sentence when something does not go as it should.
    """
    async with open_demo(options, audience, engine=engine) as demo:
        return await demo.run()


@asynccontextmanager
async def open_demo(
    options: DemoOptions, audience: Audience, *, engine: Engine = "any"
) -> AsyncIterator["Demo"]:
    """A demo with its network running; all processes end when the context is left.

    Raises ScatterError with a sentence when the network cannot be set up.
    """
    folder = options.out.absolute()
    known = profile(options.profile)
    cast = assemble(options)
    clock = _Clock()
    with claim_folder(folder):
        choice = await asyncio.to_thread(
            open_sandbox, Isolation.NONE, None, folder / "work" / "sandbox"
        )
        sandbox = choice.sandbox
        audience.begin("training on all data at one place, to compare")
        lesson = await asyncio.to_thread(_prepare, folder, options)
        yardstick = await make_yardstick(lesson, sandbox, folder / "work")
        clock.lap("yardstick")
        audience.begin(f"a local chain, seven contracts, {len(cast.actors)} nodes")
        challenge = challenge_seconds(yardstick.seconds, options.challengers, os.cpu_count() or 1)
        async with set_stage(
            folder,
            cast,
            local_parameters(known, challenge),
            options.profile,
            shares=lesson.shares,
            trusted=lesson.trusted(),
            engine=engine,
        ) as stage:
            clock.lap("set-up")
            yield Demo(options, folder, lesson, yardstick, stage, audience, sandbox, clock)
        await asyncio.to_thread(shutil.rmtree, folder / "work")


def local_parameters(known: Parameters, challenge: int = LEAST_CHALLENGE_SECONDS) -> Parameters:
    """A profile with windows of seconds: only the challenge window is ever waited for."""
    return local(
        known,
        join=300,
        dataset=max(120, 4 * challenge),
        commit=max(120, 4 * challenge),
        reveal=max(60, 2 * challenge),
        challenge=challenge,
        vote=challenge // 2,
        seed_delay=2,
    )


def challenge_seconds(evaluation: float, challengers: int, cores: int) -> int:
    """A challenge window in which every challenger can do its part on this machine.

    `evaluation` is how long one run of the evaluation job takes here (s). All challengers evaluate
    at once, and the rest of the network goes on beside them.
    """
    together = evaluation * max(1.0, challengers / cores)
    return min(max(math.ceil(4 + 10 * together), LEAST_CHALLENGE_SECONDS), MOST_CHALLENGE_SECONDS)


class _Clock:
    """Seconds by step, in the order in which the steps came."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def restart(self) -> None:
        self._last = time.monotonic()

    def lap(self, step: str) -> None:
        self.add({step: time.monotonic() - self._last})
        self.restart()

    def add(self, seconds: Mapping[str, float]) -> None:
        for step, spent in seconds.items():
            self.seconds[step] = round(self.seconds.get(step, 0.0) + spent, 2)


@dataclass(frozen=True)
class Demo:
    """A network that is ready for its jobs; made by `open_demo`."""

    options: DemoOptions
    folder: Path
    lesson: Lesson
    yardstick: Yardstick
    stage: Stage
    audience: Audience
    sandbox: Sandbox
    """For what the demo itself measures; each node has its own."""
    clock: _Clock = field(repr=False)

    async def run(self) -> DemoReport:
        """Runs all jobs one after the other, writes and returns the report. Call it once."""
        stage = self.stage
        before = await _holdings(stage)
        first_block = (await stage.chain.head()).number
        self.clock.restart()
        jobs = [await self._run_job(reward) for reward in stage.cast.rewards]
        last_block = (await stage.chain.head()).number
        self.audience.begin("the result, and the books")
        model = await _fetch_result(stage, jobs[-1], self.folder)
        accuracy = await self._measure(jobs[-1], model)
        payments = await _payments(stage, jobs)
        supply = await count_supply(stage.rpc, stage.deployment)
        bill = await add_up_gas(
            stage.rpc, stage.deployment, BlockNumber(first_block + 1), last_block
        )
        after = await _holdings(stage)
        status = await stage.requester.ask("GET", "/status")
        self.clock.lap("result")
        report = DemoReport(
            options=_shown(self.options),
            accuracy=accuracy,
            accounts=account_for(stage.cast, before, after, payments),
            gas=bill,
            supply_ok=supply.adds_up,
            supply=supply.as_table(),
            lottery=supply.lottery,
            sandbox=str(status["sandbox"]),
            chain=stage.local.name,
            verdicts=[job.verdict.name.lower().replace("_", " ") for job in jobs],
            seconds=self.clock.seconds,
        )
        report.write(self.folder)
        return report

    async def _run_job(self, reward: Tokens) -> Job:
        proposal = {
            "training_job": str(self.lesson.training_job),
            "evaluation_job": str(self.lesson.evaluation_job),
            "dataset": str(self.lesson.dataset),
            "reward": str(reward // UNIT),
            "threshold": str(THRESHOLD / WHOLE),
            "most_trainers": len(self.stage.cast.trainers),
            "training_hours": TRAINING_HOURS,
        }
        published = await self.stage.requester.ask("POST", "/jobs", proposal)
        self.clock.lap("publishing")
        number = JobId(published["job"])
        job, seconds = await watch(self.stage.chain, number, self.audience.see, self.stage.check)
        self.clock.add(seconds)
        self.clock.restart()
        return job

    async def _measure(self, job: Job, model: Path | None) -> Accuracy:
        """Local models by the committee's average, the others by running the evaluation job."""
        averages = judge(job).averages or ()
        scores = {
            trainer.account: score / WHOLE
            for trainer, score in zip(job.models, averages, strict=False)
        }
        honest = [
            scores[actor.account]
            for actor in self.stage.cast.trainers
            if not actor.malicious and actor.account in scores
        ]
        found = 0.0
        if model is not None:
            found = await evaluate(self.lesson, self.sandbox, model, self.folder / "work")
        return Accuracy(
            local=scores,
            mean_local=round(sum(honest) / len(honest), 4) if honest else 0.0,
            global_=found,
            centralised=self.yardstick.accuracy,
        )


def _prepare(folder: Path, options: DemoOptions) -> Lesson:
    digits = find_examples() / "digits"
    shares = folder / "shares"
    write_shares(digits / "data" / "digits.npz", shares, options.trainers, seed=options.seed)
    return Lesson(digits / "digits-train", digits / "digits-eval", shares)


async def _fetch_result(stage: Stage, job: Job, folder: Path) -> Path | None:
    """The aggregate of the last job, copied to the demo's folder; None if nothing was accepted."""
    if job.verdict is not Verdict.NORMAL:
        return None
    try:
        async with asyncio.timeout(_RESULT_SECONDS):
            while (result := await stage.requester.ask_if_there(_path(job))) is None:
                stage.check()
                await asyncio.sleep(0.25)
    except TimeoutError:
        raise DemoFailed(
            f"The requester did not aggregate job {job.number} in time; see {stage.requester.log}."
        ) from None
    problems = [share["problem"] for share in result["shares"] if share["problem"]]
    if problems:
        raise DemoFailed(
            f"{len(problems)} accepted models of job {job.number} could not be had: {problems[0]}; "
            f"see {stage.requester.log}."
        )
    target = folder / GLOBAL_MODEL
    await asyncio.to_thread(shutil.copyfile, result["model"], target)
    return target


def _path(job: Job) -> str:
    return f"/jobs/{job.number}/result"


async def _payments(stage: Stage, jobs: Sequence[Job]) -> list[Payment]:
    found: list[Payment] = []
    for job in jobs:
        found += await stage.chain.payments(job.number)
    return found


async def _holdings(stage: Stage) -> dict[Address, Holdings]:
    accounts = [actor.account for actor in stage.cast.actors]
    held = await asyncio.gather(*(stage.chain.holdings(account) for account in accounts))
    return dict(zip(accounts, held, strict=True))


def _shown(options: DemoOptions) -> dict[str, object]:
    return {**vars(options), "out": str(options.out), "malicious": dict(options.malicious)}
