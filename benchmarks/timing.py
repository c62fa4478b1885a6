"""Seconds that something takes, ours and the peer's by turns, so that both meet the same noise."""

import time
from collections.abc import Callable

MOST_SECONDS = 20.0
"""Of one comparison; a slow machine repeats less often, but at least twice."""
LEAST_REPEATS = 2


def take_time(action: Callable[[], object]) -> float:
    """Seconds of one run."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def take_turns(
    *actions: Callable[[], object], repeats: int = 5, tidy_up: Callable[[], object] = int
) -> list[list[float]]:
    """Seconds of each action's runs; the first run of each warms up and does not count.

    `tidy_up` follows each run, and its time does not count.
    """
    for action in actions:
        action()
        tidy_up()
    found: list[list[float]] = [[] for _ in actions]
    began = time.perf_counter()
    for turn in range(repeats):
        if turn >= LEAST_REPEATS and time.perf_counter() - began > MOST_SECONDS:
            break
        for action, seconds in zip(actions, found, strict=True):
            seconds.append(take_time(action))
            tidy_up()
    return found
