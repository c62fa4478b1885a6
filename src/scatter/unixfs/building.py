"""Cuts files and folders into blocks, as `ipfs add --cid-version=1` does.

Chunks of 256 KiB as raw leaves, up to 174 links to a node, a balanced tree. Memory is one chunk and
one row of links per level of the tree, whatever the size of the file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from scatter.mechanism.errors import BadInput
from scatter.unixfs.cid import Cid, Codec
from scatter.unixfs.nodes import MOST_ENTRIES, Chunk, Directory, Entry, File, encode, read_name

CHUNK_BYTES: Final = 256 << 10
CHUNKS_PER_NODE: Final = 174
MOST_DIRECTORY_BYTES: Final = 256 << 10
"""Names and identifiers of one directory; kubo shards a directory that has more."""

Keep = Callable[[Cid, bytes | memoryview], None]
"""Takes each block, children first. A memoryview is valid during the call only."""


class Source(Protocol):
    """What is read: an unbuffered binary file, or `io.BytesIO`."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Named:
    """A file or folder after it was cut."""

    cid: Cid
    total: int
    """Bytes of all its blocks, repeated ones counted each time."""
    content: int
    """Bytes of the file; of a folder, those of all files in it."""


def drop(cid: Cid, block: bytes | memoryview) -> None:
    """Keeps nothing: for those who want the name only."""


def name_file(source: Source, keep: Keep = drop) -> Named:
    """Reads a file to its end and names it."""
    tree = _Balanced(keep)
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while filled := _fill(source, buffer):
        tree.add(buffer[:filled])
        if filled < CHUNK_BYTES:
            break
    return tree.close()


def name_directory(entries: Mapping[str, Named], keep: Keep = drop) -> Named:
    """Names a folder of named files and folders.

    Raises BadInput for names that cannot be published, and for a folder so large that kubo would
    shard it.
    """
    encoded = sorted((name.encode("utf-8", "surrogateescape"), name) for name in entries)
    for raw, _ in encoded:
        read_name(raw)
    if len(encoded) > MOST_ENTRIES or (
        sum(len(raw) + len(bytes(entries[name].cid)) for raw, name in encoded)
        > MOST_DIRECTORY_BYTES
    ):
        raise BadInput(
            f"A folder of {len(encoded)} entries is too large; spread them over subfolders."
        )
    node = Directory(
        tuple(Entry(name, entries[name].cid, entries[name].total) for _, name in encoded)
    )
    block = encode(node)
    cid = Cid.of(Codec.DAG_PB, block)
    keep(cid, block)
    return Named(
        cid,
        total=len(block) + sum(entry.total for entry in node.entries),
        content=sum(named.content for named in entries.values()),
    )


def _fill(source: Source, buffer: memoryview) -> int:
    """Fills the buffer as far as the source goes; a short read is not yet the end."""
    filled = 0
    while filled < len(buffer):
        read = source.readinto(buffer[filled:])
        if not read:
            break
        filled += read
    return filled


class _Balanced:
    """A tree that grows from its leaves: a full row becomes one link in the row above."""

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self.rows: list[list[Chunk]] = [[]]

    def add(self, content: bytes | memoryview) -> None:
        cid = Cid.of(Codec.RAW, content)
        self.keep(cid, content)
        self._push(0, Chunk(cid, len(content), len(content)))

    def close(self) -> Named:
        """Folds what is left, lowest row first. A lone chunk is the file itself."""
        if not self.rows[0]:
            self.add(b"")
        level = 0
        while level + 1 < len(self.rows) or len(self.rows[level]) > 1:
            self._push(level + 1, self._fold(level))
            level += 1
        top = self.rows[level][0]
        return Named(top.cid, top.total, top.content)

    def _push(self, level: int, chunk: Chunk) -> None:
        if level == len(self.rows):
            self.rows.append([])
        if len(self.rows[level]) == CHUNKS_PER_NODE:
            self._push(level + 1, self._fold(level))
        self.rows[level].append(chunk)

    def _fold(self, level: int) -> Chunk:
        node = File(tuple(self.rows[level]))
        self.rows[level] = []
        block = encode(node)
        cid = Cid.of(Codec.DAG_PB, block)
        self.keep(cid, block)
        total = len(block) + sum(chunk.total for chunk in node.chunks)
        return Chunk(cid, total, node.content)
