"""A libp2p host that speaks TCP, Noise and yamux, and nothing else.

Built from py-libp2p's parts below its swarm, because the swarm offers plaintext, shares its port
with other processes, never gives an inbound slot back, and sleeps before each dial
(`docs/peers.md`, "Why not the swarm"). A connection lives as long as the task that holds it; a
stranger's failure ends its own connection only. Runs under trio.
"""

import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import trio
from libp2p import create_yamux_muxer_option
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.exceptions import BaseLibp2pError
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.upgrader import TransportUpgrader

from scatter.adapters.peers.streams import Stream, StreamBroken, answer_protocol, ask_protocol
from scatter.mechanism.errors import BadInput
from scatter.ports.addresses import Endpoint, check_peer_id, is_reachable, read_endpoint
from scatter.ports.peers import PeerUnreachable

if TYPE_CHECKING:
    from trio_typing import TaskStatus

log = logging.getLogger("scatter.peers")

MOST_INBOUND: Final = 256
MOST_STREAMS: Final = 64
"""Open at once that one peer may have begun; the next one is reset."""
MOST_UNFINISHED_STREAMS: Final = 256
"""Answered, but not yet closed by the peer that began them."""
HANDSHAKE_SECONDS: Final = 8.0
RESET_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 4.0
ANSWER_SECONDS: Final = 30.0
"""For the whole life of a stream that a peer began."""
IDLE_SECONDS: Final = 180.0
HANDSHAKE_BYTES: Final = 256 * 1024
"""Read before the peer is known; multistream-select itself sets no bound."""
MOST_FRAME_BYTES: Final = 256 * 1024
MOST_BUFFERED_BYTES: Final = 4 * MOST_STREAMS * 1024
"""Sent by a peer and not read yet; yamux notices that a window is overrun and lets it pass."""

Answer = Callable[[Stream, str], Awaitable[None]]
"""Called as `answer(stream, peer id)`; the peer id is proven by the channel."""


@dataclass(eq=False)
class Connection:
    """A live channel to a peer."""

    peer_id: str
    muxed: Yamux
    scope: trio.CancelScope
    inbound: bool
    used: float
    answering: int = 0
    asking: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(MOST_STREAMS // 2)
    )

    @property
    def is_idle(self) -> bool:
        return self.answering == 0 and self.asking.borrowed_tokens == 0


class Host:
    """Listens, dials, and hands streams to those who answer them."""

    def __init__(
        self, secret: bytes, answers: Mapping[str, Answer], *, may_dial_loopback: bool
    ) -> None:
        # libp2p logs every hostile byte at length, several lines each; what matters is logged here.
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
        keys = create_new_key_pair(secret)
        self.peer_id = str(ID.from_pubkey(keys.public_key))
        self.addresses: tuple[str, ...] = ()
        self._answers = answers
        noise = NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)
        self._upgrader = TransportUpgrader({NOISE: noise}, create_yamux_muxer_option())
        self._connections: dict[str, list[Connection]] = {}
        self._dialling: dict[str, trio.Lock] = {}
        self._shaking: dict[trio.CancelScope, float] = {}
        """The handshakes of strangers, and when each began; in this order."""
        self._inbound = 0
        self._may_dial_loopback = may_dial_loopback

    async def run(
        self,
        listen: Sequence[str],
        *,
        task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Runs until cancelled. Raises BadInput when an address is not free."""
        listeners: list[trio.SocketListener] = []
        addresses: list[str] = []
        for address in listen:
            endpoint = read_endpoint(address, unbound=True)
            opened = await _bind(endpoint)
            listeners += opened
            addresses += [
                str(Endpoint(endpoint.kind, endpoint.host, one.socket.getsockname()[1]))
                for one in opened
            ]
        self.addresses = tuple(addresses)
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._drop_idle)
            if listeners:
                await self._nursery.start(trio.serve_listeners, self._accept, listeners)
            task_status.started()

    @contextlib.asynccontextmanager
    async def ask(
        self,
        peer_id: str,
        addresses: Sequence[str],
        protocol: str,
        first: object,
        *,
        seconds: float,
    ) -> AsyncIterator[Stream]:
        """A stream to the peer, for at most `seconds`, with `protocol` agreed and `first` sent.

        Uses the connection there is, or makes one. Raises PeerUnreachable, and StreamBroken when
        the peer does not keep to the protocol or runs out of time; then its connection is not
        used again, because the peer behind it may be gone.
        """
        connection = await self._connect(peer_id, addresses)
        async with connection.asking:
            connection.used = trio.current_time()
            try:
                with trio.fail_after(seconds):
                    stream = await connection.muxed.open_stream()
                    async with _ended(stream):
                        await ask_protocol(stream, protocol, first)
                        yield stream
            except trio.TooSlowError:
                self._forget(connection)
                raise StreamBroken(f"no answer within {seconds:g} s") from None
            except BaseLibp2pError as error:
                self._forget(connection)
                raise StreamBroken("the peer closed the connection") from error

    def is_connected(self, peer_id: str) -> bool:
        return bool(self._connections.get(peer_id))

    async def _connect(self, peer_id: str, addresses: Sequence[str]) -> Connection:
        lock = self._dialling.setdefault(peer_id, trio.Lock())
        async with lock:
            try:
                for connection in self._connections.get(peer_id, ()):
                    if not connection.muxed.event_shutting_down.is_set():
                        return connection
                return await self._dial(peer_id, addresses)
            finally:
                if lock.statistics().tasks_waiting == 0:
                    self._dialling.pop(peer_id, None)

    async def _dial(self, peer_id: str, addresses: Sequence[str]) -> Connection:
        failures = []
        for address in addresses:
            try:
                with trio.fail_after(CONNECT_SECONDS):
                    socket = await self._open_socket(read_endpoint(address))
                    return await self._nursery.start(self._hold, socket, peer_id)
            except (OSError, BadInput, trio.TooSlowError, StreamBroken) as error:
                failures.append(f"{address} ({_say(error)})")
        tried = ", ".join(failures) or "it names no address"
        raise PeerUnreachable(f"peer {peer_id} cannot be reached: {tried}")

    async def _open_socket(self, endpoint: Endpoint) -> trio.SocketStream:
        """Connects to the first address of `endpoint` that a stranger may send this node to."""
        found = await trio.socket.getaddrinfo(
            endpoint.host, endpoint.port, type=trio.socket.SOCK_STREAM
        )
        for _, _, _, _, place in found[:4]:
            ip = ip_address(str(place[0]).partition("%")[0])
            if is_reachable(ip) and (self._may_dial_loopback or not ip.is_loopback):
                return await trio.open_tcp_stream(str(ip), endpoint.port)
        raise BadInput("not an address that this node may dial")

    async def _accept(self, socket: trio.SocketStream) -> None:
        if self._inbound >= MOST_INBOUND and not self._make_room():
            await trio.aclose_forcefully(socket)
            return
        self._inbound += 1
        try:
            await self._hold(socket, None)
        finally:
            self._inbound -= 1

    async def _hold(
        self,
        socket: trio.SocketStream,
        expected: str | None,
        *,
        task_status: "TaskStatus[Connection]" = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Makes a socket a connection and keeps it to its end; `expected` is whom we dialled."""
        held: Connection | None = None
        async with socket:
            try:
                muxed = await self._shake_hands(socket, expected)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(muxed.start)
                    await muxed.event_started.wait()
                    held = Connection(
                        peer_id=str(muxed.peer_id),
                        muxed=muxed,
                        scope=nursery.cancel_scope,
                        inbound=expected is None,
                        used=trio.current_time(),
                    )
                    self._connections.setdefault(held.peer_id, []).insert(0, held)
                    task_status.started(held)
                    await self._answer_streams(held, nursery)
            # Whatever the library makes of a stranger's bytes ends this connection and no other.
            except Exception as error:
                if expected is not None and held is None:
                    raise StreamBroken(_say(error)) from error
                log.info("a peer's connection ended: %s", _say(error))
            finally:
                if held is not None:
                    self._forget(held)

    async def _shake_hands(self, socket: trio.SocketStream, expected: str | None) -> Yamux:
        """Proves who the peer is; ended when it takes too long, or when room is needed."""
        with trio.fail_after(HANDSHAKE_SECONDS) as scope:
            if expected is None:
                self._shaking[scope] = trio.current_time()
            try:
                return await self._upgrade(socket, expected)
            finally:
                self._shaking.pop(scope, None)

    async def _upgrade(self, socket: trio.SocketStream, expected: str | None) -> Yamux:
        tcp = _Metered(socket)
        raw = RawConnection(tcp, expected is not None)
        peer = None if expected is None else ID.from_base58(expected)
        secure = await self._upgrader.upgrade_security(raw, expected is not None, peer)
        check_peer_id(str(secure.get_remote_peer()))
        guard: Any = _Guarded(secure)
        muxed = await self._upgrader.upgrade_connection(guard, secure.get_remote_peer())
        assert isinstance(muxed, Yamux)
        guard.muxed = muxed
        tcp.allowance = None
        return muxed

    async def _answer_streams(self, connection: Connection, nursery: trio.Nursery) -> None:
        while True:
            try:
                stream = await connection.muxed.accept_stream()
            except BaseLibp2pError:
                nursery.cancel_scope.cancel()
                return
            if len(connection.muxed.streams) > MOST_UNFINISHED_STREAMS:
                raise StreamBroken("the peer leaves its streams open")
            if connection.answering >= MOST_STREAMS:
                await stream.reset()
                continue
            connection.answering += 1
            connection.used = trio.current_time()
            nursery.start_soon(self._answer_stream, connection, stream)

    async def _answer_stream(self, connection: Connection, stream: Stream) -> None:
        try:
            with trio.fail_after(ANSWER_SECONDS):
                async with _ended(stream):
                    protocol = await answer_protocol(stream, tuple(self._answers))
                    await self._answers[protocol](stream, connection.peer_id)
        except (StreamBroken, BaseLibp2pError, trio.TooSlowError) as error:
            log.info("peer %s: %s", connection.peer_id, _say(error))
        finally:
            connection.answering -= 1

    def _make_room(self) -> bool:
        """Ends what has been silent longest: an idle inbound connection, or a handshake."""
        idle = [
            connection
            for connections in self._connections.values()
            for connection in connections
            if connection.inbound and connection.is_idle
        ]
        first = min(idle, key=lambda connection: connection.used, default=None)
        scope, begun = next(iter(self._shaking.items()), (None, math.inf))
        if first is not None and first.used <= begun:
            self._forget(first)
        elif scope is not None:
            del self._shaking[scope]
            scope.cancel()
        else:
            return False
        return True

    async def _drop_idle(self) -> None:
        while True:
            await trio.sleep(IDLE_SECONDS / 6)
            oldest = trio.current_time() - IDLE_SECONDS
            for connections in tuple(self._connections.values()):
                for connection in tuple(connections):
                    if connection.is_idle and connection.used < oldest:
                        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        """No new stream uses it from now on; its task ends, which closes the socket."""
        connections = self._connections.get(connection.peer_id, [])
        if connection in connections:
            connections.remove(connection)
        if not connections:
            self._connections.pop(connection.peer_id, None)
        connection.scope.cancel()


@contextlib.asynccontextmanager
async def _ended(stream: Stream) -> AsyncIterator[None]:
    """Closes the stream afterwards; resets it when anything went wrong."""
    closed = False
    try:
        yield
        await stream.close()
        closed = True
    finally:
        if not closed:
            with trio.CancelScope(deadline=trio.current_time() + RESET_SECONDS, shield=True):
                await stream.reset()


class _Metered(TrioTCPStream):
    """A socket that gives only so many bytes until the peer is known (`allowance` is None then)."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self.allowance: int | None = HANDSHAKE_BYTES

    async def read(self, n: int | None = None) -> bytes:
        data = await super().read(None if n is None else min(n, MOST_FRAME_BYTES))
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                raise ConnectionClosedError("more bytes than a handshake needs")
        return data


class _Guarded:
    """A secured connection that ends when the peer sends more than yamux should let it."""

    def __init__(self, secured: Any) -> None:
        self._secured = secured
        self._overrun = False
        self.muxed: Yamux | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._secured, name)

    async def read(self, n: int | None = None) -> bytes:
        if self.muxed is not None and sum(map(len, self.muxed.stream_buffers.values())) > (
            MOST_BUFFERED_BYTES
        ):
            self._overrun = True
        if self._overrun or (n is not None and n > MOST_FRAME_BYTES):
            self._overrun = True
            raise ConnectionClosedError("the peer sends more than it may")
        return bytes(await self._secured.read(n))


async def _bind(endpoint: Endpoint) -> list[trio.SocketListener]:
    """Listens without SO_REUSEPORT, so that a second node on this port is told so."""
    if endpoint.kind not in ("ip4", "ip6"):
        raise BadInput(f"listening address {endpoint}: must name an interface by /ip4 or /ip6")
    try:
        return list(await trio.open_tcp_listeners(endpoint.port, host=endpoint.host))
    except OSError as error:
        raise BadInput(
            f"listening address {endpoint}: {error.strerror or error}. "
            "Is another node running? Choose another port, or 0 for any free one."
        ) from error


def _say(error: BaseException) -> str:
    """One short line, whatever the peer managed to put into the error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = f"{type(error).__name__} {error}".strip()
    return "".join(c if c.isprintable() else " " for c in text)[:160]
