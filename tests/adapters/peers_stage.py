"""A node among peers that the tests stand up, and strangers built from the library's own host."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import cbor2
import trio
from eth_account import Account
from libp2p import create_yamux_muxer_option, new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

from scatter.adapters.peers import LibP2PPeers, peer_id_of
from scatter.adapters.peers.host import Host
from scatter.adapters.peers.keys import KEY_PROTOCOL
from scatter.adapters.peers.streams import receive
from scatter.adapters.peers.wire import write_record
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.peers import KeyReply, PeerRecord
from scatter.ports.statements import Deployment, sign_key_reply, sign_record

DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
HERE = ["/ip4/127.0.0.1/tcp/0"]
HOLDER = Account.from_key(b"\x01" * 32)
ASKER = Account.from_key(b"\x02" * 32)
JOB = JobId(7)


def opened(number: int, **options: Any) -> AbstractAsyncContextManager[LibP2PPeers]:
    """The context of node `number`: its host key and its account follow from the number."""
    return LibP2PPeers.open(
        bytes([number + 100]) * 32,
        options.pop("listen", HERE),
        Account.from_key(bytes([number]) * 32),
        DEPLOYMENT.chain_id,
        DEPLOYMENT.protocol,
        **{"interval": 0.2, **options},
    )


async def keep(job: JobId, trainer: Address, asker: Address) -> KeyReply:
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


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits for what the network brings about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the port has no event for it
            await asyncio.sleep(0.01)


def port_of(peers: LibP2PPeers) -> int:
    return int(peers.addresses[0].split("/")[4])


# A stranger, built from the library's own host


async def as_stranger(
    peers: LibP2PPeers, act: Callable[[Any], Awaitable[Any]], secret: bytes = b"\x77" * 32
) -> Any:
    """Runs `act(open_stream)` on a connection of a stock libp2p host, in a trio thread."""

    async def run() -> Any:
        keys = create_new_key_pair(secret)
        noise = NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)
        host = new_host(
            key_pair=keys, sec_opt={NOISE: noise}, muxer_opt=create_yamux_muxer_option()
        )
        async with host.run(listen_addrs=[]):
            info = info_from_p2p_addr(Multiaddr(peers.addresses[0]))
            with trio.fail_after(60):
                await host.connect(info)

                async def open_stream(protocol: str) -> Any:
                    return await host.new_stream(info.peer_id, [protocol])

                try:
                    return await act(open_stream)
                finally:
                    with trio.CancelScope(shield=True):
                        await host.disconnect(info.peer_id)

    return await asyncio.to_thread(trio.run, run)


@asynccontextmanager
async def beside_stranger(
    peers: LibP2PPeers, act: Callable[[Any], Awaitable[Any]]
) -> AsyncIterator[None]:
    """A stranger that has done `act` and stays, its connection open, until the context is left."""
    loop, acted, leave = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    async def act_and_stay(open_stream: Any) -> None:
        try:
            await act(open_stream)
        finally:
            loop.call_soon_threadsafe(acted.set)
        await trio.to_thread.run_sync(leave.wait)

    async with asyncio.TaskGroup() as group:
        group.create_task(as_stranger(peers, act_and_stay))
        try:
            await acted.wait()
            yield
        finally:
            leave.set()


async def exchange(stream: Any, frame: bytes) -> dict[str, Any] | None:
    """The answer to raw bytes; None when the stream was ended instead."""
    await stream.write(frame)
    data = b""
    try:
        while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
            part = await stream.read(65_536)
            if not part:
                return None
            data += part
    except Exception:  # noqa: BLE001 - the library says "reset" in several ways
        return None
    answer: dict[str, Any] = cbor2.loads(data[4:])
    return answer


def frame(message: object) -> bytes:
    data = cbor2.dumps(message)
    return struct.pack(">I", len(data)) + data


def key_request(record: PeerRecord) -> dict[str, object]:
    return {
        "job": JOB,
        "trainer": bytes.fromhex(HOLDER.address[2:]),
        "record": write_record(record),
    }


def record_of(number: int, secret: bytes) -> PeerRecord:
    return sign_record(
        Account.from_key(bytes([number]) * 32),
        DEPLOYMENT,
        peer_id=peer_id_of(secret),
        addresses=[],
        gateway="",
        issued_at=time.time_ns() // 1_000_000,
    )


def flatten(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def negotiate(port: int, offers: tuple[bytes, ...]) -> list[bytes]:
    """What a multistream-select listener answers to each offer."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        lines = connection.makefile("rwb")

        def say(line: bytes) -> bytes:
            lines.write(bytes([len(line) + 1]) + line + b"\n")
            lines.flush()
            return lines.read(lines.read(1)[0]).strip()

        assert say(b"/multistream/1.0.0") == b"/multistream/1.0.0"
        return [say(offer) for offer in offers]


async def ends(stream: Any) -> bool:
    """Whether the other side ends the stream without an answer."""
    try:
        return not await stream.read(100)
    except Exception:  # noqa: BLE001 - the library says "reset" in several ways
        return True


def keep_as(node: LibP2PPeers) -> Callable[..., Awaitable[KeyReply]]:
    async def keep_for_node(job: JobId, trainer: Address, asker: Address) -> KeyReply:
        return sign_key_reply(
            node._signer,
            DEPLOYMENT,
            job=job,
            trainer=trainer,
            model=Digest(b"m" * 32),
            key_commitment=Digest(b"c" * 32),
            key=b"k" * 32,
            asker=asker,
        )

    return keep_for_node


async def is_served(asker: LibP2PPeers, holder: LibP2PPeers) -> bool:
    """Whether a node that did nothing wrong still gets its key."""
    reply = await asker.request_key(JOB, holder.account, holder.account)
    return reply.key == b"k" * 32


async def connect_and_ask(
    nursery: trio.Nursery, holder: LibP2PPeers, number: int
) -> dict[str, Any]:
    """Asks for a key as a peer of its own, connected while `nursery` lives. Runs under trio."""
    secret = bytes([number]) * 32
    host = Host(secret, {}, may_dial_loopback=True)
    await nursery.start(host.run, ())
    request = key_request(record_of(number, secret))
    async with host.ask(
        holder.peer_id, holder.record.addresses, KEY_PROTOCOL, request, seconds=10
    ) as stream:
        return await receive(stream)
