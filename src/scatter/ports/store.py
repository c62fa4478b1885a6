"""What a node remembers across restarts, beyond what the chain and its key can tell it.

Values are sealed at rest with a key derived from the account's: AES keys of models, salts of
commitments. A write has reached the disk when the call returns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import Address, BlockNumber, JobId


class StoreDamaged(ScatterError):
    """The database cannot be read or belongs to another account; the message says which file."""


class Kind(StrEnum):
    """What a record holds."""

    MODEL_KEY = "model-key"
    """32 bytes: the AES key of a trainer's model; of one's own, or verified as a validator."""
    LETTER_KEY = "letter-key"
    """32 bytes: to which a member had a trainer seal its model's key."""
    MODEL = "model"
    """The digest under which one's own sealed model was published."""
    SCORES = "scores"
    """A member's scores and salt, from before they were committed to."""
    DATASET = "dataset"
    """A requester's evaluation dataset: digest and salt, from before the job was created."""
    FINDING = "finding"
    """What a challenger's own evaluation said."""
    EVIDENCE = "evidence"
    """What a node found when it evaluated, and what shows it; by role."""
    RESULT = "result"
    """A requester's aggregate: where it lies and of what it was made."""
    TRAINING = "training"
    """What the training run reported: examples, losses, seconds, backend."""
    ORDER = "order"
    """What the operator asked for by hand: join with a stake, start, ..."""


@dataclass(frozen=True)
class Cursor:
    """The last block whose events were handled."""

    block: BlockNumber
    hash: bytes


@dataclass(frozen=True)
class Work:
    """One entry of the queue, as shown to the operator."""

    role: str
    job: JobId
    state: str
    """`waiting`, `running`, `done` or `failed`; in a list for people also `in line`."""
    note: str
    """What it is doing, or why it failed; one sentence."""
    since: int
    """Seconds since 1970."""


class Store(Protocol):
    """A node's memory; one per account."""

    async def keep(self, kind: Kind, job: JobId, subject: Address | str, value: bytes) -> None:
        """Writes a record, over an older one of the same name."""
        ...

    async def recall(self, kind: Kind, job: JobId, subject: Address | str) -> bytes | None: ...

    async def names(self, kind: Kind) -> Sequence[tuple[JobId, str]]:
        """The records of a kind: (job, subject), in order of job."""
        ...

    async def cursor(self) -> Cursor | None: ...

    async def move_cursor(self, cursor: Cursor) -> None: ...

    async def note_work(self, work: Work) -> None:
        """Writes the state of one (role, job), over the older one."""
        ...

    async def works(self) -> Sequence[Work]:
        """All of them, newest first, at most 1,000."""
        ...
