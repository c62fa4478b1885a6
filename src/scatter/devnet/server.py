"""The embedded chain as a process: one JSON-RPC endpoint over HTTP on loopback.

`python -m scatter.devnet.server --port 8545 --log chain.log` runs until SIGTERM, SIGINT, or, with
`--until-stdin-ends`, until whoever started it is gone.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from eth_typing import Address
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scatter.devnet.chain import EmbeddedChain
from scatter.devnet.faucet import FAUCET, FIRST_BALANCE
from scatter.devnet.log import BlockLog
from scatter.devnet.rpc import MOST_REQUEST_BYTES, Endpoint
from scatter.mechanism.errors import ScatterError

TICK_SECONDS = 0.05
LOOPBACK = "127.0.0.1"


def application(chain: EmbeddedChain) -> Starlette:
    """Answers the requests about `chain`."""
    endpoint = Endpoint(chain)

    async def answer(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_REQUEST_BYTES:
                return Response("request too large", status_code=413)
        return Response(endpoint.answer(bytes(body)), media_type="application/json")

    return Starlette(routes=[Route("/", answer, methods=["POST"])])


class Server(uvicorn.Server):
    """Ends with exit code 0 on SIGTERM and SIGINT: uvicorn's own would raise them again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scatter.devnet.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, help="file to keep the chain in")
    parser.add_argument("--until-stdin-ends", action="store_true")
    options = parser.parse_args(arguments)
    try:
        log = BlockLog(options.log) if options.log else None
        chain = EmbeddedChain({Address(bytes.fromhex(FAUCET[2:])): FIRST_BALANCE}, log=log)
    except ScatterError as error:
        print(error, file=sys.stderr)
        return 1
    asyncio.run(serve(chain, options.port, until_stdin_ends=options.until_stdin_ends))
    return 0


async def serve(chain: EmbeddedChain, port: int, *, until_stdin_ends: bool = False) -> None:
    """Serves `chain` on loopback and makes its blocks, until a signal or cancelled.

    A block that cannot be made ends it with the error: nothing after it could be trusted.
    """
    server = Server(
        uvicorn.Config(
            application(chain), host=LOOPBACK, port=port, log_level="warning", access_log=False
        )
    )
    async with asyncio.TaskGroup() as group:
        making = group.create_task(_make_blocks(chain))
        if until_stdin_ends:
            _stop_with_stdin(server)
        await server.serve()
        making.cancel()
    chain.close()


def _stop_with_stdin(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not sys.stdin.buffer.read(1):
            server.should_exit = True
            loop.remove_reader(sys.stdin)

    loop.add_reader(sys.stdin, look)


async def _make_blocks(chain: EmbeddedChain) -> None:
    while True:
        chain.advance()
        await asyncio.sleep(TICK_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
