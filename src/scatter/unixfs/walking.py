"""Follows a folder through blocks that strangers hand over.

A link states how large everything below it is, and each block is held to what its link stated. So
the root alone bounds the folder, before anything else is fetched: a folder that unfolds to more
than it weighs (shared branches, a cycle) contradicts itself or states a size that is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import Digest
from scatter.unixfs.cid import Cid, Codec
from scatter.unixfs.nodes import (
    MOST_BLOCK_BYTES,
    MOST_ENTRIES,
    Directory,
    File,
    Leaf,
    Node,
    NodeRefused,
    decode,
)

MOST_DEPTH: Final = 24
"""Blocks on the way from the root to the end of a file."""

MOST_PATH_BYTES: Final = 1_024
"""Of a file's path within its folder; systems stop at 4,096 for the whole path."""

MOST_LEVELS: Final = 16
"""Folders within folders that may be published, so that `MOST_DEPTH` leaves room for files."""


class WrongBlock(ScatterError):
    """Whoever sent this block did not send what was asked for; it says nothing about the folder."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the links to a block say about it; None where they say nothing."""

    total: int | None = None
    content: int | None = None
    """Stated only by a file of its parts, so it also says that the block is no folder."""


def most_total(most_bytes: int) -> int:
    """All blocks of a folder with `most_bytes` in its files may weigh this much.

    A link takes about 60 bytes, and chunks are expected to have 4 KiB or more.
    """
    return most_bytes + most_bytes // 64 + (4 << 20)


def read_block(cid: Cid, block: bytes, claim: Claim) -> Node:
    """Decodes a block and holds it to what was said about it.

    Raises WrongBlock when the block is another one, NodeRefused when the folder is at fault.
    """
    if not cid.names(block):
        raise WrongBlock(f"Other bytes than those of block {cid} were sent in its place.")
    return _read_verified(cid, block, claim)


def _read_verified(cid: Cid, block: bytes, claim: Claim) -> Node:
    node = decode(cid, block)
    total = total_of(node, len(block))
    if claim.total is not None and claim.total != total:
        raise NodeRefused(f"Block {cid} weighs {total} bytes with all below; its link says other.")
    if claim.content is not None and claim.content != _content_of(node):
        raise NodeRefused(f"Block {cid} is not the part of a file that its link says.")
    return node


def total_of(node: Node, block_bytes: int) -> int:
    """Bytes of a block and all below it, repeated ones counted each time."""
    if isinstance(node, Leaf):
        return block_bytes
    return block_bytes + sum(total for _, total, _ in _links(node))


def _content_of(node: Node) -> int | None:
    if isinstance(node, Leaf):
        return len(node.content)
    return node.content if isinstance(node, File) else None


def _links(node: Node) -> Iterator[tuple[Cid, int, int | None]]:
    """The links of a node: (block, total, content)."""
    if isinstance(node, File):
        for chunk in node.chunks:
            yield chunk.cid, chunk.total, chunk.content
    elif isinstance(node, Directory):
        for entry in node.entries:
            yield entry.cid, entry.total, None


def children(node: Node) -> list[Cid]:
    """The blocks a node links to, in order."""
    return [cid for cid, _, _ in _links(node)]


def _agree(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other


class Walk:
    """The blocks of one folder that are still wanted, while they arrive, parents first."""

    def __init__(self, root: Digest, most_bytes: int) -> None:
        self.root = Cid.of_folder(root)
        self.most_bytes = most_bytes
        self.wanted: dict[Cid, Claim] = {self.root: Claim()}
        self.links_left = 2 * MOST_ENTRIES + most_bytes // (16 << 10)
        self.total = 0
        """Bytes of all blocks, once the root has arrived."""
        self._taken: dict[Cid, Claim] = {}

    @property
    def bytes_wanted(self) -> int:
        """At most so many bytes are still to come."""
        if self.root in self.wanted:
            return MOST_BLOCK_BYTES
        return sum(claim.total or 0 for claim in self.wanted.values())

    def take(self, cid: Cid, block: bytes) -> bool:
        """Takes a block that arrived; returns whether it is new, and so to be kept.

        Raises WrongBlock when it was not wanted or is not what it is called, NodeRefused when the
        folder breaks a bound: then no source can help.
        """
        claim = self.wanted.get(cid)
        if claim is None:
            if cid in self._taken:
                return False
            raise WrongBlock(f"Block {cid} is no part of the folder {self.root}.")
        node = read_block(cid, block, claim)
        if cid == self.root:
            self._start(node, len(block))
        del self.wanted[cid]
        self._taken[cid] = Claim(total_of(node, len(block)), _content_of(node))
        for link in _links(node):
            self._want(*link)
        return True

    def _start(self, node: Node, block_bytes: int) -> None:
        if not isinstance(node, Directory):
            raise NodeRefused(f"{self.root} is a file; everything published is a folder.")
        self.total = total_of(node, block_bytes)
        if self.total > most_total(self.most_bytes):
            raise NodeRefused(
                f"{self.root} weighs {self.total} bytes; at most {self.most_bytes} are allowed."
            )

    def _want(self, cid: Cid, total: int, content: int | None) -> None:
        self.links_left -= 1
        if self.links_left < 0:
            raise NodeRefused(f"{self.root} consists of too many blocks for its size.")
        if cid.codec is Codec.RAW and total > MOST_BLOCK_BYTES:
            raise NodeRefused(f"Block {cid} has {total} bytes; at most 2 MiB are read.")
        taken = self._taken.get(cid)
        if taken is not None:
            if taken.total != total or (content is not None and taken.content != content):
                raise NodeRefused(f"Two links say different things about block {cid}.")
            return
        known = self.wanted.get(cid, Claim(total, content))
        if known.total != total or not _agree(known.content, content):
            raise NodeRefused(f"Two links say different things about block {cid}.")
        self.wanted[cid] = Claim(total, content if known.content is None else known.content)


Get = Callable[[Cid], bytes]
"""Hands over a block that it verified, as stores do; raises an error of its own when it has none.
"""


def read_folder(
    root: Digest, get: Get, most_bytes: int
) -> Iterator[tuple[PurePosixPath, Iterator[bytes] | None]]:
    """The folders and files below `root`, depth first, in the order of their names.

    Yields (path, None) for a folder, (path, content) for a file, whose content must be read before
    the next item is asked for. Raises NodeRefused when a bound is broken: `most_bytes` in all
    files, `MOST_ENTRIES`, `MOST_DEPTH`.
    """
    return _Reader(get, most_bytes).read(Cid.of_folder(root))


class _Reader:
    def __init__(self, get: Get, most_bytes: int) -> None:
        self.get = get
        self.most_bytes = most_bytes
        self.bytes_left = most_bytes
        self.entries_left = MOST_ENTRIES

    def read(self, root: Cid) -> Iterator[tuple[PurePosixPath, Iterator[bytes] | None]]:
        node = _read_verified(root, self.get(root), Claim())
        if not isinstance(node, Directory):
            raise NodeRefused(f"{root} is a file; everything published is a folder.")
        yield from self._folder(PurePosixPath(), node, 1)

    def _folder(
        self, path: PurePosixPath, directory: Directory, depth: int
    ) -> Iterator[tuple[PurePosixPath, Iterator[bytes] | None]]:
        _check_depth(depth)
        for entry in directory.entries:
            self.entries_left -= 1
            if self.entries_left < 0:
                raise NodeRefused(f"The folder has more than {MOST_ENTRIES} entries.")
            if len(bytes(path / entry.name)) > MOST_PATH_BYTES:
                raise NodeRefused(f"A path in the folder is longer than {MOST_PATH_BYTES} bytes.")
            node = _read_verified(entry.cid, self.get(entry.cid), Claim(entry.total))
            if isinstance(node, Directory):
                yield path / entry.name, None
                yield from self._folder(path / entry.name, node, depth + 1)
            else:
                self.bytes_left -= _content_of(node) or 0
                if self.bytes_left < 0:
                    raise NodeRefused(
                        f"The files hold more than the {self.most_bytes} bytes allowed."
                    )
                yield path / entry.name, self._content(node, depth + 1)

    def _content(self, node: Leaf | File, depth: int) -> Iterator[bytes]:
        _check_depth(depth)
        if isinstance(node, Leaf):
            yield node.content
            return
        for chunk in node.chunks:
            claim = Claim(chunk.total, chunk.content)
            part = _read_verified(chunk.cid, self.get(chunk.cid), claim)
            if isinstance(part, Directory):
                raise NodeRefused(f"Block {chunk.cid}, a part of a file, is a folder.")
            yield from self._content(part, depth + 1)


def _check_depth(depth: int) -> None:
    if depth > MOST_DEPTH:
        raise NodeRefused(f"The folder is more than {MOST_DEPTH} blocks deep.")
