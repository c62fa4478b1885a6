"""Asks a web server over a connection of its own, whose bytes cost little.

A model may be gigabytes, so what it costs to receive counts: the sockets block, each in a thread,
and nothing but the standard library's parser touches the bytes. Waiting is bounded by whoever
waits: a wait that is cancelled cuts the line, and that wakes its thread.
"""

import asyncio
import http.client
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import httpx

_MOST_READ: Final = 1 << 20
_MOST_WAITING: Final = 8
"""Threads that wait for one server; apart from those that the node shares for its own work."""

T = TypeVar("T")
S = TypeVar("S", bound=socket.socket)


class Unreachable(Exception):
    """No connection came about."""


class BrokenOff(Exception):
    """The connection ended early, or what came over it is no HTTP."""


class Answer:
    """A head that has arrived, and the body that follows."""

    def __init__(self, line: "Line", response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self._line = line
        self._response = response
        self.complete = False

    def header(self, name: str, default: str = "") -> str:
        return self._response.getheader(name, default)

    async def read(self, least: int) -> bytes:
        """More of the body: `least` bytes or somewhat more, fewer only at its end, then none.

        Raises BrokenOff.
        """
        data = await self._line.run(partial(self._read, least))
        self.complete = len(data) < least
        return data

    def close(self) -> None:
        """Call it once the body is complete: the connection is free for the next question."""
        self._response.close()

    @property
    def keeps_line(self) -> bool:
        """Whether the connection may be used again afterwards."""
        return self.complete and not self._response.will_close

    def _read(self, least: int) -> bytes:
        pieces, size = [], 0
        while size < least and (piece := self._response.read1(_MOST_READ)):
            pieces.append(piece)
            size += len(piece)
        if size < least and self._response.length:
            raise BrokenOff(f"{self._response.length:,} bytes are missing")
        return b"".join(pieces)


class WebServer:
    """One server, with as many connections as there are questions at once."""

    def __init__(self, base: httpx.URL, certificates: ssl.SSLContext, seconds: float) -> None:
        """`seconds` bound the way to one of its addresses; the rest is up to whoever waits."""
        self._base = base
        self._certificates = certificates
        self._seconds = seconds
        self._idle: list[Line] = []
        self._threads = anyio.CapacityLimiter(_MOST_WAITING)

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str], seconds: float
    ) -> AsyncIterator[Answer]:
        """The answer to GET, once its head is there; redirects are not followed.

        Raises Unreachable, BrokenOff, or TimeoutError when no head came within `seconds`.
        """
        async with asyncio.timeout(seconds):
            line, answer = await self._ask(target, headers)
        try:
            yield answer
        finally:
            if answer.keeps_line:
                answer.close()
                self._idle.append(line)
            else:
                line.cut()

    def close(self) -> None:
        """Ends the connections that nobody uses."""
        while self._idle:
            self._idle.pop().cut()

    async def _ask(self, target: str, headers: Mapping[str, str]) -> tuple["Line", Answer]:
        if self._idle:
            # The server may have ended it meanwhile; then a new one is opened.
            with suppress(BrokenOff):
                return await self._ask_over(self._idle.pop(), target, headers)
        line = Line(self._base, self._certificates, self._seconds, self._threads)
        return await self._ask_over(line, target, headers)

    async def _ask_over(
        self, line: "Line", target: str, headers: Mapping[str, str]
    ) -> tuple["Line", Answer]:
        with ExitStack() as failing:
            failing.callback(line.cut)
            response = await line.run(partial(line.ask, target, headers))
            failing.pop_all()
        return line, Answer(line, response)


class Line:
    """One connection. What blocks runs in a thread, and ends when the line is cut."""

    def __init__(
        self,
        base: httpx.URL,
        certificates: ssl.SSLContext,
        seconds: float,
        threads: anyio.CapacityLimiter,
    ) -> None:
        self._threads = threads
        self._host = base.raw_host.decode()
        self._certificates = certificates if base.scheme == "https" else None
        self._seconds = seconds
        kind = http.client.HTTPSConnection if self._certificates else http.client.HTTPConnection
        self._connection = kind(self._host, base.port)
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._lock = threading.Lock()
        self._works = False
        self._is_cut = False

    def ask(self, target: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Blocks until the head of the answer is there."""
        if self._socket is None:
            self._connect()
        self._connection.request("GET", target, headers=dict(headers))
        self._response = self._connection.getresponse()
        return self._response

    async def run(self, work: Callable[[], T]) -> T:
        """Does it in a thread. Whoever is cancelled here must cut the line."""
        return await anyio.to_thread.run_sync(
            self._run, work, abandon_on_cancel=True, limiter=self._threads
        )

    def cut(self) -> None:
        """Ends the connection now; a thread that waits for it is woken, and tidies up."""
        with self._lock:
            self._is_cut = True
            if not self._works:
                self._close()
            elif self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self, work: Callable[[], T]) -> T:
        with self._lock:
            if self._is_cut:
                raise BrokenOff("it was cut")
            self._works = True
        try:
            return work()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise BrokenOff(str(error) or type(error).__name__) from error
        finally:
            with self._lock:
                self._works = False
                if self._is_cut:
                    self._close()

    def _connect(self) -> None:
        """Tries one address after the other, each for a while, as long as the line is not cut."""
        port = self._connection.port
        try:
            for kind, _, _, _, address in socket.getaddrinfo(
                self._host, port, type=socket.SOCK_STREAM
            ):
                # Known before it blocks, so that a cut reaches it; the handshake, likewise.
                connecting = self._take(socket.socket(kind, socket.SOCK_STREAM))
                connecting.settimeout(self._seconds)
                try:
                    connecting.connect(address)
                except OSError as error:
                    problem = error
                    continue
                break
            else:
                raise problem
            if self._certificates is not None:
                secure = self._certificates.wrap_socket(
                    connecting, server_hostname=self._host, do_handshake_on_connect=False
                )
                self._take(secure)
                secure.do_handshake()
        except (OSError, ValueError) as error:
            raise Unreachable(str(error)) from error

    def _take(self, taken: S) -> S:
        with self._lock:
            before, self._socket = self._socket, taken
            self._connection.sock = taken
            if before is not None and before is not taken:
                before.close()
            if self._is_cut:
                raise OSError("it was cut")
        return taken

    def _close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()
        if self._socket is not None:
            self._socket.close()
