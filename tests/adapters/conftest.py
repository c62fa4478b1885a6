"""What several suites of ports need."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.adapters.chain_networks import RealNetwork, open_network
from tests.adapters.peers_stage import keep, opened, until
from tests.adapters.releases import FOLDER

from scatter.adapters.peers import LibP2PPeers


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("anvil", marks=pytest.mark.needs_anvil)],
)
async def real_network(request: pytest.FixtureRequest) -> AsyncIterator[RealNetwork]:
    """The protocol on the embedded chain, then on anvil."""
    async with open_network(request.param) as network:
        assert isinstance(network, RealNetwork)
        yield network


@pytest.fixture
def postgres() -> str:
    """The address of an empty PostgreSQL database of this test's own."""
    name = f"scatter_{uuid.uuid4().hex}"
    engine = create_engine(os.environ["SCATTER_POSTGRES_URL"], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return engine.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def holder(stack: AsyncExitStack) -> LibP2PPeers:
    """A node that hands out keys to everybody."""
    peers = await stack.enter_async_context(opened(1))
    peers.serve_keys(keep)
    return peers


@pytest.fixture
async def asker(stack: AsyncExitStack, holder: LibP2PPeers) -> LibP2PPeers:
    """Another node, which `holder` knows."""
    peers = await stack.enter_async_context(opened(2, bootstrap=holder.addresses))
    await until(peers.records)
    return peers


@pytest.fixture(params=sorted(FOLDER.iterdir()), ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest) -> Path:
    """What each release left on disk."""
    return request.param
