"""Plays scenarios, several at once: each on a chain of its own, in a process of its own."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from scatter.economy.outcome import Progress, Run, simulate
from scatter.economy.play import names_of
from scatter.economy.rules import Rules, Specification
from scatter.economy.scenario import Scenario
from scatter.lifecycle.deployment import Block
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import BlockNumber, Timestamp
from scatter.simulation.figures import UNNUMBERED, FigureNames, draw_figures
from scatter.simulation.processes import CONTEXT, open_pool
from scatter.simulation.records import write_records

START = Block(BlockNumber(0), Timestamp(1_800_000_000))
LOOK_SECONDS = 0.1
"""Between two looks at what the processes report."""


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


Tell = Callable[[str, int], None]
"""Told a scenario's name and how many of its jobs are over."""


def play_all(tasks: Sequence[Task], tell: Tell) -> list[Run]:
    """Every task's run, in the order of the tasks, on as many cores as there are."""
    workers = min(len(tasks), os.cpu_count() or 1)
    if workers == 1:
        return [play(task, partial(tell, task.scenario.name)) for task in tasks]
    news: SimpleQueue[tuple[str, int]] = CONTEXT.SimpleQueue()
    with open_pool(workers, _report_to, news) as pool:
        futures = [pool.submit(_play_aside, task) for task in tasks]
        left = set(futures)
        while left:
            done, left = wait(left, LOOK_SECONDS, FIRST_COMPLETED)
            while not news.empty():
                tell(*news.get())
            for future in done:
                future.result()
    return [future.result() for future in futures]


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
    if task.ground is Ground.SPECIFICATION:
        return Specification(parameters, first_block=START)
    from scatter.simulation.on_chain import OnChain

    names = [name for role in names_of(task.scenario).values() for name in role]
    return OnChain(parameters, names)


_news: list["SimpleQueue[tuple[str, int]]"] = []
"""Where a worker process reports; filled once, when it starts."""


def _report_to(news: "SimpleQueue[tuple[str, int]]") -> None:
    _news.append(news)


def _play_aside(task: Task) -> Run:
    return play(task, lambda job: _news[0].put((task.scenario.name, job)))
