"""How long a key takes to come over an open connection, alone and while this machine trains.

Two processes with a libp2p host each. A request is what a validator sends: proven by the asker's
record, answered with a signed key, the signature verified.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from statistics import quantiles

from eth_account import Account

from benchmarks.figures import Row, at_most, milliseconds
from benchmarks.processes import Announce, process_of
from benchmarks.running import run_alone
from scatter.adapters.peers import LibP2PPeers
from scatter.adapters.sandbox import open_sandbox
from scatter.learning.examples import find_examples
from scatter.learning.splits import write_shares
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.peers import KeyReply
from scatter.ports.sandbox import Isolation, Limits, Task
from scatter.ports.statements import Deployment, sign_key_reply

DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
HERE = ["/ip4/127.0.0.1/tcp/0"]
HOLDER, ASKER = Account.from_key(b"\x01" * 32), Account.from_key(b"\x02" * 32)
JOB = JobId(1)
WARM_UP, REQUESTS = 20, 300
MOST_SECONDS = 15.0
"""Of one row's requests; a slow machine sends fewer."""
LEAST_REQUESTS = 50


def measure(folder: Path) -> list[Row]:
    digits = find_examples() / "digits"
    write_shares(digits / "data" / "digits.npz", folder / "shares", 6, seed=1)
    with process_of(hold_keys) as addresses:
        alone, training = asyncio.run(_ask_both_ways(addresses, digits, folder))
    rows = []
    for when, seconds, target in (
        ("nothing else runs", alone, None),
        ("a job trains", training, at_most(100)),
    ):
        cuts = quantiles(seconds, n=100)
        rows.append(Row(f"key request while {when}, p50", "ms", milliseconds([cuts[49]])))
        rows.append(
            Row(f"key request while {when}, p99", "ms", milliseconds([cuts[98]]), target=target)
        )
    return rows


def hold_keys(announce: Announce) -> None:
    """A node that answers key requests until its process is ended."""
    asyncio.run(_hold(announce))


async def _hold(announce: Announce) -> None:
    async with LibP2PPeers.open(
        b"\x65" * 32, HERE, HOLDER, DEPLOYMENT.chain_id, DEPLOYMENT.protocol
    ) as peers:
        peers.serve_keys(_keep)
        announce(list(peers.addresses))
        await asyncio.Event().wait()


async def _keep(job: JobId, trainer: Address, asker: Address) -> KeyReply:
    return sign_key_reply(
        HOLDER,
        DEPLOYMENT,
        job=job,
        trainer=trainer,
        model=Digest(b"m" * 32),
        key_commitment=Digest(b"c" * 32),
        key=b"k" * 32,
        asker=asker,
    )


async def _ask_both_ways(
    addresses: list[str], digits: Path, folder: Path
) -> tuple[list[float], list[float]]:
    async with LibP2PPeers.open(
        b"\x66" * 32,
        HERE,
        ASKER,
        DEPLOYMENT.chain_id,
        DEPLOYMENT.protocol,
        bootstrap=addresses,
    ) as peers:
        await _ask(peers, WARM_UP)
        alone = await _ask(peers, REQUESTS)
        training = asyncio.create_task(_train_on_and_on(digits, folder))
        await _ask(peers, WARM_UP)
        beside = await _ask(peers, REQUESTS)
        if training.done():
            await training
        training.cancel()
        with suppress(asyncio.CancelledError):
            await training
    return alone, beside


async def _ask(peers: LibP2PPeers, requests: int) -> list[float]:
    """Seconds of each request, one after the other."""
    found: list[float] = []
    began = time.perf_counter()
    holder = Address(HOLDER.address)
    while len(found) < requests:
        if len(found) >= LEAST_REQUESTS and time.perf_counter() - began > MOST_SECONDS:
            break
        sent = time.perf_counter()
        await peers.request_key(JOB, holder, holder)
        found.append(time.perf_counter() - sent)
    return found


async def _train_on_and_on(digits: Path, folder: Path) -> None:
    """The example's training job, again and again, in the strongest sandbox that runs here."""
    sandbox = open_sandbox(Isolation.NONE).sandbox
    number = 0
    while True:
        output = folder / f"trained {number}"
        data = folder / "shares" / "trainer-1"
        outcome = await sandbox.run(
            Task("train", digits / "digits-train", data, output, limits=Limits(), seed=number)
        )
        assert outcome.ok, outcome.reason
        number += 1


if __name__ == "__main__":
    run_alone(measure)
