"""Plays scenarios, several at once: each on a chain of its own, in a process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scatter.economy.outcome import Progress, Run, simulate
from scatter.economy.play import names_of
from scatter.economy.rules import Rules, Specification
from scatter.economy.scenario import Scenario
from scatter.lifecycle.deployment import Block
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import BlockNumber, Timestamp
from scatter.simulation.figures import UNNUMBERED, FigureNames, draw_figures
from scatter.simulation.processes import Tell, share_out
from scatter.simulation.records import write_records

START = Block(BlockNumber(0), Timestamp(1_800_000_000))


class Ground(StrEnum):
    """What a simulation is played on."""

    CONTRACTS = "contracts"
    SPECIFICATION = "specification"


def read_ground(word: str) -> Ground:
    """Raises BadInput for anything else."""
    if word not in list(Ground):
        raise BadInput(f'--on is {word!r}; it must be "contracts" or "specification".')
    return Ground(word)


@dataclass(frozen=True)
class Task:
    """One scenario to play, and where its files go; nowhere without a folder."""

    scenario: Scenario
    ground: Ground
    folder: Path | None = None
    figures: FigureNames = UNNUMBERED


def play_all(tasks: Sequence[Task], tell: Tell) -> list[Run]:
    """Every task's run, in the order of the tasks; `tell` gets how many jobs of it are over."""
    return share_out(play, [(task.scenario.name, task) for task in tasks], tell)


def play(task: Task, progress: Progress) -> Run:
    """Plays one scenario and writes its files."""
    run = simulate(task.scenario, prepare_ground(task), progress)
    if task.folder is not None:
        task.folder.mkdir(parents=True, exist_ok=True)
        write_records(task.folder, run)
        draw_figures(task.folder, run, task.figures)
    return run


def prepare_ground(task: Task) -> Rules:
    """A deployment of the scenario's parameters, with nothing on it yet."""
    parameters = task.scenario.parameters
    names = [name for role in names_of(task.scenario).values() for name in role]
    return deploy_on(task.ground, parameters, names)


def deploy_on(ground: Ground, parameters: Parameters, names: Sequence[str]) -> Rules:
    """A fresh deployment, on which these make calls."""
    if ground is Ground.SPECIFICATION:
        return Specification(parameters, first_block=START)
    from scatter.simulation.on_chain import OnChain

    return OnChain(parameters, names)
