"""What happened to money, one value per event of `ScatterToken`, with its cause and its inputs.

Names and fields are those of the contract's events, so that every payment can be explained to its
receiver: the equation is in the class, the numbers that went into it are in the fields.
"""

from scatter.lifecycle.entry import entry
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.units import Address, JobId, Score, Timestamp, Tokens


@entry
class Payment:
    """An entry in the token's log."""


@entry
class TaxPaid(Payment):
    """From the requester to the lottery, at creation (eq. 3)."""

    job: JobId
    requester: Address
    amount: Tokens


@entry
class RewardEscrowed(Payment):
    """From the requester into escrow, at creation (eqs. 5 and 7)."""

    job: JobId
    requester: Address
    trainers_part: Tokens
    validators_part: Tokens


@entry
class StakeLocked(Payment):
    job: JobId
    trainer: Address
    stake: Tokens


@entry
class TrainerPaid(Payment):
    """A share of the trainers' part: weight / total_weight * pool (eq. 4)."""

    job: JobId
    trainer: Address
    amount: Tokens
    stake: Tokens
    score: Score
    weight: int
    total_weight: int
    pool: Tokens


@entry
class ValidatorPaid(Payment):
    """A share of the validators' part: stake / total_stake * pool (eq. 6)."""

    job: JobId
    member: Address
    amount: Tokens
    stake: Tokens
    total_stake: Tokens
    pool: Tokens


@entry
class RewardReturned(Payment):
    """Back to the requester: the parts whose whole class failed. The tax never returns."""

    job: JobId
    requester: Address
    trainers_part: Tokens
    validators_part: Tokens


@entry
class StakeReturned(Payment):
    job: JobId
    trainer: Address
    amount: Tokens


@entry
class StakeForfeited(Payment):
    """A malicious trainer's stake, to the lottery."""

    job: JobId
    trainer: Address
    amount: Tokens


@entry
class Penalised(Payment):
    """A fine out of a role stake, to the lottery (eq. 8)."""

    job: JobId
    account: Address
    role: Role
    amount: Tokens
    offences: int
    """Of this account in this role, before this one."""
    stake_left: Tokens


@entry
class LotteryWon(Payment):
    """From the lottery to the accuser; `pool` is what it held before, the fine included."""

    job: JobId
    accuser: Address
    amount: Tokens
    pool: Tokens


@entry
class LotteryFed(Payment):
    """From escrow to the lottery: what rounding left, and parts without a receiver."""

    job: JobId
    amount: Tokens


@entry
class RoleRegistered(Payment):
    account: Address
    role: Role
    stake: Tokens


@entry
class UnstakeRequested(Payment):
    """The role ends; its stake is free at `until`. Also logged when a fine leaves no stake."""

    account: Address
    role: Role
    until: Timestamp


@entry
class RoleWithdrawn(Payment):
    account: Address
    role: Role
    stake: Tokens
