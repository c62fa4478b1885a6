"""The blocks of files and folders: what one says, and the bytes that say it.

Reading is strict. A node is decoded, encoded again, and refused unless the bytes are the same, so
each meaning has one encoding and nothing hides in unknown fields. Every count and size is bounded
before it is used. Sources: dag-pb (IPLD), UnixFS 1.0 (IPFS).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from scatter.mechanism.errors import BadInput, ScatterError
from scatter.unixfs.cid import CID_BYTES, Cid, Codec

MOST_BLOCK_BYTES: Final = 2 << 20
"""What the network carries in one block."""

MOST_ENTRIES: Final = 10_000
"""Files and folders in one published folder, at all levels together."""

MOST_CHUNKS: Final = 1_024
"""Links of one file node: kubo writes 174, its newer profile 1,024."""

MOST_NAME_BYTES: Final = 255
"""The longest file name that common file systems take."""

_MOST_SIZE: Final = 1 << 53
"""Sizes above are nonsense, and some readers would round them."""


class NodeRefused(ScatterError):
    """The block is what its name says, but not a file or folder that this project reads."""


class Kind(IntEnum):
    """UnixFS data types."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


@dataclass(frozen=True, slots=True)
class Leaf:
    """A piece of a file: the block's bytes are the content."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """A link from a file to a part of it."""

    cid: Cid
    total: int
    """Bytes of all blocks below, the link's own included, repeated ones counted each time."""
    content: int
    """Bytes of the file that the part holds."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a part of one, in several pieces."""

    chunks: tuple[Chunk, ...]

    @property
    def content(self) -> int:
        """Bytes of the file."""
        return sum(chunk.content for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Entry:
    """A link from a folder to a file or folder in it."""

    name: str
    cid: Cid
    total: int
    """As in `Chunk`."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A folder, its entries in the order of their encoded names."""

    entries: tuple[Entry, ...]


Node = Leaf | File | Directory


# Writing


def encode(node: File | Directory) -> bytes:
    """The canonical bytes of a dag-pb node."""
    if isinstance(node, File):
        links = [_link(chunk.cid, b"", chunk.total) for chunk in node.chunks]
        data = b"\x08\x02\x18" + varint(node.content)
        data += b"".join(b"\x20" + varint(chunk.content) for chunk in node.chunks)
    else:
        links = [_link(entry.cid, entry.name.encode(), entry.total) for entry in node.entries]
        data = b"\x08\x01"
    return b"".join(links) + b"\x0a" + varint(len(data)) + data


def varint(number: int) -> bytes:
    """Unsigned LEB128, shortest form."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _link(cid: Cid, name: bytes, total: int) -> bytes:
    body = b"\x0a" + varint(CID_BYTES) + bytes(cid)
    body += b"\x12" + varint(len(name)) + name + b"\x18" + varint(total)
    return b"\x12" + varint(len(body)) + body


# Reading


def decode(cid: Cid, block: bytes) -> Node:
    """What a block says that was found to be the one `cid` names. Raises NodeRefused."""
    if len(block) > MOST_BLOCK_BYTES:
        raise NodeRefused(f"Block {cid} has {len(block)} bytes; at most 2 MiB are read.")
    if cid.codec is Codec.RAW:
        return Leaf(block)
    try:
        node = _decode_node(block)
    except BadInput as error:
        raise NodeRefused(f"Block {cid}: {error}") from error
    if encode(node) != block:
        raise NodeRefused(f"Block {cid} is not in canonical form.")
    return node


def read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises BadInput when cut off, long or padded."""
    number = 0
    for i in range(8):
        if at + i >= len(encoded):
            raise BadInput("a number is cut off.")
        byte = encoded[at + i]
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if byte == 0 and i:
                raise BadInput("a number is padded.")
            return number, at + i + 1
    raise BadInput("a number is too large.")


def _fields(encoded: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer message: (field number, integer or bytes)."""
    at = 0
    while at < len(encoded):
        key, at = read_varint(encoded, at)
        value, at = read_varint(encoded, at)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2:
            if value > len(encoded) - at:
                raise BadInput("a field is cut off.")
            yield key >> 3, encoded[at : at + value]
            at += value
        else:
            raise BadInput("a field has a type that is not used here.")


def _decode_node(block: bytes) -> File | Directory:
    links: list[tuple[Cid, bytes, int]] = []
    data: bytes | None = None
    for number, value in _fields(block):
        if isinstance(value, int) or number not in (1, 2):
            raise BadInput("an unknown field.")
        if number == 1:
            data = value
        elif len(links) == MOST_ENTRIES:
            raise BadInput(f"more than {MOST_ENTRIES} links.")
        else:
            links.append(_decode_link(value))
    if data is None:
        raise BadInput("no UnixFS data.")
    kind, content, sizes = _decode_data(data)
    if kind is Kind.FILE:
        return _file(links, content, sizes)
    if kind is Kind.DIRECTORY:
        return _directory(links)
    if kind is Kind.SYMLINK:
        raise BadInput("symbolic links are not accepted; publish regular files.")
    if kind is Kind.HAMT_SHARD:
        raise BadInput("sharded folders are not accepted; spread the files over subfolders.")
    raise BadInput("neither a file nor a folder; add files with raw leaves.")


def _decode_link(encoded: bytes) -> tuple[Cid, bytes, int]:
    fields = dict(_fields(encoded))
    cid, name, total = fields.get(1), fields.get(2), fields.get(3)
    if not isinstance(cid, bytes) or not isinstance(name, bytes) or not isinstance(total, int):
        raise BadInput("a link lacks its identifier, name or size.")
    if total > _MOST_SIZE:
        raise BadInput("a link's size is nonsense.")
    return Cid.from_bytes(cid), name, total


def _decode_data(data: bytes) -> tuple[Kind, int, list[int]]:
    """The type, the file size and the sizes of the parts; other fields are refused."""
    kind: Kind | None = None
    content, sizes = 0, []
    for number, value in _fields(data):
        if number == 2:
            raise BadInput("content inside a node; add files with raw leaves.")
        if number not in (1, 3, 4, 5, 6) or not isinstance(value, int):
            raise BadInput("an unknown field in the UnixFS data.")
        if number == 1:
            if value > Kind.HAMT_SHARD:
                raise BadInput("an unknown UnixFS type.")
            kind = Kind(value)
        elif number == 3:
            content = value
        elif number == 4:
            sizes.append(value)
    if kind is None:
        raise BadInput("no UnixFS type.")
    return kind, content, sizes


def _file(links: list[tuple[Cid, bytes, int]], content: int, sizes: list[int]) -> File:
    if not 1 <= len(links) <= MOST_CHUNKS:
        raise BadInput(f"a file node of {len(links)} parts; 1 to {MOST_CHUNKS} are read.")
    if len(sizes) != len(links) or sum(sizes) != content or content > _MOST_SIZE:
        raise BadInput("the sizes of the parts do not add up to the file.")
    for (cid, _, total), size in zip(links, sizes, strict=True):
        if not 0 < size <= total or (cid.codec is Codec.RAW and size != total):
            raise BadInput("a part's sizes contradict each other.")
    return File(
        tuple(Chunk(cid, total, size) for (cid, _, total), size in zip(links, sizes, strict=True))
    )


def _directory(links: list[tuple[Cid, bytes, int]]) -> Directory:
    entries = []
    for position, (cid, encoded, total) in enumerate(links):
        if position and encoded <= links[position - 1][1]:
            raise BadInput("the names are not sorted, or one stands twice.")
        entries.append(Entry(read_name(encoded), cid, total))
    return Directory(tuple(entries))


def read_name(encoded: bytes) -> str:
    """A file name that is safe to create in a folder of one's own. Raises BadInput."""
    if not 0 < len(encoded) <= MOST_NAME_BYTES:
        raise BadInput(f"a file name of {len(encoded)} bytes; 1 to {MOST_NAME_BYTES} are allowed.")
    if encoded in (b".", b"..") or b"/" in encoded or b"\0" in encoded:
        raise BadInput(f"the file name {encoded!r} would leave its folder.")
    try:
        return encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"the file name {encoded!r} is not UTF-8.") from error
