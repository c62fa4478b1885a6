"""How a program is asked to end: SIGINT and SIGTERM set an event, and it ends by itself, with 0."""

import asyncio
import signal


def stop_on_signals() -> asyncio.Event:
    """An event that the next SIGINT or SIGTERM sets. Call it in the main thread's loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
