"""Peers beside js-libp2p: `javascript/peer.mjs` follows `docs/peers.md`, with no code of ours."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from scatter.adapters.peers import LibP2PPeers, peer_id_of
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.peers import KeyRefused, KeyReply
from scatter.ports.statements import Deployment, sign_key_reply, verify_key_reply

pytestmark = [pytest.mark.anyio, pytest.mark.needs_js_libp2p]

PROGRAM = Path(__file__).parent / "javascript" / "peer.mjs"
DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
NODE = Account.from_key(b"\x01" * 32)
STRANGER = Account.from_key(b"\x07" * 32)
STRANGERS_HOST = b"\x77" * 32

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the program with a command and its options; its output is read line by line."""
    packages = Path(os.environ["SCATTER_JS_LIBP2P"]) / "node_modules"
    node = shutil.which("node")
    assert node is not None
    program = shutil.copy(PROGRAM, tmp_path)  # node looks for packages beside the program
    (tmp_path / "node_modules").symlink_to(packages.absolute())
    running: list[Process] = []

    async def start_program(command: str, **options: Any) -> Process:
        given = {
            "hostKey": STRANGERS_HOST.hex(),
            "accountKey": STRANGER.key.hex(),
            "chainId": DEPLOYMENT.chain_id,
            "contract": DEPLOYMENT.protocol,
            **options,
        }
        process = await asyncio.create_subprocess_exec(
            node, program, command, json.dumps(given), stdin=PIPE, stdout=PIPE
        )
        running.append(process)
        return process

    yield start_program
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(30):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()


async def said(process: Process) -> dict[str, Any]:
    """The next line of the program."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


async def keep_odd(job: JobId, trainer: Address, asker: Address) -> KeyReply:
    if job % 2 == 0:
        raise KeyRefused(f"{asker} may not have this one")
    return sign_key_reply(
        NODE,
        DEPLOYMENT,
        job=job,
        trainer=trainer,
        model=Digest(b"m" * 32),
        key_commitment=Digest(b"c" * 32),
        key=bytes([job]) * 32,
        asker=asker,
    )


def opened(**options: Any) -> AbstractAsyncContextManager[LibP2PPeers]:
    return LibP2PPeers.open(
        bytes([101]) * 32,
        ["/ip4/127.0.0.1/tcp/0"],
        NODE,
        DEPLOYMENT.chain_id,
        DEPLOYMENT.protocol,
        **{"interval": 0.2, **options},
    )


@pytest.fixture
async def holder() -> AsyncIterator[LibP2PPeers]:
    async with opened() as peers:
        peers.serve_keys(keep_odd)
        yield peers


async def test_a_javascript_peer_asks_for_records_and_keys_and_is_answered(
    holder: LibP2PPeers, start: Start
) -> None:
    answers = await said(
        await start("ask", address=holder.addresses[0], trainer=NODE.address, jobs=40)
    )

    strangers_peer_id = peer_id_of(STRANGERS_HOST)
    assert answers["peerId"] == strangers_peer_id
    assert (answers["encryption"], answers["multiplexer"]) == ("/noise", "/yamux/1.0.0")
    records = {one["account"]: one for one in answers["records"]}
    assert set(records) == {lower(NODE), lower(STRANGER)}
    assert all(one["signer"] == one["account"] for one in answers["records"])
    assert records[lower(NODE)]["addresses"] == list(holder.record.addresses)
    assert answers["news"] == 0
    assert [record.peer_id for record in holder.records()] == [strangers_peer_id]
    keys = answers["keys"]
    assert [one["key"] for one in keys[::2]] == [(bytes([n]) * 32).hex() for n in range(1, 41, 2)]
    assert {one["holder"] for one in keys[::2]} == {lower(NODE)}
    assert {one["refused"] for one in keys[1::2]} == {"refused"}
    assert keys[1]["sentence"] == f"{STRANGER.address} may not have this one"


async def test_a_javascript_peer_that_offers_only_plaintext_is_refused(
    holder: LibP2PPeers, start: Start
) -> None:
    plain = await said(await start("offer", address=holder.addresses[0], encrypter="plaintext"))
    secured = await said(await start("offer", address=holder.addresses[0], encrypter="noise"))

    assert plain == {"refused": "EncryptionFailedError"}
    assert secured == {"encryption": "/noise"}


async def test_a_javascript_peer_that_expects_another_one_is_told_so(
    holder: LibP2PPeers, start: Start
) -> None:
    wrong = f"{holder.record.addresses[0]}/p2p/{peer_id_of(bytes([9]) * 32)}"

    answer = await said(await start("offer", address=wrong))

    assert answer == {"refused": "EncryptionFailedError"}


async def test_a_javascript_peer_is_dialled_and_hands_over_a_key(start: Start) -> None:
    served = await said(await start("serve"))

    async with opened(bootstrap=[served["address"]]) as asker:
        reply = await asker.request_key(
            JobId(7), Address(STRANGER.address), Address(STRANGER.address)
        )

        (record,) = asker.records()
    assert f"{record.addresses[0]}/p2p/{record.peer_id}" == served["address"]
    assert (record.account, reply.holder) == (STRANGER.address, STRANGER.address)
    verify_key_reply(reply, DEPLOYMENT)


def lower(account: Any) -> str:
    return str(account.address[2:].lower())
