"""A line to a web server is used again, is opened anew when it went stale, and can be cut."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from anyio import CapacityLimiter
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from scatter.adapters.web_line import BrokenOff, Line, Unreachable, WebServer

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BODY = bytes(range(256)) * 3_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FULL = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Secured(NamedTuple):
    """Both ends of TLS: a server's certificate, and whom the client believes."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def secure(folder: Path, address: str) -> Secured:
    """A certificate for one address that signed itself, and that the client knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=365 * 50))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    (folder / "pem").write_bytes(
        pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "pem")
    return Secured(server, ssl.create_default_context(cadata=pem.decode()))


@asynccontextmanager
async def talking(
    *talks: Talk, scheme: str = "http", secured: Secured | None = None
) -> AsyncIterator[WebServer]:
    """A server that meets its first connection with the first of `talks`, and so on."""
    left, busy = list(talks), set[asyncio.Task[None]]()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(task) if (task := asyncio.current_task()) else None
        try:
            await left.pop(0)(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=secured and secured.server)
    port = listening.sockets[0].getsockname()[1]
    certificates = secured.client if secured else ssl.create_default_context()
    server = WebServer(httpx.URL(f"{scheme}://127.0.0.1:{port}"), certificates, 5.0)
    try:
        yield server
    finally:
        server.close()
        listening.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


def answering(*answers: bytes) -> Talk:
    """Answers one question after the other, then hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return talk


class Dripping:
    """Says `words`, then one byte after the other, until the line is cut."""

    def __init__(self, words: bytes = b"") -> None:
        self.words = words
        self.was_cut = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(self.words)
            while True:
                await writer.drain()
                await asyncio.sleep(0.01)
                writer.write(b"x")
        self.was_cut.set()


async def ask(server: WebServer, seconds: float = 5.0) -> bytes:
    async with server.get("/", {}, seconds) as answer:
        pieces = []
        while piece := await answer.read(100_000):
            pieces.append(piece)
        return b"".join(pieces)


@pytest.mark.anyio
async def test_one_connection_serves_one_question_after_the_other() -> None:
    async with talking(answering(FULL, FULL, FULL)) as server:
        assert [await ask(server) for _ in range(3)] == [BODY] * 3


@pytest.mark.anyio
async def test_a_connection_that_went_stale_is_replaced() -> None:
    async with talking(answering(FULL), answering(FULL)) as server:
        assert [await ask(server) for _ in range(2)] == [BODY] * 2


@pytest.mark.anyio
async def test_a_connection_with_an_answer_half_read_is_not_used_again() -> None:
    first = Dripping(FULL)
    async with talking(first, answering(FULL)) as server:
        async with server.get("/", {}, 5.0) as answer:
            await answer.read(1)
        await first.was_cut.wait()
        assert await ask(server) == BODY


@pytest.mark.anyio
async def test_a_server_that_closes_after_its_answer_is_connected_to_again() -> None:
    closing = FULL.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    async with talking(answering(closing), answering(closing)) as server:
        assert [await ask(server) for _ in range(2)] == [BODY] * 2


@pytest.mark.anyio
async def test_a_chunked_answer_is_put_together() -> None:
    chunks = b"".join(b"%x\r\n" % 1_000 + bytes(1_000) + b"\r\n" for _ in range(500))
    async with talking(answering(CHUNKED + chunks + b"0\r\n\r\n", FULL)) as server:
        assert await ask(server) == bytes(500_000)
        assert await ask(server) == BODY


@pytest.mark.anyio
@pytest.mark.parametrize(
    "words", [b"", b"HTTP/1.1 200 OK\r\nX: x", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n"]
)
async def test_a_head_that_does_not_end_cuts_the_line(words: bytes) -> None:
    dripping = Dripping(words)
    async with talking(dripping) as server:
        with pytest.raises(TimeoutError):
            await ask(server, seconds=0.2)
        await dripping.was_cut.wait()


@pytest.mark.anyio
async def test_a_handshake_that_does_not_end_cuts_the_line() -> None:
    dripping = Dripping(b"\x16\x03\x03\x40\x00")
    async with talking(dripping, scheme="https") as server:
        with pytest.raises(TimeoutError):
            await ask(server, seconds=0.2)
        await dripping.was_cut.wait()


@pytest.mark.anyio
async def test_whoever_does_not_wait_for_the_rest_of_a_body_cuts_the_line() -> None:
    dripping = Dripping(FULL[:-1_000])
    async with talking(dripping) as server:
        with pytest.raises(TimeoutError):
            async with server.get("/", {}, 5.0) as answer, asyncio.timeout(0.2):
                await answer.read(len(BODY))
        await dripping.was_cut.wait()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [FULL[:-1], b"\x00 nonsense\r\n\r\n", CHUNKED + b"zz\r\n", CHUNKED + b"5\r\nab"],
)
async def test_what_is_cut_off_or_no_http_is_said_to_be_broken_off(answer: bytes) -> None:
    async with talking(answering(answer)) as server:
        with pytest.raises(BrokenOff):
            await ask(server)


@pytest.mark.anyio
async def test_a_cut_wakes_whoever_waits_for_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address):
            base = httpx.URL(f"http://127.0.0.1:{address[1]}")
            line = Line(base, ssl.create_default_context(), 600.0, CapacityLimiter(1))
            ended = threading.Event()

            def connect() -> None:
                try:
                    line.ask("/", {})
                finally:
                    ended.set()

            waiting = asyncio.create_task(line.run(connect))
            await asyncio.sleep(0.3)
            assert not ended.is_set(), "nobody accepts"
            waiting.cancel()
            line.cut()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(ended.wait, 10)


@pytest.mark.anyio
async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = httpx.URL(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unreachable):
            await ask(WebServer(base, ssl.create_default_context(), 5.0))


@pytest.mark.anyio
async def test_a_secured_server_is_asked_over_tls(tmp_path: Path) -> None:
    secured = secure(tmp_path, "127.0.0.1")
    async with talking(answering(FULL, FULL), scheme="https", secured=secured) as server:
        assert [await ask(server) for _ in range(2)] == [BODY] * 2


@pytest.mark.anyio
async def test_a_certificate_for_another_address_is_refused(tmp_path: Path) -> None:
    secured = secure(tmp_path, "127.0.0.2")
    async with talking(answering(FULL), scheme="https", secured=secured) as server:
        with pytest.raises(Unreachable, match="certificate"):
            await ask(server)


@pytest.mark.anyio
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    secured = secure(tmp_path, "127.0.0.1")._replace(client=ssl.create_default_context())
    async with talking(answering(FULL), scheme="https", secured=secured) as server:
        with pytest.raises(Unreachable, match="certificate"):
            await ask(server)


@pytest.mark.anyio
async def test_plain_text_instead_of_a_handshake_is_unreachable() -> None:
    async with talking(Dripping(FULL), scheme="https") as server:
        with pytest.raises(Unreachable):
            await ask(server)
