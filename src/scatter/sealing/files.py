"""Seals a file in chunks of 1 MiB with AES-256-GCM, in constant memory (paper 3.6).

The seal is bound to a context, one trainer in one job, so that nobody can pass a copied file off
as his own. AES-GCM alone lets a file open under two keys; a commitment to the key rules that out,
and shows a wrong key before anything is decrypted. `docs/content.md` gives the format byte by byte.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.units import Address, Digest, JobId

Key = NewType("Key", bytes)
"""32 random bytes that open one file."""

MAGIC: Final = b"SCTRENC1"
CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
HEADER_BYTES: Final = 8 + 4 + 8 + 32 + 32 + 32
MOST_BYTES: Final = CHUNK_BYTES << 32
"""The counter of chunks has 32 bits; beyond, a nonce would repeat."""


class SealBroken(ScatterError):
    """The file is not sealed, was changed after sealing, or belongs to another trainer or job."""


class WrongKey(ScatterError):
    """The key is not the one that its owner committed to."""


def new_key() -> Key:
    """A key for one file."""
    return Key(secrets.token_bytes(32))


def context(chain_id: int, contract: Address, job: JobId, trainer: Address) -> bytes:
    """32 bytes that say whose model this is, and in which job of which deployment.

    SHA-256 over a label and the fields at fixed lengths, so that no two meanings share bytes.
    """
    fields = (
        b"scatter/context/v1\0",
        chain_id.to_bytes(32, "big"),
        _account(contract),
        job.to_bytes(32, "big"),
        _account(trainer),
    )
    return hashlib.sha256(b"".join(fields)).digest()


def key_commitment(key: Key, context: bytes) -> Digest:
    """What the trainer puts on chain: it fixes the key and does not tell it."""
    return Digest(hashlib.sha256(b"scatter/key-commit/v1\0" + key + context).digest())


def seal(source: Path, target: Path, key: Key, context: bytes) -> None:
    """Writes `source`, sealed, at `target`, over what stood there, whole or not at all.

    Raises BadInput when `source` cannot be read or changes meanwhile.
    """
    _check_lengths(key, context)
    with _open(source) as plain, _replace(target) as sealed:
        size = os.fstat(plain.fileno()).st_size
        header = _header(size, secrets.token_bytes(32), context, key_commitment(key, context))
        cipher, associated = _cipher(key, header)
        sealed.write(header)
        for length, nonce in _chunks(size):
            content = plain.read(length)
            if len(content) < length:
                raise BadInput(f"{source} became shorter while it was sealed; try again.")
            sealed.write(cipher.encrypt(nonce, content, associated))
        if plain.read(1):
            raise BadInput(f"{source} became longer while it was sealed; try again.")


def open_sealed(
    source: Path,
    target: Path,
    key: Key,
    context: bytes,
    key_commitment: Digest,
    *,
    most_bytes: int,
) -> None:
    """Writes what `source` seals at `target`, over what stood there, whole or not at all.

    `context` and `key_commitment` are what the chain says. Header, commitment and length are
    checked before anything is decrypted. Raises WrongKey; SealBroken when a byte was changed,
    added, taken away or moved, when the seal is another trainer's, or more than `most_bytes` are
    inside; BadInput when `source` cannot be read.
    """
    _check_lengths(key, context)
    _check_key(key, context, key_commitment)
    with _open(source) as sealed:
        header = sealed.read(HEADER_BYTES)
        size = _read_header(header, os.fstat(sealed.fileno()).st_size, context, key_commitment)
        if size > most_bytes:
            raise SealBroken(f"{source.name} seals {size} bytes; at most {most_bytes} are allowed.")
        cipher, associated = _cipher(key, header)
        with _replace(target) as plain:
            for length, nonce in _chunks(size):
                try:
                    content = cipher.decrypt(nonce, sealed.read(length + TAG_BYTES), associated)
                except InvalidTag as error:
                    raise SealBroken(f"{source.name} was changed after it was sealed.") from error
                plain.write(content)


def _account(address: Address) -> bytes:
    try:
        account = bytes.fromhex(address.removeprefix("0x"))
    except ValueError as error:
        raise BadInput(f"{address!r} is not an address.") from error
    if len(account) != 20:
        raise BadInput(f"{address!r} is not an address of 20 bytes.")
    return account


def _check_lengths(key: Key, context: bytes) -> None:
    if len(key) != 32 or len(context) != 32:
        raise BadInput("A key and a context have 32 bytes each.")


def _check_key(key: Key, context: bytes, commitment: Digest) -> None:
    if not hmac.compare_digest(key_commitment(key, context), commitment):
        raise WrongKey("This key is not the one that was committed to for this model.")


def _header(size: int, salt: bytes, context: bytes, commitment: Digest) -> bytes:
    lengths = CHUNK_BYTES.to_bytes(4, "big") + size.to_bytes(8, "big")
    return MAGIC + lengths + salt + context + commitment


def _read_header(header: bytes, file_bytes: int, context: bytes, commitment: Digest) -> int:
    """The size of the content, once all the rest of the header is as it must be."""
    if len(header) < HEADER_BYTES or header[:8] != MAGIC:
        raise SealBroken("This is no sealed file, or its beginning is cut off.")
    size, salt = int.from_bytes(header[12:20], "big"), header[20:52]
    if header[52:84] != context:
        raise SealBroken("This file was sealed for another trainer, job or deployment.")
    if size > MOST_BYTES or header != _header(size, salt, context, commitment):
        raise SealBroken("The header contradicts what was committed to.")
    chunks = max(1, -(-size // CHUNK_BYTES))
    if file_bytes != HEADER_BYTES + size + chunks * TAG_BYTES:
        raise SealBroken("The sealed file was cut off, or something was appended.")
    return size


def _cipher(key: Key, header: bytes) -> tuple[AESGCM, bytes]:
    """The cipher of this one file, and what every chunk is bound to."""
    info = b"scatter/file-key/v1" + header
    derived = HKDF(algorithm=SHA256(), length=32, salt=header[20:52], info=info).derive(key)
    return AESGCM(derived), hashlib.sha256(header).digest()


def _chunks(size: int) -> Iterator[tuple[int, bytes]]:
    """The length and nonce of each chunk; an empty file has one, which is empty.

    The nonce counts, so chunks cannot be moved, and marks the last, so none can be missing.
    """
    last = max(0, (size - 1) // CHUNK_BYTES)
    for number in range(last + 1):
        length = min(CHUNK_BYTES, size - number * CHUNK_BYTES)
        yield length, bytes(7) + number.to_bytes(4, "big") + bytes((number == last,))


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


@contextmanager
def _replace(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` when all went well, on the disk by then."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
