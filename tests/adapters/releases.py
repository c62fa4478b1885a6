"""What each release left on an operator's disk, as SQL text in `releases/`; later ones open it.

`python -m tests.adapters.releases 0.2.0` writes it down when that version is released.
"""

import asyncio
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from scatter.adapters.durable_queue import DATABASE_FILE as QUEUE_FILE
from scatter.adapters.durable_queue import DurableQueue
from scatter.adapters.store import DATABASE_FILE, SqlStore
from scatter.mechanism.units import Address, BlockNumber, JobId
from scatter.ports.queue import Entry
from scatter.ports.store import Cursor, Kind, Work
from scatter.sealing.records import derive_storage_key

FOLDER = Path(__file__).with_name("releases")
OWNER = Address("0x" + "11" * 20)
KEY = derive_storage_key(b"\x01" * 32)
JOBS = (1, 2, 3)
CURSOR = Cursor(BlockNumber(7), b"h" * 32)
WORK = Work("trainer", JobId(1), "failed", "the disk was full", 100)


def restore(text: Path, database: Path) -> None:
    """Makes the database again."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(text.read_text())


def value_of(kind: Kind) -> bytes:
    """What the release kept under this kind, for job 1."""
    return f"a {kind.value}".encode()


async def leave_store(folder: Path) -> None:
    async with SqlStore.open(folder, OWNER, KEY) as store:
        for kind in Kind:
            await store.keep(kind, JobId(1), "own", value_of(kind))
        await store.move_cursor(CURSOR)
        await store.note_work(WORK)


async def leave_queue(folder: Path, version: str) -> None:
    """Three jobs in line; the first one's turn is cut short after it has trained."""
    trained = asyncio.Event()

    async def perform(entry, turn):
        async def train():
            return version

        await turn.once("train", train)
        trained.set()
        await asyncio.Event().wait()

    async with DurableQueue.open(folder, OWNER, poll_seconds=0.05) as queue:
        for job in JOBS:
            await queue.enter(Entry("trainer", JobId(job)))
        running = asyncio.create_task(queue.run(perform))
        await trained.wait()
        running.cancel()
        await asyncio.wait({running})


def write_down(version: str) -> None:
    """Writes the two databases of this very program as text."""
    target = FOLDER / version
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(leave_store(folder))
        asyncio.run(leave_queue(folder, version))
        for file, text in ((DATABASE_FILE, "store.sql"), (QUEUE_FILE, "queue.sql")):
            with closing(sqlite3.connect(folder / file)) as connection:
                (target / text).write_text("\n".join(connection.iterdump()) + "\n")


if __name__ == "__main__":
    write_down(sys.argv[1])
