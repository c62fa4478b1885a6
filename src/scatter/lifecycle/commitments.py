"""Commitments and the draw: what the contracts hash, and how.

All words are 32 bytes, big-endian, as the ABI encodes them; the hash is keccak-256.
"""

from collections.abc import Sequence
from functools import lru_cache

from eth_hash.auto import keccak

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest, JobId, Score

WORD = 32
"""Bytes."""


def commit_to_scores(job: JobId, member: Address, scores: Sequence[Score], salt: bytes) -> Digest:
    """keccak256(abi.encode(uint256 job, address member, uint256[] scores, bytes32 salt)).

    Job and member are inside, so that nobody can commit to a copy of another's hash.
    """
    _require_word(salt, "salt")
    return _commit_to_scores(job, member, tuple(scores), salt)


def commit_to_dataset(dataset: Digest, salt: bytes) -> Digest:
    """keccak256(dataset digest ++ salt), 64 bytes."""
    _require_word(dataset, "dataset digest")
    _require_word(salt, "salt")
    return _commit_to_dataset(dataset, salt)


def draw(
    eligible: Sequence[Address], count: int, seed_hash: bytes, job: JobId
) -> tuple[Address, ...]:
    """`count` of the eligible, by a partial Fisher-Yates shuffle.

    seed = keccak256(hash of the seed block ++ job); step i swaps place i with place
    i + keccak256(seed ++ i) mod (n - i) and takes what came to i. The order of `eligible` is
    that of the role's array at the end of the block before training closed.
    """
    _require_word(seed_hash, "block hash")
    seed = keccak(seed_hash + job.to_bytes(WORD, "big"))
    places = list(eligible)
    for i in range(count):
        step = int.from_bytes(keccak(seed + i.to_bytes(WORD, "big")), "big") % (len(places) - i)
        places[i], places[i + step] = places[i + step], places[i]
    return tuple(places[:count])


# Remembered, for what one hashes to commit, the rules hash again to check; in a simulation both
# happen in one process.
@lru_cache(maxsize=256)
def _commit_to_scores(
    job: JobId, member: Address, scores: tuple[Score, ...], salt: bytes
) -> Digest:
    scores_begin = 4 * WORD
    numbers = (job, int(member, 16), scores_begin, int.from_bytes(salt, "big"), len(scores))
    return Digest(keccak(b"".join([n.to_bytes(WORD, "big") for n in (*numbers, *scores)])))


@lru_cache(maxsize=256)
def _commit_to_dataset(dataset: Digest, salt: bytes) -> Digest:
    return Digest(keccak(dataset + salt))


def _require_word(value: bytes, name: str) -> None:
    if len(value) != WORD:
        raise BadInput(f"The {name} must be {WORD} bytes, not {len(value)}.")
