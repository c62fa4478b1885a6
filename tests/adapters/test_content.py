"""One suite for the `Content` port, on the fake and on real nodes over HTTP."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scatter.adapters.content import StoredContent
from scatter.adapters.gateway import gateway_app
from scatter.fakes.content import FakeContent, World
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest
from scatter.ports.content import Content, ContentNotFound, ContentRefused
from scatter.unixfs.cid import folder_digest

FILES = {
    "job.toml": b'name = "digits"\n',
    "empty": b"",
    "weights/model.safetensors": Random(1).randbytes(700_000),
    "weights/\N{SNOWMAN}": b"snow",
}
NOBODY_HOME = "http://127.0.0.1:9"


@dataclass
class Node:
    """A participant, and where others fetch from it."""

    content: Content
    source: str


class Server(uvicorn.Server):
    """Leaves the signals of the test run alone."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def serving(content: StoredContent) -> AsyncIterator[str]:
    """A real gateway over HTTP; yields its base address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(gateway_app(content.blocks), log_level=logging.CRITICAL)
        server = Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["fake", "real"])
async def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Node]]:
    """A publisher and a reader."""
    if request.param == "fake":
        world = World()
        addresses = ["http://publisher", "http://reader"]
        yield [Node(FakeContent(world, address), address) for address in addresses]
        return
    publisher, reader = (StoredContent(tmp_path / name) for name in ("publisher", "reader"))
    async with serving(publisher) as one, serving(reader) as other:
        yield [Node(publisher, one), Node(reader, other)]


@pytest.fixture
def publisher(nodes: list[Node]) -> Node:
    return nodes[0]


@pytest.fixture
def reader(nodes: list[Node]) -> Node:
    return nodes[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "job", FILES)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "folder"


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def nothing_appeared(into: Path) -> bool:
    return list(into.parent.iterdir()) == []


@pytest.mark.anyio
class TestContent:
    async def test_what_one_publishes_another_fetches(
        self, publisher: Node, reader: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.add(folder)

        await reader.content.fetch(digest, into, most_bytes=1 << 20, sources=[publisher.source])

        assert read(into) == FILES

    async def test_the_name_is_that_of_kubo(self, publisher: Node, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()

        digest = await publisher.content.add(tmp_path / "empty")

        assert digest == folder_digest(
            "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
        )

    async def test_naming_a_folder_does_not_publish_it(
        self, publisher: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.name(folder)

        with pytest.raises(ContentNotFound):
            await publisher.content.fetch(digest, into, most_bytes=1 << 20)
        assert digest == await publisher.content.add(folder)

    async def test_an_empty_subfolder_arrives(
        self, publisher: Node, reader: Node, tmp_path: Path, into: Path
    ) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        digest = await publisher.content.add(tmp_path / "a")

        await reader.content.fetch(digest, into, most_bytes=0, sources=[publisher.source])

        assert (into / "b").is_dir()

    async def test_a_node_reads_its_own_at_home(
        self, publisher: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.add(folder)

        await publisher.content.fetch(digest, into, most_bytes=1 << 20)

        assert read(into) == FILES

    async def test_what_was_fetched_is_served_on(
        self, publisher: Node, reader: Node, folder: Path, into: Path, tmp_path: Path
    ) -> None:
        digest = await publisher.content.add(folder)
        await reader.content.fetch(digest, into, most_bytes=1 << 20, sources=[publisher.source])
        await reader.content.fetch(digest, tmp_path / "again", most_bytes=1 << 20)

        third = StoredContent(tmp_path / "third")
        if isinstance(reader.content, StoredContent):
            await third.fetch(
                digest, tmp_path / "third-out", most_bytes=1 << 20, sources=[reader.source]
            )

        assert read(tmp_path / "again") == FILES

    async def test_the_next_source_is_asked_when_one_lacks_it(
        self, publisher: Node, reader: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.add(folder)
        sources = [NOBODY_HOME, reader.source, publisher.source]

        await reader.content.fetch(digest, into, most_bytes=1 << 20, sources=sources)

        assert read(into) == FILES

    @pytest.mark.parametrize("asked", [[], [NOBODY_HOME]])
    async def test_what_nobody_serves_is_not_found(
        self, reader: Node, into: Path, asked: list[str]
    ) -> None:
        with pytest.raises(ContentNotFound, match="Nobody serves bafybei"):
            await reader.content.fetch(Digest(bytes(32)), into, most_bytes=9, sources=asked)
        assert nothing_appeared(into)

    async def test_the_limit_counts_the_bytes_of_the_files(
        self, publisher: Node, reader: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.add(folder)
        size = sum(map(len, FILES.values()))

        with pytest.raises(ContentRefused, match="allowed"):
            await reader.content.fetch(
                digest, into, most_bytes=size - 1, sources=[publisher.source]
            )

        assert nothing_appeared(into)
        await reader.content.fetch(digest, into, most_bytes=size, sources=[publisher.source])

    async def test_a_folder_that_exists_is_left_alone(
        self, publisher: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.add(folder)
        await publisher.content.fetch(digest, into, most_bytes=1 << 20)

        with pytest.raises(BadInput, match="exists already"):
            await publisher.content.fetch(digest, into, most_bytes=1 << 20)

    async def test_a_file_is_not_a_folder(self, publisher: Node, folder: Path) -> None:
        with pytest.raises(BadInput, match="not a folder"):
            await publisher.content.add(folder / "job.toml")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: path.symlink_to("/etc/passwd"),
            lambda path: path.symlink_to("."),
            os.mkfifo,
        ],
        ids=["link to a file", "link to a folder", "pipe"],
    )
    async def test_only_regular_files_are_published(
        self, publisher: Node, folder: Path, spoil: Callable[[Path], None]
    ) -> None:
        spoil(folder / "spoilt")
        with pytest.raises(BadInput, match="regular files only"):
            await publisher.content.add(folder)

    async def test_folders_too_deep_are_not_published(
        self, publisher: Node, tmp_path: Path
    ) -> None:
        (tmp_path / "/".join("d" * 17)).mkdir(parents=True)
        with pytest.raises(BadInput, match="16 folders deep"):
            await publisher.content.add(tmp_path / "d")

    async def test_too_long_a_path_is_not_published(self, publisher: Node, tmp_path: Path) -> None:
        (tmp_path / "d" / "/".join(["x" * 250] * 5)).mkdir(parents=True)
        with pytest.raises(BadInput, match="1024 bytes"):
            await publisher.content.add(tmp_path / "d")

    async def test_two_may_fetch_the_same_at_once(
        self, publisher: Node, reader: Node, folder: Path, into: Path
    ) -> None:
        digest = await publisher.content.add(folder)
        targets = [into.with_name(str(n)) for n in range(6)]

        await asyncio.gather(
            *(
                reader.content.fetch(digest, target, most_bytes=1 << 20, sources=[publisher.source])
                for target in targets
            )
        )

        assert [read(target) for target in targets] == [FILES] * 6


NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        NAMES.filter(lambda name: name not in (".", "..")), st.binary(), max_size=5
    )
)
def test_any_folder_gets_one_name_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    here = tmp_path_factory.mktemp("property")
    folder = written(here / "in", files)
    fake, real = FakeContent(World(), ""), StoredContent(here / "node")

    async def there_and_back() -> None:
        digest = await real.add(folder)
        assert digest == await fake.add(folder)
        await real.fetch(digest, here / "out", most_bytes=1 << 20)

    asyncio.run(there_and_back())
    assert read(here / "out") == files


def test_too_many_files_are_not_published(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for n in range(10_001):
        path = folder / str(n % 10) / str(n)
        if n < 10:
            path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(BadInput, match="More than 10000"):
        asyncio.run(StoredContent(tmp_path / "node").add(folder))


def test_too_large_a_folder_is_not_published(tmp_path: Path) -> None:
    folder = written(tmp_path / "job", FILES)
    with pytest.raises(BadInput, match="more than 1000 bytes"):
        asyncio.run(StoredContent(tmp_path / "node", most_bytes=1_000).add(folder))
