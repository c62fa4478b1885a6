"""The queue port: one suite for memory and DBOS; then what only a database can promise."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest
from tests.adapters.releases import restore

from scatter.adapters.durable_queue import DATABASE_FILE, DurableQueue, MillisecondConnection
from scatter.fakes.queue import FakeQueue
from scatter.mechanism.units import Address, JobId
from scatter.ports.queue import Entry, Queue, QueueUnavailable

pytestmark = pytest.mark.anyio

OWNER = Address("0x" + "11" * 20)
PROGRAM = Path(__file__).with_name("queue_program.py")


def entry(job: int) -> Entry:
    return Entry("trainer", JobId(job))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


Open = Callable[..., AbstractAsyncContextManager[Queue]]


@pytest.fixture(
    params=["fake", "sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same line as often as a test likes; in between, the node is down."""
    if request.param != "fake":
        url = request.getfixturevalue("postgres") if request.param == "postgres" else ""
        return lambda concurrency=1: DurableQueue.open(
            tmp_path, OWNER, concurrency=concurrency, url=url, poll_seconds=0.05
        )
    fake = FakeQueue()

    @asynccontextmanager
    async def reopened(concurrency=1):
        fake.concurrency = concurrency
        yield fake

    return reopened


class Turns:
    """Gives turns that last until they are let go, and remembers them."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.may_end = asyncio.Event()
        self._news = asyncio.Condition()

    async def __call__(self, entry, turn):
        self.begun.append(entry.job)
        await self._tell()
        await self.may_end.wait()
        self.ended.append(entry.job)
        await self._tell()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(condition)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def running(queue: Queue, perform):
    task = asyncio.create_task(queue.run(perform))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def jobs(queue: Queue) -> list[int]:
    return [place.entry.job for place in await queue.line()]


async def test_who_came_first_goes_first_and_the_lower_rank_before(opened):
    turns = Turns()
    turns.may_end.set()
    async with opened() as queue:
        for job, rank in [(5, 0), (3, 7), (4, 7), (1, 2)]:
            await queue.enter(entry(job), rank)
        assert await jobs(queue) == [5, 1, 3, 4]
        async with running(queue, turns):
            await turns.until(lambda: len(turns.ended) == 4)

    assert turns.begun == [5, 1, 3, 4]


async def test_an_entry_stands_in_the_line_once(opened):
    async with opened() as queue:
        for _ in range(3):
            await queue.enter(entry(1))

        assert await jobs(queue) == [1]


async def test_no_more_turns_are_given_at_once_than_allowed(opened):
    turns = Turns()
    async with opened(concurrency=2) as queue:
        for job in (1, 2, 3):
            await queue.enter(entry(job))
        async with running(queue, turns):
            await turns.until(lambda: len(turns.begun) == 2)
            assert [(p.entry.job, p.running) for p in await queue.line()] == [
                (1, True),
                (2, True),
                (3, False),
            ]
            turns.may_end.set()
            await turns.until(lambda: len(turns.ended) == 3)


async def test_an_entry_may_come_back_as_soon_as_its_turn_has_ended(opened):
    turns = Turns()
    turns.may_end.set()
    async with opened() as queue:
        await queue.enter(entry(1))
        async with running(queue, turns):
            await turns.until(lambda: len(turns.ended) == 1)
            await queue.enter(entry(1))
            await turns.until(lambda: len(turns.ended) == 2)


async def test_after_a_restart_the_cancelled_turn_comes_first_and_the_rest_in_order(opened):
    before, after = Turns(), Turns()
    async with opened() as queue:
        for job in (3, 1, 2):
            await queue.enter(entry(job))
        async with running(queue, before):
            await before.until(lambda: before.begun == [3])

    async with opened() as queue:
        assert await jobs(queue) == [3, 1, 2]
        after.may_end.set()
        async with running(queue, after):
            await after.until(lambda: len(after.ended) == 3)

    assert after.begun == [3, 1, 2]


async def test_what_a_turn_did_once_is_not_done_again_after_a_restart(opened):
    done, came_back = [], asyncio.Event()

    async def perform(entry, turn):
        async def work(label):
            done.append(label)
            return f"{label} of job {entry.job}"

        if not done:
            await turn.once("train", lambda: work("train"))
            came_back.set()
            await asyncio.Event().wait()
        # Another version of the duty may ask for other things first.
        assert await turn.once("look", lambda: work("look")) == "look of job 1"
        assert await turn.once("train", lambda: work("train")) == "train of job 1"
        came_back.set()

    for _ in range(2):
        came_back.clear()
        async with opened() as queue:
            await queue.enter(entry(1))
            async with running(queue, perform), asyncio.timeout(20):
                await came_back.wait()

    assert sorted(done) == ["look", "train"]


async def test_a_failure_within_a_turn_is_raised_and_not_remembered(opened):
    tries, over = [], asyncio.Event()

    async def perform(entry, turn):
        async def work():
            tries.append(entry.job)
            if len(tries) == 1:
                raise OSError("disk full")
            return "done"

        with pytest.raises(OSError, match="disk full"):
            await turn.once("train", work)
        assert await turn.once("train", work) == "done"
        over.set()

    async with opened() as queue:
        await queue.enter(entry(1))
        async with running(queue, perform), asyncio.timeout(20):
            await over.wait()


async def test_what_a_turn_raises_ends_the_run_and_the_turn_is_given_again(opened):
    async def perform(entry, turn):
        raise ZeroDivisionError

    turns = Turns()
    turns.may_end.set()
    async with opened() as queue:
        await queue.enter(entry(1))
        with pytest.raises((ZeroDivisionError, ExceptionGroup)):
            async with asyncio.timeout(20):
                await queue.run(perform)

    async with opened() as queue, running(queue, turns):
        await turns.until(lambda: turns.ended == [1])


async def test_turns_that_have_ended_leave_no_rows_behind(tmp_path):
    turns = Turns()
    turns.may_end.set()
    opening = DurableQueue.open(tmp_path, OWNER, concurrency=8, poll_seconds=0.05)
    async with opening as queue, running(queue, turns):
        for job in range(12):
            await queue.enter(entry(job))
        await turns.until(lambda: len(turns.ended) == 12)
        async with asyncio.timeout(20):
            while await queue.line():  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.01)
        await queue.enter(entry(99))

    with sqlite3.connect(tmp_path / DATABASE_FILE) as connection:
        rows = connection.execute("SELECT count(*) FROM workflow_status").fetchone()
    connection.close()
    assert rows == (1,)


async def test_a_file_that_is_no_database_is_refused_with_its_name_and_the_remedy(tmp_path):
    (tmp_path / DATABASE_FILE).write_bytes(b"no database, but long enough to be taken for one" * 99)

    with pytest.raises(QueueUnavailable, match=r"queue\.sqlite cannot be read .* Delete it"):
        async with DurableQueue.open(tmp_path, OWNER):
            pass


# Two programs, one after the other, on one database


def start(folder: Path, version: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder, version],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )


def read_until(process: subprocess.Popen[str], last: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1] == last:
            return lines
    pytest.fail(f"the program ended before {last!r}: {lines}")


def test_a_killed_program_goes_on_within_the_turn_and_repeats_no_finished_step(tmp_path):
    first = start(tmp_path, "stops")
    said = read_until(first, "job 1: stops here")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert first.stdout is not None
    first.stdout.close()

    second = start(tmp_path, "goes on")
    after, _ = second.communicate(timeout=60)

    assert said == ["job 1: trains", "job 1: stops here"]
    assert after.splitlines() == [
        "job 1: trained by stops, publishes",
        *(f"job {n}: {did}" for n in (2, 3) for did in ("trains", "trained by goes on, publishes")),
    ]
    assert second.returncode == 0


def test_a_newer_program_with_other_steps_takes_over_what_an_older_one_left(tmp_path):
    first = start(tmp_path, "stops")
    read_until(first, "job 1: stops here")
    first.send_signal(signal.SIGTERM)
    first.wait()
    assert first.stdout is not None
    first.stdout.close()

    second = start(tmp_path, "newer")
    after, _ = second.communicate(timeout=60)

    assert after.splitlines() == [
        "job 1: inspects",
        "job 1: trained by stops, publishes",
        *(
            f"job {n}: {did}"
            for n in (2, 3)
            for did in ("inspects", "trains", "trained by newer, publishes")
        ),
    ]
    assert second.returncode == 0


def test_a_line_with_an_older_number_keeps_its_order_and_its_steps_begin_anew(tmp_path):
    leave(tmp_path, "stops with 0")

    second = start(tmp_path, "goes on")
    after, _ = second.communicate(timeout=60)

    assert after.splitlines() == [
        f"job {n}: {did}" for n in (1, 2, 3) for did in ("trains", "trained by goes on, publishes")
    ]
    assert second.returncode == 0


def test_a_line_with_a_newer_number_is_refused_with_the_remedy(tmp_path):
    leave(tmp_path, "stops with 2")

    with pytest.raises(QueueUnavailable, match=r"queue\.sqlite was left by a newer program; inst"):
        asyncio.run(open_once(tmp_path))
    leave(tmp_path, "stops with 2")


async def open_once(folder: Path) -> None:
    async with DurableQueue.open(folder, OWNER):
        pass


def leave(folder: Path, version: str) -> None:
    """Runs a program of this version into its first turn, and kills it."""
    program = start(folder, version)
    read_until(program, "job 1: stops here")
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert program.stdout is not None
    program.stdout.close()


def test_what_a_release_left_in_line_goes_on_with_its_finished_steps(tmp_path, release):
    restore(release / "queue.sql", tmp_path / DATABASE_FILE)
    second = start(tmp_path, "goes on")
    after, _ = second.communicate(timeout=60)

    assert after.splitlines() == [
        f"job 1: trained by {release.name}, publishes",
        *(f"job {n}: {did}" for n in (2, 3) for did in ("trains", "trained by goes on, publishes")),
    ]


async def test_asks_an_old_sqlite_for_milliseconds_and_gets_them():
    """From Python 3.12 on DBOS does; SQLite before 3.42 would answer NULL."""
    before = time.time()

    with closing(sqlite3.connect(":memory:", factory=MillisecondConnection)) as connection:
        (answer,) = connection.execute("SELECT unixepoch('subsec')").fetchone()

    assert before - 0.001 <= answer <= time.time()
