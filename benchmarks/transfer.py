"""A model of 100 MB from one node's gateway to another's store, beside bare HTTP.

The gateway's side is a process of its own. What the receiver of bare HTTP does not do: it verifies
nothing, and keeps nothing to serve it further.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from benchmarks.figures import Row, at_least, rates
from benchmarks.processes import Announce, process_of
from benchmarks.running import run_alone
from benchmarks.sealing import write_noise
from benchmarks.timing import take_turns
from scatter.adapters.content import StoredContent
from scatter.adapters.gateway import gateway_app
from scatter.node.amounts import HostPort
from scatter.node.serving import bind, bound_port, serve

SIZE = 100 * 10**6
PIECE_BYTES = 1 << 20
MODEL = "model.safetensors.sealed"


def measure(folder: Path) -> list[Row]:
    (folder / "published").mkdir()
    write_noise(folder / "published" / MODEL, SIZE)
    with process_of(serve_model, folder) as (digest, base):
        got = folder / "got"

        async def fetch() -> None:
            receiver = StoredContent(folder / "receiver")
            await receiver.fetch(digest, got, most_bytes=SIZE, sources=[base])

        with asyncio.Runner() as runner:
            ours, bare = take_turns(
                lambda: runner.run(fetch()),
                lambda: runner.run(_fetch_bare(base, folder)),
                tidy_up=lambda: _forget(folder),
            )
    mb = SIZE / 1e6
    what = "100 MB through the gateway"
    return [Row(what, "MB/s", rates(mb, ours), "bare HTTP", rates(mb, bare), at_least(200))]


def serve_model(announce: Announce, folder: Path) -> None:
    """Publishes the model and serves it, by the gateway and bare, until the process is ended."""
    asyncio.run(_serve(announce, folder))


async def _serve(announce: Announce, folder: Path) -> None:
    content = StoredContent(folder / "sender")
    digest = await content.add(folder / "published")
    app = gateway_app(content.blocks)

    async def bare(_: Request) -> Response:
        return StreamingResponse(_pieces(folder / "published" / MODEL))

    app.router.routes.append(Route("/bare", bare))
    listening = bind(HostPort("127.0.0.1", 0), "the port of a benchmark")
    announce((digest, f"http://127.0.0.1:{bound_port(listening)}"))
    await serve(app, listening)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


async def _fetch_bare(base: str, folder: Path) -> None:
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", f"{base}/bare") as response,
    ):
        with (folder / "bare").open("wb") as file:
            async for piece in response.aiter_raw():
                file.write(piece)
    assert (folder / "bare").stat().st_size == SIZE


def _forget(folder: Path) -> None:
    """Lets the receiver begin with nothing again."""
    shutil.rmtree(folder / "got", ignore_errors=True)
    shutil.rmtree(folder / "receiver", ignore_errors=True)


if __name__ == "__main__":
    run_alone(measure)
