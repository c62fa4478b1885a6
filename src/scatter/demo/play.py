"""One command, one network, real jobs: what `scatter demo` does from start to end."""

import asyncio
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scatter.adapters.blockstore import cut_folder
from scatter.adapters.sandbox import open_sandbox
from scatter.demo.cast import THRESHOLD, Cast, DemoOptions, assemble
from scatter.demo.gas import add_up_gas
from scatter.demo.phases import Sight, watch
from scatter.demo.report import Accuracy, DemoReport, account_for
from scatter.demo.stage import Stage, clear_folder, set_stage
from scatter.demo.supply import count_supply
from scatter.devnet.local import Engine
from scatter.learning.examples import find_examples
from scatter.learning.job_file import JobKind, read_job
from scatter.learning.scores import Failed, read_scores
from scatter.learning.splits import write_shares
from scatter.lifecycle.job import Job
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.verdict import judge
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.parameters import Parameters, local, profile
from scatter.mechanism.units import UNIT, WHOLE, Address, BlockNumber, Digest, JobId, Tokens
from scatter.ports.chain import Holdings
from scatter.ports.sandbox import Isolation, Limits, Sandbox, Task, bound_limits
from scatter.roles.workplace import MOST_JOB_BYTES
from scatter.unixfs.building import drop

GLOBAL_MODEL = "global.safetensors"
CHALLENGE_SECONDS = 12
VOTE_SECONDS = 6
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


@dataclass(frozen=True)
class Lesson:
    """The federated job: its folders, and everybody's data."""

    training_job: Path
    evaluation_job: Path
    shares: Path

    @property
    def dataset(self) -> Path:
        """What the models are scored on; no trainer has any of it."""
        return self.shares / "eval"

    def trusted(self) -> tuple[Digest, Digest]:
        """The names of the two job folders, which ship with the package."""
        folders = (self.training_job, self.evaluation_job)
        training, evaluation = (cut_folder(folder, drop, MOST_JOB_BYTES) for folder in folders)
        return training, evaluation


def local_parameters(name: str) -> Parameters:
    """A profile with windows of seconds: only the challenge window is ever waited for."""
    return local(
        profile(name),
        join=300,
        dataset=120,
        commit=120,
        reveal=60,
        challenge=CHALLENGE_SECONDS,
        vote=VOTE_SECONDS,
        seed_delay=2,
    )


async def run_demo(
    options: DemoOptions, audience: Audience, *, engine: Engine = "any"
) -> DemoReport:
    """Sets the stage, runs the jobs, leaves the model and `report.json` in `options.out`.

    Raises ScatterError with a sentence when something does not go as it should.
    """
    folder = options.out.absolute()
    clear_folder(folder)
    folder.mkdir(parents=True)
    cast = assemble(options)
    lesson = await asyncio.to_thread(_prepare, folder, options)
    clock = _Clock()
    audience.begin("starting a local chain, seven contracts and the nodes")
    async with set_stage(
        folder,
        cast,
        local_parameters(options.profile),
        options.profile,
        shares=lesson.shares,
        trusted=lesson.trusted(),
        engine=engine,
    ) as stage:
        clock.lap("set-up")
        before = await _holdings(stage)
        first_block = (await stage.chain.head()).number
        jobs: list[Job] = []
        for number in range(options.jobs):
            job, seconds = await _run_job(stage, lesson, cast.rewards[number], audience)
            clock.add(seconds)
            jobs.append(job)
        clock.restart()
        last_block = (await stage.chain.head()).number
        audience.begin("fetching the result and checking the books")
        model = await _fetch_result(stage, jobs[-1], folder)
        payments = await _payments(stage, jobs)
        accuracy = await _measure(folder, lesson, stage.cast, jobs[-1], model)
        supply = await count_supply(stage.rpc, stage.deployment)
        bill = await add_up_gas(
            stage.rpc, stage.deployment, BlockNumber(first_block + 1), last_block
        )
        after = await _holdings(stage)
        sandbox = str((await stage.requester.ask("GET", "/status"))["sandbox"])
        clock.lap("result")
        report = DemoReport(
            options=_shown(options),
            accuracy=accuracy,
            accounts=account_for(cast, before, after, payments),
            gas=bill,
            supply_ok=supply.adds_up,
            supply=supply.as_table(),
            lottery=supply.lottery,
            sandbox=sandbox,
            chain=stage.local.name,
            verdicts=[job.verdict.name.lower().replace("_", " ") for job in jobs],
            seconds=clock.seconds,
        )
    report.write(folder)
    shutil.rmtree(folder / "work", ignore_errors=True)
    return report


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


def _prepare(folder: Path, options: DemoOptions) -> Lesson:
    digits = find_examples() / "digits"
    shares = folder / "shares"
    write_shares(digits / "data" / "digits.npz", shares, options.trainers, seed=options.seed)
    return Lesson(digits / "digits-train", digits / "digits-eval", shares)


async def _run_job(
    stage: Stage, lesson: Lesson, reward: Tokens, audience: Audience
) -> tuple[Job, dict[str, float]]:
    began = time.monotonic()
    proposal = {
        "training_job": str(lesson.training_job),
        "evaluation_job": str(lesson.evaluation_job),
        "dataset": str(lesson.dataset),
        "reward": str(reward // UNIT),
        "threshold": str(THRESHOLD / WHOLE),
        "most_trainers": len(stage.cast.trainers),
        "training_hours": TRAINING_HOURS,
    }
    published = await stage.requester.ask("POST", "/jobs", proposal)
    publishing = time.monotonic() - began
    job, seconds = await watch(stage.chain, JobId(published["job"]), audience.see, stage.check)
    return job, {"publishing": publishing, **seconds}


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
    if result["model"] is None:
        raise DemoFailed(f"No accepted model of job {job.number} could be opened.")
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


async def _measure(
    folder: Path, lesson: Lesson, cast: Cast, job: Job, model: Path | None
) -> Accuracy:
    """Local models by the committee's average, the others by running the evaluation job here."""
    averages = judge(job).averages or ()
    scores = (
        {t.account: averages[t.place] / WHOLE for t in job.models if t.place is not None}
        if averages
        else {}
    )
    honest = [scores[t.account] for t in cast.trainers if not t.malicious and t.account in scores]
    sandbox = open_sandbox(Isolation.NONE).sandbox
    central = await _train_on_everything(folder, lesson, sandbox)
    models = {"centralised": central} | ({"global": model} if model is not None else {})
    found = await _evaluate(folder, lesson, sandbox, models)
    return Accuracy(
        local=scores,
        mean_local=round(sum(honest) / len(honest), 4) if honest else 0.0,
        global_=found.get("global", 0.0),
        centralised=found["centralised"],
    )


async def _train_on_everything(folder: Path, lesson: Lesson, sandbox: Sandbox) -> Path:
    """The same training job on the data of all trainers together: what nobody could really do."""
    data = folder / "work" / "everything"
    await asyncio.to_thread(_pool, lesson.shares, data)
    job = read_job(lesson.training_job, JobKind.TRAIN)
    output = folder / "work" / "centralised"
    task = Task(
        verb="train",
        job=lesson.training_job,
        data=data,
        output=output,
        limits=bound_limits(job.limits, Limits()),
        seed=job.seed,
    )
    outcome = await sandbox.run(task)
    if not outcome.ok:
        raise DemoFailed(f"Training on all data failed: {outcome.reason}")
    return output / "model.safetensors"


def _pool(shares: Path, target: Path) -> None:
    target.mkdir(parents=True)
    parts: list[dict[str, Any]] = []
    for share in sorted(shares.glob("trainer-*")):
        with np.load(share / "digits.npz", allow_pickle=False) as file:
            parts.append({name: file[name] for name in file.files})
    pooled: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    np.savez_compressed(target / "digits.npz", **pooled)


async def _evaluate(
    folder: Path, lesson: Lesson, sandbox: Sandbox, models: Mapping[str, Path]
) -> dict[str, float]:
    job = read_job(lesson.evaluation_job, JobKind.EVALUATE)
    output = folder / "work" / "evaluated"
    task = Task(
        verb="evaluate",
        job=lesson.evaluation_job,
        data=lesson.dataset,
        output=output,
        models=models,
        limits=bound_limits(job.limits, Limits()),
        seed=job.seed,
    )
    outcome = await sandbox.run(task)
    if not outcome.ok:
        raise DemoFailed(f"Evaluating the result failed: {outcome.reason}")
    scores = read_scores(output / "scores.json", list(models))
    return {name: score / WHOLE for name, score in scores.items() if not isinstance(score, Failed)}


def _shown(options: DemoOptions) -> dict[str, object]:
    return {**vars(replace(options)), "out": str(options.out), "malicious": dict(options.malicious)}
