"""Local chains as processes: started, funded, killed, and started again."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest
from tests.adapters.chain_networks import new_account

from scatter.devnet.anvil import anvil_version, find_anvil
from scatter.devnet.faucet import LocalChainFailed, ask
from scatter.devnet.free_port import find_free_port
from scatter.devnet.local import open_local_chain
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_embedded_chain_survives_kill_9_with_its_head(tmp_path: Path) -> None:
    account = Address(new_account().address)
    async with (
        open_local_chain(tmp_path, engine="embedded", funded=[account]) as chain,
        httpx.AsyncClient(base_url=chain.rpc_url) as client,
    ):
        before = await ask(client, "eth_getBlockByNumber", "latest", False)
        os.kill(chain.pid, signal.SIGKILL)
    with (tmp_path / "chain.log").open("ab") as file:
        file.write(b'{"since"')

    async with (
        open_local_chain(tmp_path, funded=[account]) as chain,
        httpx.AsyncClient(base_url=chain.rpc_url) as client,
    ):
        after = await ask(client, "eth_getBlockByNumber", before["number"], False)
        balance = await ask(client, "eth_getBalance", account, "latest")

    assert chain.name == "embedded (py-evm)"
    assert after == before
    assert int(balance, 16) == 10 * 10**18


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(LocalChainFailed, match="did not start"):
            async with open_local_chain(engine="embedded", port=port):
                pass


async def test_a_folder_stays_with_its_engine(tmp_path: Path) -> None:
    (tmp_path / "chain.log").touch()
    with pytest.raises(BadInput, match="holds a chain of the engine embedded"):
        async with open_local_chain(tmp_path, engine="anvil"):
            pass


async def test_anvil_that_is_not_there_is_told() -> None:
    with pytest.raises(BadInput, match="anvil was not found"):
        async with open_local_chain(engine="anvil", environ={"SCATTER_ANVIL": ""}):
            pass


class TestFindAnvil:
    def test_a_script_is_not_the_program(self, tmp_path: Path) -> None:
        wrapper = tmp_path / "anvil"
        wrapper.write_text("#!/usr/bin/env node\n")
        wrapper.chmod(0o755)
        with pytest.raises(BadInput, match="is no program"):
            find_anvil({"SCATTER_ANVIL": str(wrapper)})
        assert find_anvil({"PATH": str(tmp_path)}) is None

    def test_what_is_not_anvil_is_told(self) -> None:
        with pytest.raises(BadInput, match="does not answer like anvil"):
            anvil_version(Path("/bin/echo"))


def test_a_free_port_is_none_that_the_system_gives_to_outgoing_connections() -> None:
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [find_free_port() for _ in range(50)]

    assert max(ports) < first_given
    with socket.create_server(("127.0.0.1", ports[0])), pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", ports[0]))
