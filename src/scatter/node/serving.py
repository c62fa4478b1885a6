"""Serves ASGI applications on sockets of our own, and stops when cancelled.

The socket is bound before anything is started, so an occupied port is one clear sentence and a
port 0 is known to all others. Signals stay with the program: the server's own handling would end
the process by the signal, with another exit code than 0.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from scatter.mechanism.errors import ScatterError
from scatter.node.amounts import HostPort

GRACE_SECONDS = 1
"""For answers that are under way when the server is told to stop."""
BACKLOG = 128


class PortTaken(ScatterError):
    """Another program listens there already; the message says where."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(address: HostPort, key: str) -> socket.socket:
    """Takes a TCP address; `key` is the setting to name when that fails. Raises PortTaken."""
    try:
        family, *_, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise PortTaken(
            f"cannot listen on {address} ({reason}); stop what listens there, or change {key}"
        ) from None
    return listening


def bound_port(listening: socket.socket) -> int:
    """The port, also when the system chose it."""
    return cast(int, listening.getsockname()[1])


async def serve(app: ASGIApp, listening: socket.socket, *, most_at_once: int = 100) -> None:
    """Answers until cancelled; then lets answers under way finish, for a second at most.

    More than `most_at_once` connections are answered 503.
    """
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            limit_concurrency=most_at_once,
            timeout_graceful_shutdown=GRACE_SECONDS,
            server_header=False,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
