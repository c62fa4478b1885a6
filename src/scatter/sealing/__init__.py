"""Encryption of models while they travel, and of secrets at rest. AES-256-GCM throughout. Pure.

`files` seals a file of any size to one trainer of one job, `records` the small secrets of a node's
store.
"""

from scatter.sealing.files import (
    Key,
    SealBroken,
    WrongKey,
    context,
    key_commitment,
    new_key,
    open_sealed,
    seal,
)
from scatter.sealing.records import StorageKey, derive_storage_key, open_record, seal_record

__all__ = [
    "Key",
    "SealBroken",
    "StorageKey",
    "WrongKey",
    "context",
    "derive_storage_key",
    "key_commitment",
    "new_key",
    "open_record",
    "open_sealed",
    "seal",
    "seal_record",
]
