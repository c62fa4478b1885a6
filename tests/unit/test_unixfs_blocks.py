"""What strangers may send, and what is refused of it."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatter.unixfs import nodes
from scatter.unixfs.building import CHUNK_BYTES, Named, name_directory, name_file
from scatter.unixfs.car import CarReader, header, section
from scatter.unixfs.cid import Cid, Codec
from scatter.unixfs.nodes import (
    Chunk,
    Directory,
    Entry,
    File,
    Leaf,
    NodeRefused,
    decode,
    encode,
    varint,
)
from scatter.unixfs.walking import (
    MOST_DEPTH,
    Claim,
    Walk,
    WrongBlock,
    children,
    read_block,
    read_folder,
)

LEAF = Cid.of(Codec.RAW, b"leaf")
MANY = 1 << 40


class Blocks(dict[Cid, bytes]):
    """Blocks in memory, made by hand."""

    def keep(self, cid: Cid, block: bytes | memoryview) -> None:
        self[cid] = bytes(block)

    def put(self, node: File | Directory | bytes) -> Cid:
        block = node if isinstance(node, bytes) else encode(node)
        cid = Cid.of(Codec.RAW if isinstance(node, bytes) else Codec.DAG_PB, block)
        self[cid] = block
        return cid

    def read(self, root: Cid, most_bytes: int = MANY) -> dict[PurePosixPath, bytes | None]:
        items = read_folder(root.digest, self.__getitem__, most_bytes)
        return {path: content if content is None else b"".join(content) for path, content in items}

    def walk(self, root: Cid, most_bytes: int = MANY) -> Walk:
        walk = Walk(root.digest, most_bytes)
        while walk.wanted:
            cid = next(iter(walk.wanted))
            walk.take(cid, self[cid])
        return walk


@pytest.fixture
def blocks() -> Blocks:
    return Blocks()


def refuse(data: bytes, match: str) -> None:
    with pytest.raises(NodeRefused, match=match):
        decode(Cid.of(Codec.DAG_PB, data), data)


def directory_of(*names: bytes) -> bytes:
    links = [b"\x0a\x24" + bytes(LEAF) + b"\x12" + varint(len(n)) + n + b"\x18\x04" for n in names]
    return b"".join(b"\x12" + varint(len(link)) + link for link in links) + b"\x0a\x02\x08\x01"


class TestNodes:
    def test_what_is_encoded_is_decoded(self) -> None:
        for node in (
            Directory((Entry("a", LEAF, 4), Entry("ä", LEAF, 4))),
            Directory(()),
            File((Chunk(LEAF, 4, 4), Chunk(LEAF, 4, 4))),
        ):
            block = encode(node)
            assert decode(Cid.of(Codec.DAG_PB, block), block) == node

    def test_raw_bytes_are_a_leaf(self) -> None:
        assert decode(LEAF, b"leaf") == Leaf(b"leaf")

    @given(data=st.binary(max_size=200))
    def test_any_bytes_are_decoded_or_refused_and_have_one_meaning(self, data: bytes) -> None:
        try:
            node = decode(Cid.of(Codec.DAG_PB, data), data)
        except NodeRefused:
            return
        assert not isinstance(node, Leaf)
        assert encode(node) == data

    @given(at=st.integers(0, 200), bit=st.integers(0, 7))
    def test_a_flipped_bit_is_refused_or_means_something_else(self, at: int, bit: int) -> None:
        node = Directory((Entry("a", LEAF, 4), Entry("b", LEAF, 4)))
        changed = bytearray(encode(node))
        changed[at % len(changed)] ^= 1 << bit
        block = bytes(changed)
        with contextlib.suppress(NodeRefused):
            assert decode(Cid.of(Codec.DAG_PB, block), block) != node

    @pytest.mark.parametrize(
        ("names", "match"),
        [
            ([b""], "0 bytes"),
            ([b"x" * 256], "256 bytes"),
            ([b"."], "leave its folder"),
            ([b".."], "leave its folder"),
            ([b"../x"], "leave its folder"),
            ([b"/etc"], "leave its folder"),
            ([b"a\0b"], "leave its folder"),
            ([b"\xff"], "UTF-8"),
            ([b"a", b"a"], "twice"),
            ([b"b", b"a"], "not sorted"),
        ],
    )
    def test_hostile_names_are_refused(self, names: list[bytes], match: str) -> None:
        refuse(directory_of(*names), match)

    @pytest.mark.parametrize(
        ("data", "match"),
        [
            (b"", "no UnixFS data"),
            (b"\x0a\x02\x08\x04", "symbolic links"),
            (b"\x0a\x02\x08\x05", "sharded"),
            (b"\x0a\x02\x08\x00", "neither"),
            (b"\x0a\x02\x08\x06", "unknown UnixFS type"),
            (b"\x0a\x04\x08\x02\x18\x00", "0 parts"),
            (b"\x0a\x06\x08\x02\x12\x02hi", "raw leaves"),
            (b"\x0a\x04\x08\x01\x38\x01", "unknown field in the UnixFS data"),
            (b"\x0a\x04\x08\x01\x18\x00", "canonical"),
            (b"\x0a\x82\x00\x08\x01", "padded"),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "too large"),
            (b"\x0a\x09\x08\x01", "cut off"),
            (b"\x0a", "cut off"),
            (b"\x0a\x02\x08\x01\x0a\x02\x08\x01", "canonical"),
            (b"\x0a\x02\x08\x01\x1a\x00", "unknown field"),
            (b"\x0d\x00\x00\x00\x00", "type that is not used"),
            (b"\x12\x02\x18\x01\x0a\x02\x08\x01", "lacks its identifier"),
        ],
    )
    def test_malformed_nodes_are_refused(self, data: bytes, match: str) -> None:
        refuse(data, match)

    @pytest.mark.parametrize(
        ("chunk", "match"),
        [
            (Chunk(LEAF, 4, 5), "contradict"),
            (Chunk(LEAF, 4, 3), "contradict"),
            (Chunk(LEAF, 0, 0), "contradict"),
            (Chunk(LEAF, 1 << 54, 1 << 54), "nonsense"),
        ],
    )
    def test_sizes_that_contradict_each_other_are_refused(self, chunk: Chunk, match: str) -> None:
        refuse(encode(File((chunk,))), match)

    def test_a_part_of_a_file_has_no_name(self) -> None:
        link = b"\x0a\x24" + bytes(LEAF) + b"\x12\x01n\x18\x04"
        data = b"\x08\x02\x18\x04\x20\x04"
        refuse(b"\x12" + bytes((len(link),)) + link + b"\x0a\x06" + data, "canonical")

    def test_a_file_whose_parts_do_not_add_up_is_refused(self) -> None:
        block = encode(File((Chunk(LEAF, 4, 4),)))
        refuse(block.replace(b"\x18\x04\x20\x04", b"\x18\x05\x20\x04"), "add up")

    def test_a_file_node_with_too_many_parts_is_refused(self) -> None:
        refuse(encode(File((Chunk(LEAF, 4, 4),) * (nodes.MOST_CHUNKS + 1))), "1025 parts")

    def test_a_folder_with_too_many_entries_is_refused(self) -> None:
        entries = tuple(Entry(f"{n:05}", LEAF, 4) for n in range(nodes.MOST_ENTRIES + 1))
        refuse(encode(Directory(entries)), "more than 10000 links")

    def test_a_block_above_two_megabytes_is_refused(self) -> None:
        block = bytes(nodes.MOST_BLOCK_BYTES + 1)
        with pytest.raises(NodeRefused, match="2 MiB"):
            decode(Cid.of(Codec.RAW, block), block)


class TestWalk:
    def test_a_folder_comes_back_as_it_was_cut(self, blocks: Blocks) -> None:
        big = Random(1).randbytes(CHUNK_BYTES * 3 + 1)
        inner = name_directory({"big": name_file(io.BytesIO(big), blocks.keep)}, blocks.keep)
        root = name_directory(
            {"inner": inner, "a": name_file(io.BytesIO(b"a"), blocks.keep)}, blocks.keep
        )

        assert blocks.walk(root.cid).total == root.total
        assert blocks.read(root.cid) == {
            PurePosixPath("a"): b"a",
            PurePosixPath("inner"): None,
            PurePosixPath("inner/big"): big,
        }

    def test_other_bytes_under_a_name_are_the_senders_fault(self) -> None:
        with pytest.raises(WrongBlock):
            read_block(LEAF, b"Leaf", Claim())

    def test_a_block_nobody_asked_for_is_the_senders_fault(self, blocks: Blocks) -> None:
        walk = Walk(blocks.put(Directory(())).digest, MANY)
        with pytest.raises(WrongBlock, match="no part"):
            walk.take(LEAF, b"leaf")

    def test_a_block_that_comes_twice_is_taken_once(self, blocks: Blocks) -> None:
        root = blocks.put(Directory(()))
        walk = Walk(root.digest, MANY)

        assert [walk.take(root, blocks[root]) for _ in range(2)] == [True, False]

    def test_a_bare_file_is_not_a_folder(self, blocks: Blocks) -> None:
        file = blocks.put(File((Chunk(LEAF, 4, 4),)))
        with pytest.raises(NodeRefused, match="is a file"):
            blocks.walk(file)
        with pytest.raises(NodeRefused, match="is a file"):
            blocks.read(file)

    @pytest.mark.parametrize("wrong", [3, 5])
    def test_a_link_that_misstates_what_is_below_is_refused(
        self, blocks: Blocks, wrong: int
    ) -> None:
        root = blocks.put(Directory((Entry("x", blocks.put(b"leaf"), wrong),)))
        with pytest.raises(NodeRefused, match="weighs"):
            blocks.walk(root)
        with pytest.raises(NodeRefused, match="weighs"):
            blocks.read(root)

    def test_a_folder_as_part_of_a_file_is_refused(self, blocks: Blocks) -> None:
        folder = blocks.put(Directory(()))
        file = File((Chunk(folder, len(blocks[folder]), 1),))
        root = blocks.put(Directory((Entry("x", blocks.put(file), len(encode(file)) + 4),)))
        with pytest.raises(NodeRefused, match="not the part of a file"):
            blocks.walk(root)
        with pytest.raises(NodeRefused, match="not the part of a file"):
            blocks.read(root)

    @pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
    def test_two_links_that_disagree_are_refused(
        self, blocks: Blocks, names: tuple[str, str]
    ) -> None:
        leaf = blocks.put(b"leaf")
        links = dict(zip(names, (4, 5), strict=True))
        entries = tuple(Entry(name, leaf, links[name]) for name in sorted(links))
        with pytest.raises(NodeRefused, match="different things"):
            blocks.walk(blocks.put(Directory(entries)))

    def test_a_folder_that_unfolds_to_more_than_allowed_is_refused_at_its_root(
        self, blocks: Blocks
    ) -> None:
        """Ten folders in each other, each holding the next a hundred times: 10^20 files."""
        named = Named(blocks.put(b"leaf"), 4, 4)
        for _ in range(6):
            named = name_directory({f"{n:02}": named for n in range(100)}, blocks.keep)
        walk = Walk(named.cid.digest, 1 << 30)
        with pytest.raises(NodeRefused, match="weighs"):
            walk.take(named.cid, blocks[named.cid])

    def test_many_entries_through_shared_folders_are_refused(self, blocks: Blocks) -> None:
        named = Named(blocks.put(b""), 0, 0)
        for _ in range(2):
            named = name_directory({f"{n:03}": named for n in range(101)}, blocks.keep)
        with pytest.raises(NodeRefused, match="10000 entries"):
            blocks.read(named.cid)

    def test_too_deep_a_folder_is_refused(self, blocks: Blocks) -> None:
        named = name_directory({}, blocks.keep)
        for _ in range(MOST_DEPTH - 1):
            named = name_directory({"x": named}, blocks.keep)
        assert blocks.read(named.cid)
        with pytest.raises(NodeRefused, match="24 blocks deep"):
            blocks.read(name_directory({"x": named}, blocks.keep).cid)

    def test_too_long_a_path_is_refused(self, blocks: Blocks) -> None:
        named = name_directory({}, blocks.keep)
        for _ in range(5):
            named = name_directory({"x" * 250: named}, blocks.keep)
        with pytest.raises(NodeRefused, match="longer than 1024"):
            blocks.read(named.cid)

    def test_a_chunk_above_two_megabytes_is_refused_before_it_comes(self, blocks: Blocks) -> None:
        size = (2 << 20) + 1
        root = blocks.put(Directory((Entry("x", LEAF, size),)))
        with pytest.raises(NodeRefused, match="2 MiB"):
            Walk(root.digest, MANY).take(root, blocks[root])

    def test_a_link_that_disagrees_with_a_block_that_came_is_refused(self, blocks: Blocks) -> None:
        leaf = blocks.put(b"leaf")
        inner = name_directory({"y": Named(leaf, 5, 5)}, blocks.keep)
        root = blocks.put(Directory((Entry("a", leaf, 4), Entry("b", inner.cid, inner.total))))
        walk = Walk(root.digest, MANY)
        walk.take(root, blocks[root])
        walk.take(leaf, b"leaf")
        with pytest.raises(NodeRefused, match="different things"):
            walk.take(inner.cid, blocks[inner.cid])

    def test_files_that_hold_too_much_are_refused(self, blocks: Blocks) -> None:
        root = name_directory({"x": name_file(io.BytesIO(b"12345"), blocks.keep)}, blocks.keep)
        assert blocks.read(root.cid, most_bytes=5)
        with pytest.raises(NodeRefused, match="4 bytes allowed"):
            blocks.read(root.cid, most_bytes=4)

    def test_crumbs_are_refused_before_they_fill_the_memory(self, blocks: Blocks) -> None:
        chunks = tuple(Chunk(blocks.put(b"%d" % (n % 10)), 1, 1) for n in range(1_024))
        file = blocks.put(File(chunks))
        named = Named(file, len(blocks[file]) + 1_024, 1_024)
        root = name_directory({f"{n:02}": named for n in range(2)}, blocks.keep)
        walk = Walk(root.cid.digest, 1 << 20)
        walk.links_left = 1_000
        walk.take(root.cid, blocks[root.cid])
        with pytest.raises(NodeRefused, match="too many blocks"):
            walk.take(file, blocks[file])


class TestCar:
    @pytest.fixture
    def root(self, blocks: Blocks) -> Cid:
        file = name_file(io.BytesIO(Random(1).randbytes(CHUNK_BYTES + 9)), blocks.keep)
        return name_directory({"f": file}, blocks.keep).cid

    def archive(self, blocks: Blocks, root: Cid) -> bytes:
        def below(cid: Cid) -> Iterator[Cid]:
            yield cid
            for child in children(decode(cid, blocks[cid])):
                yield from below(child)

        return header(root) + b"".join(
            section(cid, len(blocks[cid])) + blocks[cid] for cid in below(root)
        )

    @pytest.mark.parametrize("piece", [1_000, 65_536, 1 << 20])
    def test_an_archive_in_pieces_gives_its_blocks(
        self, blocks: Blocks, root: Cid, piece: int
    ) -> None:
        archive, reader = self.archive(blocks, root), CarReader(root)

        read = [
            block
            for at in range(0, len(archive), piece)
            for block in reader.feed(archive[at : at + piece])
        ]

        reader.close()
        assert dict(read) == blocks

    @pytest.mark.parametrize("cut", [0, 30, 58, 200, -1])
    def test_an_archive_that_is_cut_off_is_refused(
        self, blocks: Blocks, root: Cid, cut: int
    ) -> None:
        reader = CarReader(root)
        list(reader.feed(self.archive(blocks, root)[:cut]))
        with pytest.raises(WrongBlock, match="cut off"):
            reader.close()

    def test_an_archive_of_another_root_is_refused(self, blocks: Blocks, root: Cid) -> None:
        with pytest.raises(WrongBlock, match="one root"):
            list(CarReader(blocks.put(Directory(()))).feed(self.archive(blocks, root)))

    @pytest.mark.parametrize(
        "rest",
        [
            b"\x00",
            b"\x23" + bytes(40),
            varint((2 << 20) + 37) + bytes(100),
            b"\xff" * 10,
            b"\x80\x00\x00\x00",
            b"\x28" + bytes(40),
        ],
    )
    def test_a_malformed_section_is_refused_before_it_is_held(self, root: Cid, rest: bytes) -> None:
        with pytest.raises(WrongBlock):
            list(CarReader(root).feed(header(root) + rest))

    def test_the_header_is_that_of_the_specification(self, root: Cid) -> None:
        cbor2 = pytest.importorskip("cbor2")
        decoded = cbor2.loads(header(root)[1:])
        assert decoded["version"] == 1
        assert [tag.value for tag in decoded["roots"]] == [b"\0" + bytes(root)]
