"""What a node's gateway answers, by the Trustless Gateway specification."""

import asyncio
from io import BytesIO
from pathlib import Path
from random import Random

import httpx
import pytest

from scatter.adapters.blockstore import BlockStore
from scatter.adapters.gateway import gateway_app
from scatter.unixfs.building import name_directory, name_file
from scatter.unixfs.car import CarReader
from scatter.unixfs.cid import Cid, Codec

CAR = "application/vnd.ipld.car"
RAW = "application/vnd.ipld.raw"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def blocks(tmp_path: Path) -> BlockStore:
    return BlockStore(tmp_path / "blocks")


@pytest.fixture
def root(blocks: BlockStore) -> Cid:
    """A folder with the same file under two names."""
    model = name_file(BytesIO(Random(1).randbytes(600_000)), blocks.put)
    return name_directory({"a": model, "b": model}, blocks.put).cid


@pytest.fixture
def client(blocks: BlockStore) -> httpx.AsyncClient:
    """Asks the application itself, without a network."""
    transport = httpx.ASGITransport(gateway_app(blocks))
    return httpx.AsyncClient(transport=transport, base_url="http://node")


def read_archive(root: Cid, archive: bytes) -> list[Cid]:
    reader = CarReader(root)
    blocks = list(reader.feed(archive))
    reader.close()
    assert all(cid.names(block) for cid, block in blocks)
    return [cid for cid, _ in blocks]


@pytest.mark.anyio
class TestGateway:
    async def test_an_archive_holds_each_block_once_parents_first(
        self, client: httpx.AsyncClient, root: Cid
    ) -> None:
        answer = await client.get(f"/ipfs/{root}?format=car")

        assert answer.headers["Content-Type"] == f"{CAR}; version=1; order=dfs; dups=n"
        cids = read_archive(root, answer.content)
        assert cids[0] == root
        assert [cid.codec for cid in cids] == [Codec.DAG_PB] * 2 + [Codec.RAW] * 3
        assert len(set(cids)) == 5

    async def test_a_raw_block_is_the_block(
        self, client: httpx.AsyncClient, root: Cid, blocks: BlockStore
    ) -> None:
        answer = await client.get(f"/ipfs/{root}?format=raw")

        assert answer.content == blocks.get(root)
        assert answer.headers["Content-Type"] == RAW
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize(
        ("accept", "media_type"),
        [(RAW, RAW), (f"{CAR}; version=1; order=dfs", CAR), (f"text/html, {RAW};q=0.9", RAW)],
    )
    async def test_the_accept_header_says_the_form_too(
        self, client: httpx.AsyncClient, root: Cid, accept: str, media_type: str
    ) -> None:
        answer = await client.get(f"/ipfs/{root}", headers={"Accept": accept})

        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(media_type)

    @pytest.mark.parametrize("form", ["raw", "car"])
    async def test_head_answers_without_the_body(
        self, client: httpx.AsyncClient, root: Cid, form: str
    ) -> None:
        full = await client.get(f"/ipfs/{root}?format={form}")
        only_head = await client.head(f"/ipfs/{root}?format={form}")

        assert only_head.status_code == 200
        assert only_head.headers["ETag"] == full.headers["ETag"]
        assert only_head.headers["Content-Type"] == full.headers["Content-Type"]

    async def test_what_a_cache_has_is_not_sent_again(
        self, client: httpx.AsyncClient, root: Cid
    ) -> None:
        etag = (await client.head(f"/ipfs/{root}?format=raw")).headers["ETag"]
        answer = await client.get(f"/ipfs/{root}?format=raw", headers={"If-None-Match": etag})

        assert (answer.status_code, answer.content) == (304, b"")

    async def test_one_block_alone_can_be_asked_for_as_an_archive(
        self, client: httpx.AsyncClient, root: Cid
    ) -> None:
        answer = await client.get(f"/ipfs/{root}?format=car&dag-scope=block")
        assert read_archive(root, answer.content) == [root]

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("", 406),
            ("?format=tar", 406),
            ("?format=car&car-version=2", 400),
            ("/model?format=raw", 404),
        ],
    )
    async def test_other_forms_are_refused(
        self, client: httpx.AsyncClient, root: Cid, path: str, status: int
    ) -> None:
        assert (await client.get(f"/ipfs/{root}{path}")).status_code == status

    async def test_what_is_not_here_is_not_fetched(self, client: httpx.AsyncClient) -> None:
        absent = Cid.of(Codec.RAW, b"absent")
        for form in ("raw", "car"):
            assert (await client.get(f"/ipfs/{absent}?format={form}")).status_code == 404

    @pytest.mark.parametrize("name", ["x", "..%2f..%2fetc%2fpasswd", "Qm" + "a" * 44, "b" * 5_000])
    async def test_a_name_that_is_none_is_refused(
        self, client: httpx.AsyncClient, name: str
    ) -> None:
        assert (await client.get(f"/ipfs/{name}?format=raw")).status_code in (400, 404)

    async def test_it_can_only_be_read(self, client: httpx.AsyncClient, root: Cid) -> None:
        assert (await client.post(f"/ipfs/{root}?format=raw")).status_code == 405

    async def test_an_archive_breaks_off_when_a_block_is_gone(
        self, client: httpx.AsyncClient, root: Cid, tmp_path: Path
    ) -> None:
        leaf = next((tmp_path / "blocks").rglob("bafk*"))
        leaf.write_bytes(b"rotten")
        with pytest.raises(Exception, match="not here any more"):
            await client.get(f"/ipfs/{root}?format=car")
        assert not leaf.exists()

    async def test_it_says_busy_rather_than_queue(self, blocks: BlockStore, root: Cid) -> None:
        transport = httpx.ASGITransport(gateway_app(blocks, most_at_once=1))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            asked = [client.get(f"/ipfs/{root}?format=car") for _ in range(8)]
            answers = await asyncio.gather(*asked)

        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 503}
