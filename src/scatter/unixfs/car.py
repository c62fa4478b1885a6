"""CAR, version 1: the blocks of one folder in a row, each with its name.

The archive of a folder has one root, so its header is known before it arrives and is compared as
bytes; no CBOR is decoded. Source: the CARv1 specification of IPLD.
"""

from collections.abc import Iterator
from typing import Final

from scatter.mechanism.errors import BadInput
from scatter.unixfs.cid import CID_BYTES, Cid
from scatter.unixfs.nodes import MOST_BLOCK_BYTES, read_varint, varint
from scatter.unixfs.walking import WrongBlock

_MOST_SECTION: Final = CID_BYTES + MOST_BLOCK_BYTES
_MOST_VARINT: Final = 4
"""Bytes of the largest length that can be within bounds."""


def header(root: Cid) -> bytes:
    """The header of an archive with one root, its length in front (DAG-CBOR)."""
    body = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00" + bytes(root) + b"\x67version\x01"
    return varint(len(body)) + body


def section(cid: Cid, block_bytes: int) -> bytes:
    """What stands before a block."""
    return varint(CID_BYTES + block_bytes) + bytes(cid)


class CarReader:
    """Cuts an archive into blocks while it arrives; holds back less than one block.

    It says what a block is called, not what it is: the reader of the blocks verifies them.
    """

    def __init__(self, root: Cid) -> None:
        self._header = header(root)
        self._root = root
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Cid, bytes]]:
        """The blocks that are complete with `data`. Raises WrongBlock when this is no such CAR."""
        self._buffer += data
        if self._header and not self._skip_header():
            return
        at = 0
        while (end := self._section(at)) is not None:
            start, stop = end
            cid = self._cid(start)
            yield cid, bytes(memoryview(self._buffer)[start + CID_BYTES : stop])
            at = stop
        del self._buffer[:at]

    def close(self) -> None:
        """Raises WrongBlock when the archive was cut off inside a block."""
        if self._header or self._buffer:
            raise WrongBlock("The archive is cut off.")

    def _skip_header(self) -> bool:
        known = min(len(self._header), len(self._buffer))
        if self._buffer[:known] != self._header[:known]:
            raise WrongBlock(f"This is no CARv1 archive with the one root {self._root}.")
        if known < len(self._header):
            return False
        del self._buffer[:known]
        self._header = b""
        return True

    def _section(self, at: int) -> tuple[int, int] | None:
        """Where the section's name starts and its block ends; None while it is incomplete."""
        front = bytes(self._buffer[at : at + _MOST_VARINT])
        try:
            length, used = read_varint(front, 0)
        except BadInput as error:
            if len(front) < _MOST_VARINT:
                return None
            raise WrongBlock(f"The length of a section is not readable: {error}") from error
        if not CID_BYTES <= length <= _MOST_SECTION:
            raise WrongBlock(f"A section of {length} bytes; at most {_MOST_SECTION} are read.")
        stop = at + used + length
        return (at + used, stop) if stop <= len(self._buffer) else None

    def _cid(self, start: int) -> Cid:
        try:
            return Cid.from_bytes(bytes(self._buffer[start : start + CID_BYTES]))
        except BadInput as error:
            raise WrongBlock(f"A section names no block: {error}") from error
