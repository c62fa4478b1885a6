"""What several suites of ports need."""

import os
import uuid

import pytest
from sqlalchemy import create_engine, text


@pytest.fixture
def postgres() -> str:
    """The address of an empty PostgreSQL database of this test's own."""
    name = f"scatter_{uuid.uuid4().hex}"
    engine = create_engine(os.environ["SCATTER_POSTGRES_URL"], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return engine.url.set(database=name).render_as_string(hide_password=False)
