"""Several processes of our own that share the work, and end with the one that started them."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from scatter.mechanism.errors import ScatterError

CONTEXT = get_context("spawn")
"""Started anew, not forked: the process that starts them has a thread that draws the progress."""


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
