"""A node's memory on SQLite, or PostgreSQL by address; values are sealed with the account's key.

A write has reached the disk when the call returns. One store serves one account and one process: a
lock file in the data directory keeps a second process out, and a database of another account is
refused. The blocking driver runs in threads of the store's own, never on the asyncio loop.
"""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from scatter.adapters.store_tables import (
    WrongSchema,
    bring_up_to_date,
    cursors,
    read_fact,
    records,
    works,
    write_fact,
)
from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.units import Address, BlockNumber, JobId
from scatter.ports.store import Cursor, Kind, StoreDamaged, Work
from scatter.sealing.files import SealBroken
from scatter.sealing.records import StorageKey, open_record, seal_record

T = TypeVar("T")

DATABASE_FILE: Final = "scatter.sqlite"
LOCK_FILE: Final = "scatter.lock"
MOST_THREADS: Final = 4
BUSY_SECONDS: Final = 10
MOST_WORKS: Final = 1_000
MOST_NOTE: Final = 500


class StoreInUse(ScatterError):
    """Another process uses this data directory. Stop it, or choose another directory."""


class StoreUnavailable(ScatterError):
    """The database does not take this now: it cannot be reached, is locked, or its disk is full."""


class SqlStore:
    """`scatter.ports.store.Store`, made real. Open it with `open`."""

    def __init__(self, engine: Engine, account: Address, key: StorageKey, name: str) -> None:
        self._engine = engine
        self._account = account
        self._key = key
        self._name = name
        # SQLite has one writer at a time anyway; one thread spares it the waiting.
        threads = 1 if engine.dialect.name == "sqlite" else MOST_THREADS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, directory: Path, account: Address, key: StorageKey, *, url: str = ""
    ) -> AsyncIterator[Self]:
        """Opens the store in `directory`, or the database at `url` (`postgresql+psycopg://...`).

        `directory` is made when it is missing, and holds the lock in both cases. Raises BadInput
        (address), StoreInUse, StoreUnavailable, StoreDamaged.
        """
        with _locked(directory):
            engine, name = _make_engine(directory, url)
            store = cls(engine, account, key, name)
            try:
                await store._run(store._prepare)
                yield store
            finally:
                store._threads.shutdown()
                engine.dispose()

    async def keep(self, kind: Kind, job: JobId, subject: Address | str, value: bytes) -> None:
        sealed = seal_record(self._key, _name_record(kind, job, subject), value)
        row = {"kind": kind.value, "job": job, "subject": subject, "sealed": sealed}
        await self._run(lambda connection: _write(connection, records, row))

    async def recall(self, kind: Kind, job: JobId, subject: Address | str) -> bytes | None:
        query = select(records.c.sealed).where(
            records.c.kind == kind.value, records.c.job == job, records.c.subject == subject
        )
        sealed = await self._run(lambda connection: connection.execute(query).scalar())
        if sealed is None:
            return None
        try:
            return open_record(self._key, _name_record(kind, job, subject), sealed)
        except SealBroken as error:
            raise StoreDamaged(f"{self._name}: {error} Restore it from a backup.") from error

    async def names(self, kind: Kind) -> Sequence[tuple[JobId, str]]:
        query = (
            select(records.c.job, records.c.subject)
            .where(records.c.kind == kind.value)
            .order_by(records.c.job, records.c.subject)
        )
        rows = await self._run(lambda connection: connection.execute(query).all())
        return [(JobId(job), subject) for job, subject in rows]

    async def cursor(self) -> Cursor | None:
        query = select(cursors.c.block, cursors.c.hash)
        row = await self._run(lambda connection: connection.execute(query).first())
        return None if row is None else Cursor(BlockNumber(row.block), bytes(row.hash))

    async def move_cursor(self, cursor: Cursor) -> None:
        row = {"id": 1, "block": cursor.block, "hash": cursor.hash}
        await self._run(lambda connection: _write(connection, cursors, row))

    async def note_work(self, work: Work) -> None:
        row = {**vars(work), "note": work.note[:MOST_NOTE]}
        await self._run(lambda connection: _write(connection, works, row))

    async def works(self) -> Sequence[Work]:
        query = (
            select(works)
            .order_by(works.c.since.desc(), works.c.job.desc(), works.c.role)
            .limit(MOST_WORKS)
        )
        rows = await self._run(lambda connection: connection.execute(query).all())
        return [Work(row.role, JobId(row.job), row.state, row.note, row.since) for row in rows]

    def _prepare(self, connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
            if found != "ok":
                raise StoreDamaged(self._say_damaged(str(found)))
        try:
            bring_up_to_date(connection)
        except WrongSchema as error:
            raise StoreDamaged(f"{self._name}: {error}.") from error
        owner = read_fact(connection, "account")
        if owner is None:
            write_fact(connection, "account", self._account)
        elif owner != self._account:
            raise StoreDamaged(
                f"{self._name} belongs to {owner}, not to {self._account}. "
                "Choose another data directory or database, one for each account."
            )

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """One transaction, in a thread; committed when this returns, also if the caller leaves."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads, self._transact, work))

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0]
            if isinstance(error, OperationalError) and "malformed" not in reason:
                raise StoreUnavailable(f"{self._name}: {reason}") from error
            raise StoreDamaged(self._say_damaged(reason)) from error

    def _say_damaged(self, reason: str) -> str:
        return (
            f"{self._name} cannot be read ({reason}). Restore it from a backup, or move it away: "
            "the node rebuilds its view from the chain, but keys and salts in it are lost."
        )


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Holds the directory; the system lets go of it when the process ends, however it ends."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreInUse(
                f"{directory} is used by another process. Stop it, or choose another directory."
            ) from error
        yield


def _make_engine(directory: Path, url: str) -> tuple[Engine, str]:
    if not url:
        path = directory / DATABASE_FILE
        path.touch(mode=0o600)
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine, f"database {path}"
    try:
        address = make_url(url)
        if address.get_backend_name() != "postgresql":
            raise BadInput("database address: must begin with postgresql+psycopg://")
        engine = create_engine(address, pool_size=MOST_THREADS, pool_pre_ping=True)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise BadInput(f"database address: {error}. Is scatter[postgres] installed?") from error
    return engine, f"database {address.render_as_string(hide_password=True)}"


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """A commit survives a power cut; transactions are begun by us, so that a migration is one."""
    connection.isolation_level = None
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _write(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Inserts a row, over the older one with the same key."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(row)
    keys = [column.name for column in table.primary_key.columns]
    changed = {name: statement.excluded[name] for name in row if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def _name_record(kind: Kind, job: JobId, subject: Address | str) -> str:
    return f"{kind.value}/{job}/{subject}"
