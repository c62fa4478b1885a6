"""The units of the protocol, as types, so that no bare number crosses a function boundary."""

from typing import NewType

Tokens = NewType("Tokens", int)
"""An amount in the token's smallest unit, 10^-18 token."""

Score = NewType("Score", int)
"""A model's quality in basis points, 0..10_000."""

BasisPoints = NewType("BasisPoints", int)
"""A share, 0..10_000, of which 10_000 is the whole."""

JobId = NewType("JobId", int)
"""The number of a job, from 1 in the order of creation."""

Timestamp = NewType("Timestamp", int)
"""Seconds since 1970, as the chain's blocks state them."""

Seconds = NewType("Seconds", int)
"""A duration."""

BlockNumber = NewType("BlockNumber", int)
"""The height of a block."""

Address = NewType("Address", str)
"""An account, as a checksummed hexadecimal address (ERC-55)."""

Digest = NewType("Digest", bytes)
"""32 bytes: the sha2-256 digest of a CIDv1 dag-pb directory, or a keccak-256 commitment."""

UNIT = 10**18
"""One token, in smallest units."""

WHOLE = 10_000
"""Basis points of a whole, and the best score."""

MOST_STAKE = 2**96 - 1
"""The largest stake or reward of one account, so that it shares a storage word with an address.

It is 79 billion of the 100 billion tokens (`docs/decisions/0003-stakes-share-a-word.md`).
"""
