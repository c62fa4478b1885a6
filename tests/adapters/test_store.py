"""The store port: one suite for memory, SQLite and PostgreSQL; then what a database may suffer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, create_engine, text
from tests.adapters.releases import CURSOR, WORK, restore, value_of

from scatter.adapters.store import DATABASE_FILE, SqlStore, StoreInUse, StoreUnavailable
from scatter.adapters.store_tables import MIGRATIONS, bring_up_to_date, compare, tables, works
from scatter.fakes.store import FakeStore
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, BlockNumber, JobId
from scatter.ports.store import Cursor, Kind, Store, StoreDamaged, Work
from scatter.sealing.records import derive_storage_key

pytestmark = pytest.mark.anyio

OWNER = Address("0x" + "11" * 20)
OTHER = Address("0x" + "22" * 20)
KEY = derive_storage_key(b"\x01" * 32)
JOB = JobId(7)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def opened(
    directory: Path, account: Address = OWNER, url: str = ""
) -> AbstractAsyncContextManager[SqlStore]:
    return SqlStore.open(directory, account, KEY, url=url)


@pytest.fixture(
    params=["fake", "sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)]
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "fake":
        yield FakeStore()
        return
    url = request.getfixturevalue("postgres") if request.param == "postgres" else ""
    async with opened(tmp_path, url=url) as store:
        yield store


def read_all(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


class TestEveryStore:
    async def test_recalls_what_was_kept(self, store: Store) -> None:
        await store.keep(Kind.MODEL_KEY, JOB, OTHER, b"k" * 32)

        assert await store.recall(Kind.MODEL_KEY, JOB, OTHER) == b"k" * 32

    async def test_knows_nothing_of_what_was_never_kept(self, store: Store) -> None:
        await store.keep(Kind.MODEL_KEY, JOB, OTHER, b"k" * 32)

        assert await store.recall(Kind.MODEL_KEY, JOB, OWNER) is None
        assert await store.recall(Kind.MODEL, JOB, OTHER) is None
        assert await store.recall(Kind.MODEL_KEY, JobId(8), OTHER) is None

    async def test_a_newer_record_takes_the_place_of_the_older(self, store: Store) -> None:
        for value in (b"old", b"new"):
            await store.keep(Kind.FINDING, JOB, "x", value)

        assert await store.recall(Kind.FINDING, JOB, "x") == b"new"
        assert list(await store.names(Kind.FINDING)) == [(JOB, "x")]

    async def test_names_the_records_of_a_kind_in_order_of_job(self, store: Store) -> None:
        for job, subject in ((9, "b"), (2, "z"), (9, "a")):
            await store.keep(Kind.ORDER, JobId(job), subject, b"")
        await store.keep(Kind.RESULT, JOB, "other", b"")

        assert list(await store.names(Kind.ORDER)) == [(2, "z"), (9, "a"), (9, "b")]

    async def test_the_cursor_is_where_it_was_moved(self, store: Store) -> None:
        assert await store.cursor() is None
        for block in (1, 2):
            await store.move_cursor(Cursor(BlockNumber(block), bytes([block]) * 32))

        assert await store.cursor() == Cursor(BlockNumber(2), b"\x02" * 32)

    async def test_the_newest_work_is_shown_first_and_once(self, store: Store) -> None:
        waiting = Work("trainer", JOB, "waiting", "", 100)
        running = Work("trainer", JOB, "running", "trains", 300)
        done = Work("validator", JobId(6), "done", "", 200)
        for work in (waiting, done, running):
            await store.note_work(work)

        assert list(await store.works()) == [running, done]

    async def test_at_most_a_thousand_works_are_shown(self, store: Store) -> None:
        works = [Work("trainer", JobId(n), "done", "", n) for n in range(1, 1003)]
        await asyncio.gather(*map(store.note_work, works))

        assert list(await store.works()) == works[:1:-1]


class TestADatabase:
    async def test_remembers_across_restarts(self, tmp_path: Path) -> None:
        for expected in (None, b"k"):
            async with opened(tmp_path) as store:
                assert await store.recall(Kind.MODEL_KEY, JOB, OTHER) == expected
                await store.keep(Kind.MODEL_KEY, JOB, OTHER, b"k")

    async def test_holds_no_secret_in_the_clear(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.keep(Kind.MODEL_KEY, JOB, OTHER, b"a secret of a trainer")
            assert b"a secret of" not in read_all(tmp_path)

    async def test_a_record_under_another_name_does_not_open(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.keep(Kind.MODEL_KEY, JOB, OTHER, b"k")
        with sqlite3.connect(tmp_path / DATABASE_FILE) as database:
            database.execute("UPDATE records SET job = 8")
        database.close()

        async with opened(tmp_path) as store:
            with pytest.raises(StoreDamaged, match="Restore it from a backup"):
                await store.recall(Kind.MODEL_KEY, JobId(8), OTHER)

    async def test_of_another_account_is_refused(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        with pytest.raises(StoreDamaged, match=f"belongs to {OWNER}"):
            async with opened(tmp_path, OTHER):
                pass

    async def test_is_used_by_one_process_only(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            with pytest.raises(StoreInUse, match="used by another process"):
                async with opened(tmp_path):
                    pass
        async with opened(tmp_path):
            pass

    @pytest.mark.parametrize("damage", ["all of it", "a page"])
    async def test_that_is_damaged_says_which_file_and_what_to_do(
        self, tmp_path: Path, damage: str
    ) -> None:
        async with opened(tmp_path) as store:
            for number in range(200):
                await store.keep(Kind.ORDER, JobId(number), "x" * 100, b"v" * 100)
        path = tmp_path / DATABASE_FILE
        whole = path.read_bytes()
        at = 0 if damage == "all of it" else 8192
        path.write_bytes(whole[:at] + b"\xa5" * (len(whole) - at))

        with pytest.raises(StoreDamaged, match=f"(?s){DATABASE_FILE}.*backup"):
            async with opened(tmp_path):
                pass

    async def test_of_a_newer_program_is_left_alone(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        with sqlite3.connect(tmp_path / DATABASE_FILE) as database:
            database.execute("UPDATE facts SET value = '99' WHERE name = 'schema'")
        database.close()

        with pytest.raises(StoreDamaged, match="install the newer program"):
            async with opened(tmp_path):
                pass

    async def test_with_a_changed_table_is_refused(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        with sqlite3.connect(tmp_path / DATABASE_FILE) as database:
            database.execute("ALTER TABLE works ADD COLUMN extra TEXT")
        database.close()

        with pytest.raises(StoreDamaged, match="works has columns"):
            async with opened(tmp_path):
                pass

    async def test_writes_reach_the_disk_before_the_call_returns(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            with store._engine.connect() as connection:
                settings = [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous")
                ]

        assert settings == ["wal", 2]

    async def test_that_cannot_be_reached_is_named_without_its_password(
        self, tmp_path: Path
    ) -> None:
        pytest.importorskip("psycopg")
        url = "postgresql+psycopg://node:hidden@127.0.0.1:1/scatter"

        with pytest.raises(StoreUnavailable, match=r"node:\*\*\*@127") as caught:
            async with opened(tmp_path, url=url):
                pass
        assert "hidden" not in str(caught.value)

    async def test_of_an_unknown_make_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="postgresql"):
            async with opened(tmp_path, url="mysql://x/y"):
                pass


class TestTheMigrations:
    def test_add_up_to_the_declared_tables(self) -> None:
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            bring_up_to_date(connection)
            assert compare(connection) == []
        engine.dispose()

    def test_the_comparison_sees_a_missing_column(self) -> None:
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            tables.create_all(connection)
            connection.execute(text("ALTER TABLE records DROP COLUMN sealed"))
            assert "records has columns" in compare(connection)[0]
        engine.dispose()


NEXT = (
    *MIGRATIONS,
    (
        "ALTER TABLE works RENAME COLUMN note TO remark",
        "ALTER TABLE works ADD COLUMN attempts BIGINT DEFAULT 1 NOT NULL",
    ),
)
"""The program after this one: it renames a column, and adds one."""


def next_tables() -> MetaData:
    declared = MetaData()
    for table in tables.sorted_tables:
        columns = [
            Column(
                "remark" if column.name == "note" else column.name,
                column.type,
                primary_key=column.primary_key,
                nullable=column.nullable,
            )
            for column in table.columns
        ]
        if table is works:
            columns.append(Column("attempts", BigInteger, nullable=False))
        Table(table.name, declared, *columns)
    return declared


class TestAnUpgrade:
    async def test_opens_what_every_release_left(self, tmp_path: Path, release: Path) -> None:
        restore(release / "store.sql", tmp_path / DATABASE_FILE)
        written = (release / "store.sql").read_text()
        known = [kind for kind in Kind if f"'{kind.value}'" in written]
        assert len(known) >= 8, "later releases know more"

        async with opened(tmp_path) as store:
            for kind in known:
                assert await store.recall(kind, JobId(1), "own") == value_of(kind)
            assert await store.cursor() == CURSOR
            assert list(await store.works()) == [WORK]

    async def test_to_a_program_with_other_columns_loses_nothing_and_is_not_undone(
        self, tmp_path: Path, release: Path
    ) -> None:
        restore(release / "store.sql", tmp_path / DATABASE_FILE)
        engine = create_engine(f"sqlite:///{tmp_path / DATABASE_FILE}")
        with engine.begin() as connection:
            bring_up_to_date(connection, NEXT, next_tables())
            rows = connection.execute(text("SELECT role, remark, attempts FROM works")).all()
        engine.dispose()

        assert rows == [(WORK.role, WORK.note, 1)]
        with pytest.raises(StoreDamaged, match="install the newer program again"):
            async with opened(tmp_path):
                pass

    async def test_that_fails_half_way_leaves_the_older_database_whole(
        self, tmp_path: Path, release: Path
    ) -> None:
        restore(release / "store.sql", tmp_path / DATABASE_FILE)
        broken = (*NEXT, ("CREATE TABLE works (again BIGINT)",))
        async with opened(tmp_path) as store:
            with pytest.raises(StoreUnavailable, match="already exists"):
                await store._run(lambda connection: bring_up_to_date(connection, broken))

        async with opened(tmp_path) as store:
            assert list(await store.works()) == [WORK]

    def test_from_the_first_schema_to_the_next_program_s_is_the_sum_of_its_steps(self) -> None:
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            bring_up_to_date(connection, NEXT, next_tables())
            assert "works has columns" in compare(connection)[0]
        engine.dispose()
