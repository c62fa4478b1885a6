"""Content identifiers: CIDv1 with sha2-256, of raw bytes or of a dag-pb node.

Only this one form exists here: a block has exactly one name, so names are compared as bytes.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest

CID_BYTES: Final = 36
"""Version, codec, hash function, hash length, and 32 bytes of hash."""

_TEXT_CHARACTERS: Final = 59
"""`b`, then 36 bytes in base32 without padding."""


class Codec(IntEnum):
    """How the bytes of a block are to be read (multicodec table)."""

    RAW = 0x55
    DAG_PB = 0x70


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """The name of one block."""

    codec: Codec
    digest: Digest

    @classmethod
    def of(cls, codec: Codec, block: bytes | memoryview) -> Self:
        """Names a block by its contents."""
        return cls(codec, Digest(hashlib.sha256(block).digest()))

    @classmethod
    def of_folder(cls, digest: Digest) -> Self:
        """The name of a published folder, whose digest is what the chain holds (32 bytes)."""
        if len(digest) != 32:
            raise BadInput(f"A folder's digest has 32 bytes, this one has {len(digest)}.")
        return cls(Codec.DAG_PB, Digest(bytes(digest)))

    @classmethod
    def from_bytes(cls, encoded: bytes) -> Self:
        """Reads the binary form. Raises BadInput for any other kind of identifier."""
        if len(encoded) == CID_BYTES and encoded[0] == 1 and encoded[2:4] == b"\x12\x20":
            if encoded[1] == Codec.RAW:
                return cls(Codec.RAW, Digest(bytes(encoded[4:])))
            if encoded[1] == Codec.DAG_PB:
                return cls(Codec.DAG_PB, Digest(bytes(encoded[4:])))
        raise BadInput("Only CIDv1 with sha2-256, of raw bytes or dag-pb, is understood here.")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads `bafy...` or `bafk...`. Raises BadInput unless it is the one canonical spelling."""
        if len(text) != _TEXT_CHARACTERS or text[0] != "b" or not text.isascii():
            raise BadInput(f"{text[:80]!r} is not a CIDv1 in base32 (`bafy...`, 59 characters).")
        try:
            cid = cls.from_bytes(base64.b32decode(text[1:].upper() + "======"))
        except binascii.Error as error:
            raise BadInput(f"{text!r} is not base32: {error}.") from error
        if str(cid) != text:
            raise BadInput(f"{text!r} is not the canonical spelling of {cid}.")
        return cid

    def __bytes__(self) -> bytes:
        return bytes((1, self.codec, 0x12, 0x20)) + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(bytes(self)).decode("ascii").rstrip("=").lower()

    def names(self, block: bytes | memoryview) -> bool:
        """Whether this is the name of `block`."""
        return hmac.compare_digest(hashlib.sha256(block).digest(), self.digest)


def folder_text(digest: Digest) -> str:
    """The identifier of a published folder as people write it, `bafybei...`."""
    return str(Cid.of_folder(digest))


def folder_digest(text: str) -> Digest:
    """The inverse of `folder_text`. Raises BadInput, also for the name of a bare file."""
    cid = Cid.from_text(text)
    if cid.codec is not Codec.DAG_PB:
        raise BadInput(f"{text} names a bare file; everything published here is a folder.")
    return cid.digest
