"""The closed sets of the protocol: phases, roles, standings, verdicts.

The numbers are those of the contracts.
"""

from enum import IntEnum


class Phase(IntEnum):
    """Where a job is (`docs/protocol.md`, section 4)."""

    NONE = 0
    """No such job."""
    OPEN = 1
    """Trainers may join."""
    TRAINING = 2
    """Trainers train and submit sealed models."""
    DATASET = 3
    """The committee is drawn, the requester publishes the evaluation dataset."""
    COMMIT = 4
    """SCORING, first window: members commit to their scores, or refrain."""
    REVEAL = 5
    """SCORING, second window: commitments are opened."""
    CHALLENGE = 6
    """Challengers accuse and vote, until the job can be settled."""
    SETTLED = 7
    """Everybody is paid."""
    CANCELLED = 8
    """Nobody joined; the reward is back, the tax is kept."""


class Role(IntEnum):
    """A long-term role with a stake of its own."""

    NONE = 0
    VALIDATOR = 1
    CHALLENGER = 2


class Standing(IntEnum):
    """What the protocol holds of a participant, within one job (paper 3.3)."""

    UNKNOWN = 0
    BENEVOLENT = 1
    MALICIOUS = 2


class Verdict(IntEnum):
    """How a job ended (`docs/protocol.md`, "Verdicts", in this order)."""

    NONE = 0
    NOBODY_SUBMITTED = 1
    NO_COMMITTEE = 2
    REQUESTER_MALICIOUS = 3
    VALIDATORS_FAILED = 4
    NO_MODEL_ACCEPTED = 5
    NORMAL = 6
