"""How a program is asked to end: SIGINT and SIGTERM set an event, and it ends by itself, with 0."""

import asyncio
import signal
from collections.abc import Sequence


def stop_on_signals(
    signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> asyncio.Event:
    """An event that the next of these signals sets. Call it in the main thread's loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    return stop
