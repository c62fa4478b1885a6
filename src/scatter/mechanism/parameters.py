"""Every number that a deployment fixes for ever: Table 1 of the paper, the committee, the windows.

The contracts take these at construction, keep them as immutables, and refuse what
`Parameters.__post_init__` refuses. Two profiles: `PAPER` reproduces section 4 of the paper and
serves demos, `HARDENED` is for networks of strangers. `docs/protocol.md`, section 2, is the table.
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import (
    MOST_STAKE,
    UNIT,
    WHOLE,
    BasisPoints,
    BlockNumber,
    Seconds,
    Tokens,
)

DAY = Seconds(24 * 60 * 60)
HOUR = Seconds(60 * 60)

MOST_SUPPLY = Tokens(2**128 - 1)
"""Keeps every product of the equations inside a 256-bit word."""

MOST_SECONDS = Seconds(10 * 365 * DAY)
"""No window is longer, so that no deadline overflows."""

MOST_TRAINERS = 64
"""Of one job, so that settlement fits into one transaction."""

MOST_MEMBERS = 16
"""Of one committee, for the same reason."""

MOST_SEED_DELAY = BlockNumber(128)
"""In blocks: half of the 256 whose hash a contract can read."""

MOST_MULTIPLIER = 2**16
"""Of a penalty, so that one more multiplication never overflows."""


class LotteryShare(IntEnum):
    """What an accuser wins when its accusation is upheld; the numbers are those on chain."""

    WHOLE_POOL = 0
    """Everything in the lottery, the fine of this accusation included (paper 3.2)."""
    HALF_OF_THE_FINE = 1
    """Half of what this accusation took from its target, so that accusing oneself never pays."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """One deployment's constants. Raises BadInput for what the contracts' constructor refuses."""

    supply: Tokens
    """N, minted once, to the treasury account."""

    tax_rate: BasisPoints
    """D_tx of equation 1."""
    trainer_rate: BasisPoints
    """D_tr of equation 1."""
    validator_rate: BasisPoints
    """D_v of equation 1."""

    validator_stake: Tokens
    """S_v, the least that makes a validator."""
    validator_unbonding: Seconds
    """tau_v, from asking a stake back to having it."""
    challenger_stake: Tokens
    """S_c, the least that makes a challenger."""
    challenger_unbonding: Seconds
    """tau_c."""

    base_penalty: Tokens
    """P_b of equation 8."""
    penalty_multiplier: int
    """P_m of equation 8."""

    committee_proportion: BasisPoints
    """V_prop, the share of the eligible validators that is drawn."""
    least_committee: int
    """With fewer eligible validators there is no committee."""
    most_committee: int
    least_electorate: int
    """With fewer challengers nobody can be accused."""

    lottery_share: LotteryShare
    floor_allowed: bool
    """Whether a job may set its floor below its threshold."""
    least_reward: Tokens

    join_window: Seconds
    least_training: Seconds
    most_training: Seconds
    dataset_window: Seconds
    commit_window: Seconds
    reveal_window: Seconds
    challenge_window: Seconds
    vote_window: Seconds
    seed_delay: BlockNumber
    """Blocks between the end of training and the block whose hash seeds the draw."""

    def __post_init__(self) -> None:
        _refuse_wrong_types(self)
        _refuse_wrong_amounts(self)
        _refuse_wrong_bodies(self)
        _refuse_wrong_windows(self)

    @property
    def checking_time(self) -> Seconds:
        """The sum of all windows after training, each once."""
        return Seconds(
            self.dataset_window
            + self.commit_window
            + self.reveal_window
            + self.challenge_window
            + self.vote_window
        )


def _refuse_wrong_types(p: Parameters) -> None:
    for field in fields(p):
        value = getattr(p, field.name)
        if field.name == "lottery_share":
            if not isinstance(value, LotteryShare):
                raise BadInput(f"lottery_share must be a LotteryShare, not {value!r}.")
        elif not isinstance(value, int) or value < 0:
            raise BadInput(f"{field.name} must be a whole number from 0 up, not {value!r}.")


def _refuse_wrong_amounts(p: Parameters) -> None:
    if p.tax_rate + p.trainer_rate + p.validator_rate != WHOLE:
        raise BadInput("tax_rate, trainer_rate and validator_rate must add up to 10000 (eq. 1).")
    _refuse_outside(p, "supply", 1, MOST_SUPPLY)
    for name in ("validator_stake", "challenger_stake", "base_penalty", "least_reward"):
        _refuse_outside(p, name, 1, MOST_STAKE)
    _refuse_outside(p, "penalty_multiplier", 1, MOST_MULTIPLIER)


def _refuse_wrong_bodies(p: Parameters) -> None:
    _refuse_outside(p, "committee_proportion", 0, WHOLE)
    _refuse_outside(p, "most_committee", 1, MOST_MEMBERS)
    _refuse_outside(p, "least_committee", 1, p.most_committee)
    # With one elector a single vote would condemn, its own accusation included.
    _refuse_outside(p, "least_electorate", 2, 2**32 - 1)


def _refuse_wrong_windows(p: Parameters) -> None:
    for field in fields(p):
        if field.name.endswith(("_window", "_training", "_unbonding")):
            _refuse_outside(p, field.name, 1, MOST_SECONDS)
    _refuse_outside(p, "seed_delay", 1, MOST_SEED_DELAY)
    if p.least_training > p.most_training:
        raise BadInput("least_training must not be above most_training.")
    if p.challenge_window < 2 * p.vote_window:
        raise BadInput("challenge_window must be at least two vote windows.")
    for name in ("validator_unbonding", "challenger_unbonding"):
        _refuse_outside(p, name, 2 * p.checking_time, MOST_SECONDS)


def _refuse_outside(p: Parameters, name: str, least: int, most: int) -> None:
    value = getattr(p, name)
    if not least <= value <= most:
        raise BadInput(f"{name} must be from {least} to {most}, not {value}.")


PAPER = Parameters(
    supply=Tokens(100_000_000_000 * UNIT),
    tax_rate=BasisPoints(1_000),
    trainer_rate=BasisPoints(7_000),
    validator_rate=BasisPoints(2_000),
    validator_stake=Tokens(25_000 * UNIT),
    validator_unbonding=Seconds(30 * DAY),
    challenger_stake=Tokens(20_000 * UNIT),
    challenger_unbonding=Seconds(30 * DAY),
    base_penalty=Tokens(200 * UNIT),
    penalty_multiplier=2,
    committee_proportion=BasisPoints(WHOLE),
    least_committee=1,
    most_committee=MOST_MEMBERS,
    least_electorate=2,
    lottery_share=LotteryShare.WHOLE_POOL,
    floor_allowed=False,
    least_reward=Tokens(1),
    join_window=Seconds(7 * DAY),
    least_training=HOUR,
    most_training=Seconds(14 * DAY),
    dataset_window=DAY,
    commit_window=DAY,
    reveal_window=Seconds(12 * HOUR),
    challenge_window=Seconds(2 * DAY),
    vote_window=DAY,
    seed_delay=BlockNumber(2),
)
"""Section 4 of the paper."""

HARDENED = replace(
    PAPER,
    committee_proportion=BasisPoints(2_000),
    least_committee=3,
    least_electorate=3,
    lottery_share=LotteryShare.HALF_OF_THE_FINE,
    floor_allowed=True,
    least_reward=Tokens(100 * UNIT),
)
"""For a network of strangers; the default of a real one."""

PROFILES = {"paper": PAPER, "hardened": HARDENED}


def profile(name: str) -> Parameters:
    """The profile of this name; raises BadInput for an unknown one."""
    if name not in PROFILES:
        raise BadInput(f"There is no profile {name!r}; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def local(
    parameters: Parameters,
    *,
    join: int = 60,
    least_training: int = 1,
    most_training: int = 3_600,
    dataset: int = 60,
    commit: int = 60,
    reveal: int = 60,
    challenge: int = 10,
    vote: int = 5,
    seed_delay: int = 1,
) -> Parameters:
    """The same economics with windows of seconds, and the shortest unbonding that they allow.

    Of these windows a job whose participants all act waits for `challenge` alone.
    """
    unbonding = Seconds(2 * (dataset + commit + reveal + challenge + vote))
    return replace(
        parameters,
        validator_unbonding=unbonding,
        challenger_unbonding=unbonding,
        join_window=Seconds(join),
        least_training=Seconds(least_training),
        most_training=Seconds(most_training),
        dataset_window=Seconds(dataset),
        commit_window=Seconds(commit),
        reveal_window=Seconds(reveal),
        challenge_window=Seconds(challenge),
        vote_window=Seconds(vote),
        seed_delay=BlockNumber(seed_delay),
    )
