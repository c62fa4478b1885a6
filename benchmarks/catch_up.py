"""How fast a node that was away reads what it missed: events a second, from the first block on.

The follower itself with its cursor in a real store, beside the bare eth_getLogs of all its blocks
in one request. Anvil where it is found, else the embedded chain.
"""

import asyncio
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from eth_utils.crypto import keccak

from benchmarks.figures import Row, at_least, rates
from benchmarks.running import run_alone
from scatter.adapters.contracts import PROTOCOL
from scatter.adapters.deployment import Deployment, deploy
from scatter.adapters.evm import EvmChain
from scatter.adapters.rpc import Rpc
from scatter.adapters.store import SqlStore
from scatter.adapters.transactions import Patience, Sender, load_signer
from scatter.demo.gas_script import PARAMETERS
from scatter.devnet.local import open_local_chain
from scatter.lifecycle.commitments import commit_to_dataset
from scatter.mechanism.units import UNIT, Address, Digest, JobId, Score, Seconds, Tokens
from scatter.node.follower import follow
from scatter.ports.chain import Head, JobOrder
from scatter.sealing.records import derive_storage_key

REQUESTERS = 8
MOST_FILLING_SECONDS = 15.0
JOBS_EACH = 60
REPEATS = 5
SALT = keccak(text="a salt for measuring")
ORDER = JobOrder(
    training_job=Digest(keccak(text="a training job")),
    evaluation_job=Digest(keccak(text="an evaluation job")),
    dataset_commitment=commit_to_dataset(Digest(keccak(text="a dataset")), SALT),
    topic="handwritten-digits",
    reward=Tokens(10 * UNIT),
    threshold=Score(4_000),
    floor=Score(4_000),
    most_trainers=6,
    least_stake=Tokens(UNIT),
    training_time=Seconds(600),
)


def measure(folder: Path) -> list[Row]:
    return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> list[Row]:
    keys = [keccak(text=f"catch-up {number}") for number in range(REQUESTERS + 1)]
    signers = [load_signer(key) for key in keys]
    patience = Patience(poll=0.02)
    async with (
        open_local_chain(funded=[Address(signer.address) for signer in signers]) as local,
        Rpc(local.rpc_url) as rpc,
    ):
        treasury, *_ = signers
        deployment = await deploy(
            rpc, treasury, Address(treasury.address), PARAMETERS, patience=patience
        )
        accounts = [
            EvmChain(rpc, deployment, Sender(rpc, signer, deployment.chain_id, patience))
            for signer in signers
        ]
        await _fill(*accounts)
        ours: list[float] = []
        bare: list[float] = []
        for turn in range(REPEATS + 1):
            ours.append(await _catch_up(folder / f"store {turn}", accounts[0], keys[0]))
            seconds, events = await _ask_bare(local.rpc_url, deployment)
            bare.append(seconds)
    what = f"catch-up, {events} events, {local.name}"
    return [
        Row(
            what,
            "events/s",
            rates(events, ours[1:]),
            "bare eth_getLogs",
            rates(events, bare[1:]),
            at_least(2_000),
        )
    ]


async def _fill(treasury: EvmChain, *requesters: EvmChain) -> None:
    """Many jobs, published until there are enough or the time is over."""
    until = time.monotonic() + MOST_FILLING_SECONDS

    async def publish(requester: EvmChain) -> None:
        for number in range(JOBS_EACH):
            if time.monotonic() > until:
                return
            await requester.create(replace(ORDER, least_stake=Tokens(UNIT + number)))

    for requester in requesters:
        await treasury.transfer(requester.account, Tokens(JOBS_EACH * ORDER.reward))
    await asyncio.gather(*map(publish, requesters))


async def _catch_up(folder: Path, chain: EvmChain, key: bytes) -> float:
    """Seconds from the start of a follower that knows nothing to the chain's head."""
    seen: set[JobId] = set()
    arrived = asyncio.Event()

    async def take(job: JobId) -> None:
        seen.add(job)

    async def arrive(_: Head) -> None:
        arrived.set()

    async with SqlStore.open(folder, chain.account, derive_storage_key(key)) as store:
        began = time.perf_counter()
        following = asyncio.create_task(
            follow(chain, store, take, start=chain.first_block, on_head=arrive)
        )
        await asyncio.wait(
            [following, asyncio.create_task(arrived.wait())],
            return_when=asyncio.FIRST_COMPLETED,
        )
        seconds = time.perf_counter() - began
        if following.done():
            await following
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    shutil.rmtree(folder)
    assert len(seen) == await chain.job_count()
    return seconds


async def _ask_bare(url: str, deployment: Deployment) -> tuple[float, int]:
    """Seconds of one eth_getLogs of all blocks, and how many logs it brings."""
    wanted = {
        "address": deployment.contracts[PROTOCOL],
        "fromBlock": hex(deployment.block),
        "toBlock": "latest",
    }
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [wanted]}
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        began = time.perf_counter()
        answer: dict[str, Any] = (await client.post(url, json=asked)).json()
        seconds = time.perf_counter() - began
    return seconds, len(answer["result"])


if __name__ == "__main__":
    run_alone(measure)
