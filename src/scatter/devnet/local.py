"""A local chain for a demo, a test or a developer: anvil where it is found, else the embedded one.

Either runs as a process of its own on loopback, makes a block every second and at once when a
transaction arrives, and is ended when the context is left.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import httpx

from scatter.devnet.anvil import anvil_command, anvil_version, find_anvil
from scatter.devnet.faucet import MOST_SECONDS, POLL_SECONDS, LocalChainFailed, ask, fund
from scatter.devnet.free_port import find_free_port
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address

Engine = Literal["any", "anvil", "embedded"]

EMBEDDED = "embedded (py-evm)"
EMBEDDED_LOG = "chain.log"
ANVIL_STATE = "anvil.json"
MOST_ENDING_SECONDS = 10.0
MOST_SHOWN = 500
"""Characters of a failed chain's last words."""


@dataclass(frozen=True)
class LocalChain:
    """A running local chain."""

    rpc_url: str
    name: str
    """As shown to people: `anvil 1.7.1` or `embedded (py-evm)`."""
    pid: int

    async def fund(self, accounts: Sequence[Address]) -> None:
        """Gives gas money to those that lack it, from the account that everybody may use."""
        await fund(self.rpc_url, accounts)


@asynccontextmanager
async def open_local_chain(
    folder: Path | None = None,
    *,
    engine: Engine = "any",
    port: int | None = None,
    funded: Sequence[Address] = (),
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[LocalChain]:
    """Starts a chain, or goes on with the one kept in `folder`; `funded` get gas money.

    Without a folder nothing is kept. A folder stays with the engine that wrote it.
    Raises LocalChainFailed if it does not start, BadInput if the engine asked for is not there.
    """
    binary = _choose(folder, engine, environ)
    port = port if port is not None else find_free_port()
    if folder is not None:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    if binary is not None:
        name = f"anvil {await asyncio.to_thread(anvil_version, binary)}"
        command = anvil_command(binary, port, folder / ANVIL_STATE if folder else None)
    else:
        name = EMBEDDED
        command = [sys.executable, "-m", "scatter.devnet.server", "--until-stdin-ends"]
        command += ["--port", str(port)]
        command += ["--log", str(folder / EMBEDDED_LOG)] if folder else []
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    chain = LocalChain(f"http://127.0.0.1:{port}", name, process.pid)
    try:
        await _wait_until_ready(chain, process)
        await chain.fund(funded)
        yield chain
    finally:
        await _end(process, MOST_ENDING_SECONDS if folder else 0.0)


def read_engine(text: str) -> Engine:
    """`anvil`, `embedded` or `any`; raises BadInput for anything else."""
    if text not in get_args(Engine):
        raise BadInput(f"There is no chain {text!r}; choose from {', '.join(get_args(Engine))}.")
    engine: Engine = text  # type: ignore[assignment]
    return engine


def _choose(folder: Path | None, engine: Engine, environ: Mapping[str, str]) -> Path | None:
    """The anvil binary to start, or None for the embedded chain."""
    if folder is not None and (folder / EMBEDDED_LOG).exists():
        kept: Engine = "embedded"
    elif folder is not None and (folder / ANVIL_STATE).exists():
        kept = "anvil"
    else:
        kept = engine
    if engine not in ("any", kept):
        raise BadInput(f"{folder} holds a chain of the engine {kept}, not {engine}.")
    binary = None if kept == "embedded" else find_anvil(environ)
    if kept == "anvil" and binary is None:
        raise BadInput(
            "anvil was not found. Install it (npm install @foundry-rs/anvil), or set SCATTER_ANVIL "
            "to the binary."
        )
    return binary


async def _wait_until_ready(chain: LocalChain, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(base_url=chain.rpc_url) as client:
        try:
            async with asyncio.timeout(MOST_SECONDS):
                while process.returncode is None:
                    try:
                        await ask(client, "eth_chainId")
                    except httpx.TransportError:
                        await asyncio.sleep(POLL_SECONDS)
                    else:
                        return
        except TimeoutError as error:
            raise LocalChainFailed(
                f"{chain.name} did not answer at {chain.rpc_url} in {MOST_SECONDS:.0f} s"
            ) from error
    assert process.stderr is not None
    said = (await process.stderr.read(1 << 16)).decode(errors="replace").strip()
    raise LocalChainFailed(f"{chain.name} did not start: {said[-MOST_SHOWN:] or 'no reason given'}")


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    """A chain that keeps nothing needs no time to write it down."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(patience):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
