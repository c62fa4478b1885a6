"""Processes of a benchmark's own: to serve, or to be measured alone. None outlives its context."""

import multiprocessing
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST_SECONDS = 90.0
"""For a process to say something."""
MOST_ENDING_SECONDS = 10.0

Announce = Callable[[Any], None]

_SPAWN = multiprocessing.get_context("spawn")


class ProcessFailed(Exception):
    """A process of a benchmark ended, or said nothing; what it printed is above."""


@contextmanager
def process_of(
    function: Callable[Concatenate[Announce, P], None], *arguments: P.args, **named: P.kwargs
) -> Iterator[Any]:
    """Runs `function(announce, ...)` apart; yields what it announces, ends it afterwards.

    Raises ProcessFailed.
    """
    here, there = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_begin, args=(function, there, arguments, named), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(MOST_SECONDS):
            raise ProcessFailed(f"{function.__name__} said nothing in {MOST_SECONDS:.0f} s.")
        try:
            announced = here.recv()
        except EOFError:
            raise ProcessFailed(f"{function.__name__} ended early.") from None
        yield announced
    finally:
        process.terminate()
        process.join(MOST_ENDING_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        here.close()


def run_apart(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> tuple[T, int]:
    """What `function` returns in a fresh process, and the most memory it had there (bytes).

    Raises ProcessFailed.
    """
    with process_of(_answer, function, arguments, named) as (result, peak):
        return result, peak


def peak_memory() -> int:
    """The most memory this process ever had resident (bytes).

    From /proc, because what `getrusage` says also counts the parent's memory before the start.
    """
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    if found is None:
        raise ProcessFailed("/proc/self/status does not tell the peak of memory.")
    return int(found[1]) * 1024


def _begin(
    function: Callable[..., None],
    there: Connection,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> None:
    with there:
        function(there.send, *arguments, **named)


def _answer(
    announce: Announce,
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> None:
    result = function(*arguments, **named)
    announce((result, peak_memory()))
