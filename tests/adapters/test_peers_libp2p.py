"""What libp2p must withstand and do beyond the port: hostile bytes, churn, restarts, crowds."""

import asyncio
import logging
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import cbor2
import pytest
import trio
from eth_account import Account
from libp2p import create_yamux_muxer_option, new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.io.exceptions import IOException
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

from scatter.adapters.peers import LibP2PPeers, peer_id_of
from scatter.adapters.peers.host import MOST_BUFFERED_BYTES, Host, _Metered
from scatter.adapters.peers.keys import KEY_PROTOCOL
from scatter.adapters.peers.streams import receive
from scatter.adapters.peers.wire import write_record
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.peers import KeyReply, PeerRecord, PeerUnreachable
from scatter.ports.statements import Deployment, sign_key_reply, sign_record

pytestmark = pytest.mark.anyio

DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
HERE = ["/ip4/127.0.0.1/tcp/0"]
HOLDER = Account.from_key(b"\x01" * 32)
ASKER = Account.from_key(b"\x02" * 32)
JOB = JobId(7)

Open = Callable[..., Awaitable[LibP2PPeers]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def opened(number: int, **options: Any) -> Any:
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


@pytest.fixture
async def holder(stack: AsyncExitStack) -> LibP2PPeers:
    peers: LibP2PPeers = await stack.enter_async_context(opened(1))
    peers.serve_keys(keep)
    return peers


@pytest.fixture
async def asker(stack: AsyncExitStack, holder: LibP2PPeers) -> LibP2PPeers:
    peers: LibP2PPeers = await stack.enter_async_context(opened(2, bootstrap=holder.addresses))
    await until(peers.records)
    return peers


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
            with trio.fail_after(10):
                await host.connect(info)

                async def open_stream(protocol: str) -> Any:
                    return await host.new_stream(info.peer_id, [protocol])

                try:
                    return await act(open_stream)
                finally:
                    with trio.CancelScope(shield=True):
                        await host.disconnect(info.peer_id)

    return await asyncio.to_thread(trio.run, run)


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


class TestTheChannel:
    async def test_a_stock_libp2p_host_is_served(self, holder: LibP2PPeers) -> None:
        async def act(open_stream: Any) -> Any:
            stream = await open_stream("/scatter/key/1")
            return await exchange(stream, frame(key_request(record_of(3, b"\x77" * 32))))

        answer = await as_stranger(holder, act)

        assert answer["reply"][2] == b"k" * 32

    async def test_the_record_of_another_peer_proves_nothing(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        async def act(open_stream: Any) -> Any:
            return await exchange(
                await open_stream("/scatter/key/1"), frame(key_request(asker.record))
            )

        answer = await as_stranger(holder, act)

        assert answer["refused"] == "asker-not-proven"

    async def test_an_outdated_record_proves_nothing(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        old = sign_record(
            ASKER,
            DEPLOYMENT,
            peer_id=peer_id_of(b"\x77" * 32),
            addresses=[],
            gateway="",
            issued_at=asker.record.issued_at - 1,
        )
        await until(holder.records)

        async def act(open_stream: Any) -> Any:
            return await exchange(await open_stream("/scatter/key/1"), frame(key_request(old)))

        answer = await as_stranger(holder, act)

        assert answer["refused"] == "asker-not-proven"
        assert "newer" in answer["sentence"]

    async def test_plaintext_is_refused(self, holder: LibP2PPeers) -> None:
        async def run() -> None:
            keys = create_new_key_pair()
            host = new_host(key_pair=keys, sec_opt={PLAINTEXT_PROTOCOL_ID: InsecureTransport(keys)})
            async with host.run(listen_addrs=[]):
                await host.connect(info_from_p2p_addr(Multiaddr(holder.addresses[0])))

        with pytest.raises(BaseException, match=r"(?s).*") as caught:
            await asyncio.to_thread(trio.run, run)

        assert "unable to connect" in str(flatten(caught.value))

    async def test_only_noise_is_offered(self, holder: LibP2PPeers) -> None:
        offers = (b"/plaintext/2.0.0", b"/secio/1.0.0", b"/tls/1.0.0", b"/noise")

        answers = await asyncio.to_thread(negotiate, port_of(holder), offers)

        assert answers == [b"na", b"na", b"na", b"/noise"]

    async def test_a_holder_with_another_key_is_not_talked_to(
        self, stack: AsyncExitStack, holder: LibP2PPeers
    ) -> None:
        wrong = f"{holder.record.addresses[0]}/p2p/{peer_id_of(bytes([9]) * 32)}"
        peers = await stack.enter_async_context(opened(3, bootstrap=[wrong]))

        with pytest.raises(PeerUnreachable):
            await peers.request_key(JOB, holder.account, holder.account)


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


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each piece that a node in this test takes from a socket, as it takes it."""
    sizes: list[int] = []

    class Counted(_Metered):
        async def read(self, n: int | None = None) -> bytes:
            data = await super().read(n)
            sizes.append(len(data))
            return data

    monkeypatch.setattr("scatter.adapters.peers.host._Metered", Counted)
    return sizes


class TestHostileBytes:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x00\x00",
            struct.pack(">I", 1 << 31) + b"x" * 100,
            struct.pack(">I", 5) + b"\xff" * 5,
            frame(1),
            struct.pack(">I", 9) + b"\x9b\x7f" + b"\xff" * 7,
            struct.pack(">I", 60_000) + b"\x81" * 60_000,
            frame({"job": -1, "trainer": b"", "record": []}),
            frame({"job": 1, "trainer": b"t" * 20, "record": [b"a" * 20, "x", [1], "", 1, b""]}),
            frame({"job": cbor2.CBORTag(35, "(a+)+$")}),
        ],
        ids=lambda data: data[:12].hex() or "nothing",
    )
    async def test_a_malformed_request_ends_its_stream_only(
        self, holder: LibP2PPeers, data: bytes
    ) -> None:
        async def act(open_stream: Any) -> Any:
            stream = await open_stream("/scatter/key/1")
            if data:
                await stream.write(data)
            await stream.close()
            assert await ends(stream)
            good = frame(key_request(record_of(3, b"\x77" * 32)))
            return await exchange(await open_stream("/scatter/key/1"), good)

        answer = await as_stranger(holder, act)

        assert "reply" in answer

    async def test_an_unbounded_line_before_the_handshake_ends_the_connection(
        self, holder: LibP2PPeers
    ) -> None:
        def flood() -> int:
            sent = 0
            with socket.create_connection(("127.0.0.1", port_of(holder)), 5) as connection:
                connection.sendall(b"\xff\xff\xff\xff\x7f")
                try:
                    while sent < 64 << 20:
                        sent += connection.send(b"a" * 65_536)
                except (BrokenPipeError, ConnectionResetError):
                    return sent
            return sent

        assert await asyncio.to_thread(flood) < 16 << 20

    async def test_data_that_nobody_reads_ends_the_connection(
        self, holder: LibP2PPeers, taken: list[int]
    ) -> None:
        async def act(open_stream: Any) -> int:
            stream = (await open_stream("/scatter/peers/1")).muxed_stream
            flood = struct.pack("!BBHII", 0, 0, 0, stream.stream_id, 65_536) + b"a" * 65_536
            sent = 0
            # Once its reader has learnt of the end, the library drops what is written, in silence.
            while not stream.conn.event_shutting_down.is_set() and sent < 256 << 20:
                try:
                    await stream.conn._write_frame(flood)
                except IOException:
                    break
                sent += len(flood)
            return sent

        assert await as_stranger(holder, act) < 256 << 20
        assert MOST_BUFFERED_BYTES < sum(taken) < 2 * MOST_BUFFERED_BYTES

    async def test_a_stranger_leaves_one_line_in_the_log(
        self, holder: LibP2PPeers, caplog: pytest.LogCaptureFixture
    ) -> None:
        def knock() -> None:
            with socket.create_connection(("127.0.0.1", port_of(holder)), 5) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nUser-Agent: " + b"x" * 200 + b"\r\n\r\n")

        with caplog.at_level(logging.DEBUG):
            await asyncio.to_thread(knock)
            await until(lambda: caplog.records)

        (line,) = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
        assert line.startswith("a peer's connection ended:")
        assert "\n" not in line


async def ends(stream: Any) -> bool:
    """Whether the other side ends the stream without an answer."""
    try:
        return not await stream.read(100)
    except Exception:  # noqa: BLE001 - the library says "reset" in several ways
        return True


class TestManyAndAgain:
    async def test_more_than_250_connections_are_served_in_turn(self, holder: LibP2PPeers) -> None:
        async def run() -> int:
            served = 0
            for _ in range(300):
                with trio.fail_after(5):
                    stream = await trio.open_tcp_stream("127.0.0.1", port_of(holder))
                    async with stream:
                        await stream.send_all(b"\x13/multistream/1.0.0\n")
                        served += (await stream.receive_some(64)).startswith(b"\x13/multi")
            return served

        assert await asyncio.to_thread(trio.run, run) == 300

    async def test_full_of_idle_peers_it_still_takes_a_new_one(
        self, holder: LibP2PPeers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scatter.adapters.peers.host.MOST_INBOUND", 2)

        async def run() -> int:
            served = 0
            async with trio.open_nursery() as nursery:
                for number in range(3, 8):
                    secret = bytes([number]) * 32
                    host = Host(secret, {}, may_dial_loopback=True)
                    await nursery.start(host.run, ())
                    async with host.ask(
                        holder.peer_id,
                        holder.record.addresses,
                        KEY_PROTOCOL,
                        key_request(record_of(number, secret)),
                        seconds=5,
                    ) as stream:
                        served += "reply" in await receive(stream)
                nursery.cancel_scope.cancel()
            return served

        assert await asyncio.to_thread(trio.run, run) == 5

    async def test_200_requests_at_once_are_answered(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        replies = await asyncio.gather(
            *(
                asker.request_key(JobId(number), holder.account, holder.account)
                for number in range(1, 201)
            )
        )

        assert [reply.job for reply in replies] == list(range(1, 201))

    async def test_twelve_nodes_know_each_other_when_the_bootstrap_peer_starts_last(
        self, stack: AsyncExitStack
    ) -> None:
        port = free_port()
        first = f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(bytes([101]) * 32)}"
        nodes = [
            await stack.enter_async_context(opened(number, bootstrap=[first], interval=1.0))
            for number in range(2, 13)
        ]

        nodes.append(
            await stack.enter_async_context(opened(1, listen=[f"/ip4/127.0.0.1/tcp/{port}"]))
        )

        await until(lambda: all(len(one.records()) == 11 for one in nodes), seconds=4)

    async def test_a_peer_that_returns_at_another_port_is_found(
        self, stack: AsyncExitStack, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        for _ in range(2):
            async with opened(3, bootstrap=holder.addresses) as other:
                other.serve_keys(keep_as(other))
                record = other.record
                await until(lambda: record in holder.records())  # noqa: B023 - awaited here

                reply = await asker.request_key(JOB, holder.account, other.account)

                assert reply.holder == other.account

    async def test_a_peer_that_vanished_is_unreachable(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        async with opened(3, bootstrap=holder.addresses) as other:
            await until(lambda: len(asker.records()) == 2)

        with pytest.raises(PeerUnreachable, match="cannot be reached"):
            await asker.request_key(JOB, holder.account, other.account)


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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class TestTheThread:
    async def test_two_nodes_on_one_port_are_told_so(self, holder: LibP2PPeers) -> None:
        taken = [f"/ip4/127.0.0.1/tcp/{port_of(holder)}"]

        with pytest.raises(BadInput, match="Is another node running"):
            async with opened(3, listen=taken):
                pass

    async def test_nothing_is_left_when_it_is_closed(self) -> None:
        async with opened(1) as peers:
            port = port_of(peers)

        assert not [one for one in threading.enumerate() if one.name.startswith("peers of")]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        with pytest.raises(PeerUnreachable, match="closed"):
            await peers.request_key(JOB, Address(ASKER.address), Address(ASKER.address))

    async def test_a_cancelled_request_disturbs_no_other(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        asked = asyncio.Event()

        async def keep_only_even(job: JobId, trainer: Address, asker: Address) -> KeyReply:
            if job % 2:
                asked.set()
                await asyncio.Event().wait()
            return await keep(job, trainer, asker)

        holder.serve_keys(keep_only_even)
        stuck = asyncio.create_task(asker.request_key(JobId(1), holder.account, holder.account))
        await asked.wait()

        stuck.cancel()
        reply = await asker.request_key(JobId(2), holder.account, holder.account)

        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert reply.job == 2

    async def test_a_host_key_gives_the_same_identity_every_time(self) -> None:
        secret = bytes([101]) * 32
        async with opened(1) as peers:
            assert peers.peer_id == peer_id_of(secret)
        assert peers.peer_id == str(ID.from_pubkey(create_new_key_pair(secret).public_key))

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"listen": ["/ip4/0.0.0.0/tcp/0"]}, "all interfaces"),
            ({"listen": ["/ip4/127.0.0.1/udp/4001"]}, "must read"),
            ({"bootstrap": ["/ip4/127.0.0.1/tcp/4001"]}, "must end with /p2p/"),
            ({"gateway": "ftp://example.org"}, "must be http"),
        ],
    )
    async def test_bad_settings_are_refused_in_a_sentence(
        self, options: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(BadInput, match=why):
            async with opened(1, **options):
                pass
