"""What several suites of ports need."""

import os
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.adapters.releases import FOLDER


@pytest.fixture
def postgres() -> str:
    """The address of an empty PostgreSQL database of this test's own."""
    server = os.environ.get("SCATTER_POSTGRES_URL")
    if not server:
        reason = "SCATTER_POSTGRES_URL names no PostgreSQL server"
        if os.environ.get("SCATTER_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"scatter_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return engine.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=sorted(FOLDER.iterdir()), ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest) -> Path:
    """What each release left on disk."""
    return request.param
