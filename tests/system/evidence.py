"""What a whole demo left: its report, its chain's events, its books, and who ran where."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from scatter.demo.cast import Cast, DemoOptions
from scatter.demo.phases import Sight
from scatter.demo.play import Demo, open_demo
from scatter.devnet.local import Engine
from scatter.lifecycle.events import Condemned, Event, JobCreated, JobSettled, TrainerJoined
from scatter.lifecycle.job import Job, fold
from scatter.lifecycle.payments import (
    LotteryFed,
    LotteryWon,
    Payment,
    Penalised,
    RewardEscrowed,
    StakeForfeited,
    StakeLocked,
    TaxPaid,
)
from scatter.lifecycle.settlement import Bond, settle
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.equations import divide_reward, lottery_win, penalty
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address, JobId, Tokens


@dataclass
class Silence:
    """An audience that only counts what it is shown, and may act on it."""

    act: Callable[[Sight], None] = lambda sight: None
    steps: list[str] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)

    def begin(self, step: str) -> None:
        self.steps.append(step)

    def see(self, sight: Sight) -> None:
        self.act(sight)
        if sight.phase.name not in self.phases:
            self.phases.append(sight.phase.name)


@dataclass(frozen=True)
class Evidence:
    """A demo that is over, and what its chain said before it ended."""

    folder: Path
    cast: Cast
    report: Mapping[str, Any]
    parameters: Parameters
    histories: Sequence[Sequence[Event]]
    payments: Sequence[Sequence[Payment]]
    supply: int
    balances: Mapping[Address, int]
    """Of everybody and all contracts, asked over JSON-RPC."""
    pids: Sequence[int]
    phases: Sequence[str]

    def entry(self, name: str) -> Mapping[str, Any]:
        """What the report says of one participant."""
        return next(e for e in self.report["accounts"].values() if e["name"] == name)

    def jobs(self) -> list[Job]:
        return [fold(history, self.parameters) for history in self.histories]


def run_whole(
    options: DemoOptions,
    *,
    engine: Engine,
    act: Callable[[Demo, Sight], None] = lambda demo, sight: None,
) -> Evidence:
    """Runs a demo to its end; `act` is called at every look at a job."""

    async def main() -> Evidence:
        demos: list[Demo] = []
        audience = Silence(lambda sight: act(demos[0], sight))
        async with open_demo(options, audience, engine=engine) as demo:
            demos.append(demo)
            await demo.run()
            return await collect(demo, audience)

    return asyncio.run(main())


async def collect(demo: Demo, audience: Silence) -> Evidence:
    stage = demo.stage
    numbers = [JobId(n) for n in range(1, len(stage.cast.rewards) + 1)]
    supply, balances = await asyncio.to_thread(count, demo)
    return Evidence(
        folder=demo.folder,
        cast=stage.cast,
        report=json.loads((demo.folder / "report.json").read_text()),
        parameters=stage.chain.parameters,
        histories=[await stage.chain.history(number) for number in numbers],
        payments=[await stage.chain.payments(number) for number in numbers],
        supply=supply,
        balances=balances,
        pids=[stage.local.pid, *(n.process.pid for n in stage.nodes.values() if n.process)],
        phases=audience.phases,
    )


def count(demo: Demo) -> tuple[int, dict[Address, int]]:
    """The supply, and the balance of everybody that could have a token, by plain JSON-RPC."""
    stage = demo.stage
    token = stage.deployment.contracts["ScatterToken"]
    everybody = [actor.account for actor in (*stage.cast.actors, stage.cast.treasury)]
    with httpx.Client(base_url=stage.local.rpc_url, trust_env=False) as client:

        def ask(data: str) -> int:
            parameters = [{"to": token, "data": data}, "latest"]
            body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": parameters}
            return int(client.post("", json=body).json()["result"], 16)

        return ask("0x18160ddd"), {
            account: ask("0x70a08231" + account[2:].lower().rjust(64, "0"))
            for account in [*everybody, *stage.deployment.contracts.values()]
        }


def recompute(evidence: Evidence) -> list[list[Payment]]:
    """Every payment of every job, by the specification alone, from the chain's events."""
    bonds = {
        v.account: Bond(evidence.parameters.validator_stake, 0) for v in evidence.cast.validators
    }
    bonds |= {
        c.account: Bond(evidence.parameters.challenger_stake, 0) for c in evidence.cast.challengers
    }
    lottery = 0
    expected: list[list[Payment]] = []
    for history in evidence.histories:
        made: list[Payment] = []
        for place, event in enumerate(history):
            job = fold(history[: place + 1], evidence.parameters)
            paid = payments_of(event, job, bonds, lottery)
            for payment in paid:
                lottery += change_of_lottery(payment)
                if isinstance(payment, Penalised):
                    left = Bond(payment.stake_left, payment.offences + 1)
                    bonds[payment.account] = left
            made += paid
        expected.append(made)
    return expected


def payments_of(
    event: Event, job: Job, bonds: Mapping[Address, Bond], lottery: int
) -> Sequence[Payment]:
    number = event.job
    match event:
        case JobCreated():
            parts = divide_reward(event.reward, job.parameters)
            who = event.requester
            escrowed = RewardEscrowed(
                job=number,
                requester=who,
                trainers_part=parts.trainers,
                validators_part=parts.validators,
            )
            return [TaxPaid(job=number, requester=who, amount=parts.tax), escrowed]
        case TrainerJoined():
            return [StakeLocked(job=number, trainer=event.trainer, stake=event.stake)]
        case Condemned():
            return condemnation(event, job, bonds, lottery)
        case JobSettled():
            return settle(job, bonds.__getitem__).payments
        case _:
            return []


def condemnation(
    event: Condemned, job: Job, bonds: Mapping[Address, Bond], lottery: int
) -> Sequence[Payment]:
    number, target, p = event.job, event.target, job.parameters
    fine: StakeForfeited | Penalised
    if target in job.trainers:
        stake = job.trainers[target].stake
        fine = StakeForfeited(job=number, trainer=target, amount=stake)
    else:
        bond = bonds[target]
        taken = penalty(bond.offences, bond.stake, p)
        fine = Penalised(
            job=number,
            account=target,
            role=Role.VALIDATOR if target in job.committee else Role.CHALLENGER,
            amount=taken,
            offences=bond.offences,
            stake_left=Tokens(bond.stake - taken),
        )
    pool = Tokens(lottery + fine.amount)
    win = lottery_win(pool, fine.amount, p)
    return [fine, LotteryWon(job=number, accuser=event.accuser, amount=win, pool=pool)]


def change_of_lottery(payment: Payment) -> int:
    if isinstance(payment, TaxPaid | StakeForfeited | Penalised | LotteryFed):
        return payment.amount
    return -payment.amount if isinstance(payment, LotteryWon) else 0


def payouts(evidence: Evidence) -> list[list[str]]:
    """What each job paid, whatever the order in which its participants came."""
    return [sorted(map(str, paid)) for paid in evidence.payments]


@contextlib.contextmanager
def bare_machine(folder: Path, *programs: str) -> Iterator[None]:
    """No anvil, no Docker, no bubblewrap, no compiler: nothing but Python and these programs."""
    (folder / "empty").mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found is not None, f"{program} is not on PATH"
        (folder / "empty" / program).symlink_to(found)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", str(folder / "empty"))
        environment.setenv("SCATTER_ANVIL", "")
        environment.setenv("DOCKER_HOST", f"unix://{folder}/empty/docker.sock")
        yield


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
