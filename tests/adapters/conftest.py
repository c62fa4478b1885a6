"""What several suites of ports need."""

import os
import uuid
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import create_engine, text
from tests.adapters.chain_networks import RealNetwork, open_network

from scatter.devnet.anvil import find_anvil


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("anvil", marks=pytest.mark.needs_anvil)],
)
async def real_network(request: pytest.FixtureRequest) -> AsyncIterator[RealNetwork]:
    """The protocol on the embedded chain, then on anvil."""
    if request.param == "anvil" and find_anvil() is None:
        if os.environ.get("SCATTER_REQUIRE_ALL"):
            pytest.fail("anvil was not found, and SCATTER_REQUIRE_ALL wants everything tested")
        pytest.skip("anvil was not found: npm install @foundry-rs/anvil, or set SCATTER_ANVIL")
    async with open_network(request.param) as network:
        assert isinstance(network, RealNetwork)
        yield network


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
