"""The tables of a node's memory, and the numbered steps that made them.

The declared tables are what the code uses; the migrations are what databases went through. A test
checks that the sum of the migrations is the tables, and `bring_up_to_date` that a
database is what it claims to be. Never change a migration: add one.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    inspect,
    select,
    text,
)

tables: Final = MetaData()

facts = Table(
    "facts",
    tables,
    Column("name", String(32), primary_key=True),
    Column("value", String(128), nullable=False),
)
"""What the database is: its schema's number, its account."""

records = Table(
    "records",
    tables,
    Column("kind", String(32), primary_key=True),
    Column("job", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", String(128), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""`Store.keep`; the value is sealed."""

cursors = Table(
    "cursors",
    tables,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("block", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
"""One row: the last block whose events were handled."""

works = Table(
    "works",
    tables,
    Column("role", String(32), primary_key=True),
    Column("job", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("note", String(500), nullable=False),
    Column("since", BigInteger, nullable=False),
)
"""The state of each duty, as shown to the operator."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE records (kind VARCHAR(32) NOT NULL, job BIGINT NOT NULL, "
        "subject VARCHAR(128) NOT NULL, sealed {bytes} NOT NULL, PRIMARY KEY (kind, job, subject))",
        "CREATE TABLE cursors (id SMALLINT NOT NULL, block BIGINT NOT NULL, hash {bytes} NOT NULL, "
        "PRIMARY KEY (id))",
        "CREATE TABLE works (role VARCHAR(32) NOT NULL, job BIGINT NOT NULL, "
        "state VARCHAR(16) NOT NULL, note VARCHAR(500) NOT NULL, since BIGINT NOT NULL, "
        "PRIMARY KEY (role, job))",
    ),
)
"""Schema n is reached by the first n entries; `{bytes}` is the dialect's type of byte strings."""

_FACTS: Final = (
    "CREATE TABLE facts (name VARCHAR(32) NOT NULL, value VARCHAR(128) NOT NULL, "
    "PRIMARY KEY (name))"
)
_SCHEMA: Final = "schema"


class WrongSchema(Exception):
    """The database is newer than this program, or not what its number says; the text says which."""


def bring_up_to_date(
    connection: Connection,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
    declared: MetaData = tables,
) -> None:
    """Runs the migrations that the database lacks, in the transaction of `connection`.

    Raises WrongSchema when the database is newer, or does not have the `declared` tables then.
    """
    bytes_type = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    if not inspect(connection).has_table("facts"):
        connection.execute(text(_FACTS))
        write_fact(connection, _SCHEMA, "0")
    reached = int(read_fact(connection, _SCHEMA) or "0")
    newest = len(migrations)
    if reached > newest:
        raise WrongSchema(
            f"its schema is number {reached}, this program knows {newest}; "
            "install the newer program again"
        )
    for statements in migrations[reached:]:
        for statement in statements:
            connection.execute(text(statement.format(bytes=bytes_type)))
    if reached < newest:
        write_fact(connection, _SCHEMA, str(newest))
    if differences := compare(connection, declared):
        raise WrongSchema(f"its tables are not those of schema {newest}: {differences[0]}")


def compare(connection: Connection, declared: MetaData = tables) -> list[str]:
    """Where the database differs from the declared tables; one line each."""
    found = inspect(connection)
    differences = []
    for table in declared.sorted_tables:
        if not found.has_table(table.name):
            differences.append(f"{table.name} is missing")
            continue
        have = {
            one["name"]: (_family(one["type"]), bool(one["nullable"]))
            for one in found.get_columns(table.name)
        }
        want = {one.name: (_family(one.type), bool(one.nullable)) for one in table.columns}
        if have != want:
            differences.append(f"{table.name} has columns {have}, not {want}")
        keys = found.get_pk_constraint(table.name)["constrained_columns"]
        if keys != [one.name for one in table.primary_key.columns]:
            differences.append(f"{table.name} has the key {keys}")
    return differences


def read_fact(connection: Connection, name: str) -> str | None:
    value = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
    return None if value is None else str(value)


def write_fact(connection: Connection, name: str, value: str) -> None:
    connection.execute(facts.delete().where(facts.c.name == name))
    connection.execute(facts.insert().values(name=name, value=value))


def _family(kind: object) -> tuple[str, int | None]:
    """What two dialects agree on: BYTEA and BLOB are both bytes."""
    if isinstance(kind, LargeBinary):
        return "bytes", None
    return type(kind).__name__.upper().replace("STRING", "VARCHAR").replace(
        "BIGINTEGER", "BIGINT"
    ).replace("SMALLINTEGER", "SMALLINT"), getattr(kind, "length", None)
