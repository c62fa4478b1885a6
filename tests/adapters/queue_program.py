"""A small program with a line of three jobs: run as `queue_program.py FOLDER VERSION`.

The version `stops` hangs after its first step; `goes on` has the same steps and ends when the line
is empty; `newer` has one more step, before the others. `stops with 0` and `stops with 2` hang too,
and are programs whose line has another number.
"""

import asyncio
import sys
from pathlib import Path

from scatter.adapters import durable_queue
from scatter.adapters.durable_queue import DurableQueue
from scatter.mechanism.units import Address, JobId
from scatter.ports.queue import Entry, Turn

JOBS = 3


async def main(folder: Path, version: str) -> None:
    if version.startswith("stops with "):
        durable_queue.SCHEMA_NUMBER = version.removeprefix("stops with ")
    ended = asyncio.Semaphore(0)

    async def perform(entry: Entry, turn: Turn) -> None:
        def say(what: str) -> None:
            print(f"job {entry.job}: {what}", flush=True)

        async def inspect() -> str:
            say("inspects")
            return ""

        async def train() -> str:
            say("trains")
            return version

        if version == "newer":
            await turn.once("inspect", inspect)
        trained_by = await turn.once("train", train)
        if version.startswith("stops"):
            say("stops here")
            await asyncio.Event().wait()
        say(f"trained by {trained_by}, publishes")
        ended.release()

    async with DurableQueue.open(folder, Address("0x" + "11" * 20), poll_seconds=0.05) as queue:
        if version.startswith("stops"):
            for number in range(1, JOBS + 1):
                await queue.enter(Entry("trainer", JobId(number)))
        running = asyncio.create_task(queue.run(perform))
        for _ in range(JOBS):
            await ended.acquire()
        running.cancel()
        await asyncio.wait({running})


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
