"""Several processes of our own that share the work, and end with the one that started them."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from scatter.mechanism.errors import ScatterError

CONTEXT = get_context("spawn")
"""Started anew, not forked: the process that starts them has a thread that draws the progress."""

LOOK_SECONDS = 0.1
"""Between two looks at what the processes report."""

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[int], None]
"""Told how much of a task is done."""
Tell = Callable[[str, int], None]
"""Told the same with the task's name."""


class WorkerLost(ScatterError):
    """A process of the simulation was ended from outside. Is there memory enough? Start anew."""


@contextmanager
def open_pool(
    workers: int, prepare: Callable[..., object] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes call `prepare` first. Raises WorkerLost if one of them dies."""
    try:
        with ProcessPoolExecutor(workers, CONTEXT, _begin, (prepare, arguments)) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise WorkerLost from error


def _begin(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole group: the first process says so, the others just end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if prepare is not None:
        prepare(*arguments)


def share_out(
    work: Callable[[T, Progress], R], tasks: Sequence[tuple[str, T]], tell: Tell
) -> list[R]:
    """What `work` makes of every task, in the order of the tasks, on as many cores as there are.

    A task has a name; `tell` gets it with what `work` says of its progress.
    """
    workers = min(len(tasks), os.cpu_count() or 1)
    if workers == 1:
        return [work(task, partial(tell, name)) for name, task in tasks]
    news: SimpleQueue[tuple[str, int]] = CONTEXT.SimpleQueue()
    with open_pool(workers, _report_to, news) as pool:
        futures = [pool.submit(_work_aside, work, name, task) for name, task in tasks]
        left = set(futures)
        while left:
            done, left = wait(left, LOOK_SECONDS, FIRST_COMPLETED)
            while not news.empty():
                tell(*news.get())
            for future in done:
                future.result()
    return [future.result() for future in futures]


_news: list["SimpleQueue[tuple[str, int]]"] = []
"""Where a worker process reports; filled once, when it starts."""


def _report_to(news: "SimpleQueue[tuple[str, int]]") -> None:
    _news.append(news)


def _work_aside(work: Callable[[T, Progress], R], name: str, task: T) -> R:
    return work(task, lambda done: _news[0].put((name, done)))
