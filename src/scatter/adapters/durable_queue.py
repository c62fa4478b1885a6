"""The line before the sandbox on DBOS: a workflow for each turn, in a database of its own.

A workflow's input is a job's number; its steps are what the turn did `once`. The version that DBOS
compares is a constant, so a newer program takes over what an older one left: it must know the names
of the workflows and of the one step below, which therefore never change.

DBOS is one per process, and so is an open queue. It is launched on the caller's event loop, because
turns use what belongs to that loop; it is never launched before a fork.
"""

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from scatter.mechanism.units import Address, JobId
from scatter.ports.queue import Entry, Perform, Place, Queue, QueueUnavailable

T = TypeVar("T")

DATABASE_FILE: Final = "queue.sqlite"
QUEUE: Final = "sandbox"
SCHEMA_NUMBER: Final = "1"
"""Of what stands in the database. Raise it when a turn's old steps mean nothing to a newer program:
then whoever stands in line keeps the place, and a turn that was cut short begins anew.
"""
STEP: Final = "once"
_MOST_THREADS: Final = 32
_IN_LINE: Final = ["ENQUEUED", "PENDING"]
_OVER: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_ROLES: Final = {
    "train": "trainer",
    "validate": "validator",
    "check": "challenger",
    "buy": "requester",
}
"""The role whose duty a workflow is."""
_WORKFLOWS: Final = {role: name for name, role in _ROLES.items()}


class DurableQueue(Queue):
    """`scatter.ports.queue.Queue`, made real. Open it with `open`."""

    def __init__(self) -> None:
        self._entered: set[Entry] = set()
        self._entering = asyncio.Lock()
        self._turns: set[asyncio.Task[Any]] = set()
        self._performer: asyncio.Future[Perform] = asyncio.Future()
        self._failure: asyncio.Future[None] = asyncio.Future()
        # DBOS's calls block, and it minds being called where a loop runs.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        directory: Path,
        account: Address,
        *,
        concurrency: int = 1,
        url: str = "",
        poll_seconds: float = 1.0,
    ) -> AsyncIterator[Self]:
        """Opens the line kept in `directory`, or in a schema of its own at a PostgreSQL `url`.

        `concurrency` is how many turns are given at once, `poll_seconds` how soon a free place is
        noticed. No other process may have the directory open; the store's lock sees to that.
        Raises QueueUnavailable.
        """
        queue = cls()
        _take_over_the_log()
        address = url or _prepare_file(directory / DATABASE_FILE)
        _open(queue)
        try:
            _launch(_configure(address, account, poll_seconds))
            await queue._blocking(_bring_along, address)
            await queue._blocking(_declare_queue, concurrency, poll_seconds)
            queue._entered = {place.entry for place in await queue.line()}
            yield queue
        finally:
            await queue._close()

    async def enter(self, entry: Entry, rank: int = 0) -> None:
        async with self._entering:
            if entry in self._entered:
                return
            with ExitStack() as undoing:
                undoing.callback(self._entered.discard, entry)
                self._entered.add(entry)
                await self._blocking(_enqueue, entry, rank)
                undoing.pop_all()

    async def line(self) -> Sequence[Place]:
        return await self._blocking(_read_line)

    async def run(self, perform: Perform) -> None:
        self._performer.set_result(perform)
        try:
            await self._failure
        finally:
            self._performer = asyncio.Future()
            self._failure = asyncio.Future()
            await self._cancel_turns()

    async def give_turn(self, entry: Entry) -> None:
        """The body of every workflow; returns when the turn has ended."""
        task = asyncio.current_task()
        assert task is not None, "a workflow is a task"
        self._turns.add(task)
        try:
            perform = await asyncio.shield(self._performer)
            await perform(entry, _DurableTurn())
        except Exception as error:  # noqa: BLE001 - `run` raises it, and the turn stays in the line
            if not self._failure.done():
                self._failure.set_exception(error)
            await asyncio.Future()
        finally:
            self._turns.discard(task)
        # From here on the entry may enter again, although DBOS has yet to note that this turn is
        # over; killed in between, the node gives one turn too many, which does no harm.
        self._entered.discard(entry)

    async def _blocking(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.shield(loop.run_in_executor(self._thread, work, *arguments))
        except SQLAlchemyError as error:
            raise QueueUnavailable(_say_unavailable(error)) from error

    async def _cancel_turns(self) -> None:
        turns = list(self._turns)
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)

    async def _close(self) -> None:
        await self._cancel_turns()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, DBOS.destroy)
        await self._cancel_turns()
        _opened.clear()
        self._thread.shutdown()
        # DBOS has put its own threads under the loop, and they are gone now.
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))


class _DurableTurn:
    """The turn of the workflow that runs."""

    def __init__(self) -> None:
        self._done: dict[str, str] = {}

    async def once(self, label: str, work: Callable[[], Awaitable[str]]) -> str:
        """DBOS gives steps back in the order in which they were recorded, which need not be the
        order of this program; so all that come back are kept, until a new one is done.
        """
        failures: list[Exception] = []

        async def step() -> list[str]:
            try:
                return [label, await work()]
            except Exception as error:  # noqa: BLE001 - raised below; recorded, it would come back
                failures.append(error)
                return []

        while label not in self._done:
            try:
                record = await DBOS.run_step_async({"name": STEP}, step)
            except SQLAlchemyError as error:
                raise QueueUnavailable(_say_unavailable(error)) from error
            if failures:
                raise failures[0]
            if record:
                self._done[record[0]] = record[1]
        return self._done[label]


_opened: list[DurableQueue] = []
"""The one that is open: workflows are known to DBOS by name, so they find it here."""


@DBOS.workflow(name="train", max_recovery_attempts=None)
async def train(job: int) -> None:
    """A trainer's turn."""
    await _opened[0].give_turn(Entry("trainer", JobId(job)))


@DBOS.workflow(name="validate", max_recovery_attempts=None)
async def validate(job: int) -> None:
    """A validator's turn."""
    await _opened[0].give_turn(Entry("validator", JobId(job)))


@DBOS.workflow(name="check", max_recovery_attempts=None)
async def check(job: int) -> None:
    """A challenger's turn."""
    await _opened[0].give_turn(Entry("challenger", JobId(job)))


@DBOS.workflow(name="buy", max_recovery_attempts=None)
async def buy(job: int) -> None:
    """A requester's turn."""
    await _opened[0].give_turn(Entry("requester", JobId(job)))


def _open(queue: DurableQueue) -> None:
    assert not _opened, "one queue is open in a process"
    _opened.append(queue)


class MillisecondConnection(sqlite3.Connection):
    """SQLite with the milliseconds for which DBOS asks it under Python 3.12 and later.

    SQLite before 3.42 knows only whole seconds and answers NULL. Debian 12 has 3.40.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if sqlite3.sqlite_version_info < (3, 42):
            self.create_function("unixepoch", 1, lambda _: time.time_ns() // 1_000_000 / 1_000)


def _configure(address: str, account: Address, poll_seconds: float) -> DBOSConfig:
    own = {"connect_args": {"factory": MillisecondConnection}}
    return {
        "name": "scatter",
        "db_engine_kwargs": own if address.startswith("sqlite:") else None,
        "system_database_url": address,
        "dbos_system_schema": f"queue_{account[2:].lower()}",
        "application_version": SCHEMA_NUMBER,
        "executor_id": account,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
        "max_executor_threads": _MOST_THREADS,
        # Nothing is notified here, but closing waits for this thread.
        "notification_listener_polling_interval_sec": poll_seconds,
    }


def _launch(config: DBOSConfig) -> None:
    """Blocks the loop for some milliseconds; a new database takes a few hundred."""
    try:
        DBOS(config=config)
        DBOS.launch()
    except SQLAlchemyError as error:
        raise QueueUnavailable(_say_unavailable(error)) from error


def _prepare_file(path: Path) -> str:
    """The address of the line's own file: readable by its owner only, one sync for each commit."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").close()
    except sqlite3.Error as error:
        raise QueueUnavailable(
            f"{path} cannot be read ({error}). Delete it: only the order of waiting work is lost."
        ) from error
    return f"sqlite:///{path}"


def _take_over_the_log() -> None:
    """DBOS's warnings go where all others go; without a handler it would add its own."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
    logger.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """A turn that is cancelled at the end is meant to be; why it did not launch is raised."""
    return not str(record.msg).startswith(("Asyncio task cancelled", "DBOS failed to launch"))


def _bring_along(address: str) -> None:
    """Enters anew, in its order, what a program with an older number left.

    Killed in between, it goes on at the next start: whoever stands there already is passed over.
    """
    rows = _rows_in_line()
    present = {_entry_of(row) for row in rows if row.app_version == SCHEMA_NUMBER}
    older = [row for row in rows if row.app_version != SCHEMA_NUMBER]
    known = {str(number) for number in range(int(SCHEMA_NUMBER))}
    if any(row.app_version not in known for row in older):
        raise QueueUnavailable(
            f"the line in {_hide_password(address)} was left by a newer program; install that again"
        )
    for row in older:
        if (entry := _entry_of(row)) not in present:
            _enqueue(entry, row.priority or 0)
    if older:
        DBOS.delete_workflows([row.workflow_id for row in older])


def _declare_queue(concurrency: int, poll_seconds: float) -> None:
    DBOS.register_queue(
        QUEUE,
        worker_concurrency=concurrency,
        polling_interval_sec=poll_seconds,
        on_conflict="always_update",
    )


def _enqueue(entry: Entry, rank: int) -> None:
    """Writes the row, and removes those of turns that have ended: nobody asks for them."""
    name = _WORKFLOWS[entry.role]
    options: EnqueueOptions = {
        "workflow_name": name,
        "queue_name": QUEUE,
        "workflow_id": f"{name}-{entry.job}-{uuid.uuid4().hex}",
        "app_version": SCHEMA_NUMBER,
    }
    if rank:
        options["priority"] = rank
    DBOS.enqueue_workflow_with_options(options, int(entry.job))
    # Who came first is told by milliseconds; so that no two share one.
    time.sleep(0.001)
    over = DBOS.list_workflows(
        queue_name=QUEUE, status=_OVER, limit=1_000, load_input=False, load_output=False
    )
    if over:
        DBOS.delete_workflows([one.workflow_id for one in over])


def _read_line() -> Sequence[Place]:
    return [
        Place(_entry_of(row), row.status == "PENDING", (row.created_at or 0) // 1_000)
        for row in _rows_in_line()
    ]


def _rows_in_line() -> list[WorkflowStatus]:
    rows = DBOS.list_workflows(queue_name=QUEUE, status=_IN_LINE, load_output=False)
    rows.sort(key=lambda row: (row.status != "PENDING", row.priority or 0, row.created_at or 0))
    return [row for row in rows if row.name in _ROLES and row.input is not None]


def _entry_of(row: WorkflowStatus) -> Entry:
    assert row.input is not None, "rows in line have one"
    return Entry(_ROLES[row.name], JobId(int(row.input["args"][0])))


def _say_unavailable(error: SQLAlchemyError) -> str:
    reason = str(error).splitlines()[0]
    return f"the queue's database does not take this now: {reason}"


def _hide_password(address: str) -> str:
    return make_url(address).render_as_string(hide_password=True)
