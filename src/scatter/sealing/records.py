"""Seals the small secrets of a node at rest: keys of models, salts of commitments.

The key comes from the account's private key, so a stolen database without it tells nothing, and a
restored one opens again. A record is bound to its name: two records cannot be exchanged.
"""

import secrets
from typing import Final, NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scatter.mechanism.errors import BadInput
from scatter.sealing.files import SealBroken

StorageKey = NewType("StorageKey", bytes)
"""32 bytes that open the records of one account."""

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_LABEL: Final = b"scatter/record/v1\0"


def derive_storage_key(private_key: bytes) -> StorageKey:
    """The storage key of the account with this private key (32 bytes), by HKDF-SHA256."""
    if len(private_key) != 32:
        raise BadInput(f"A private key has 32 bytes, this one has {len(private_key)}.")
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"scatter/storage-key/v1")
    return StorageKey(kdf.derive(private_key))


def seal_record(key: StorageKey, name: str, value: bytes) -> bytes:
    """Version, random nonce, ciphertext and tag: 29 bytes longer than `value`."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, value, _LABEL + name.encode())


def open_record(key: StorageKey, name: str, sealed: bytes) -> bytes:
    """The inverse. Raises SealBroken for another key, another name, or changed bytes."""
    if len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
        raise SealBroken(f"The record {name!r} is not sealed in a way that is known here.")
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _LABEL + name.encode())
    except InvalidTag as error:
        raise SealBroken(
            f"The record {name!r} was changed, or belongs to another account."
        ) from error
