"""Every claim that the prose of the paper's section 4 makes, checked on what was simulated.

The words are the paper's, shortened; `docs/paper.md` lists them beside the figures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from scatter.economy.outcome import Node, Run
from scatter.economy.series import LOTTERY, Kind
from scatter.lifecycle.payments import (
    LotteryWon,
    Payment,
    Penalised,
    RewardEscrowed,
    StakeForfeited,
    StakeReturned,
    TaxPaid,
    TrainerPaid,
    ValidatorPaid,
)
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.units import UNIT

Runs = Mapping[str, Run]
"""By the name of the scenario."""

LEAST_JOBS = 10
"""Table 2: the claims are about as many jobs, and some need that many to show."""

MUCH_STEEPER = 5
"""Times as much as any other node earns: what "a much steeper rate" is taken to be."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper about one scenario."""

    section: str
    scenario: str
    text: str
    holds: Callable[[Run], bool]


@dataclass(frozen=True)
class Finding:
    """Whether a claim was kept."""

    claim: Claim
    kept: bool


def check(runs: Runs) -> list[Finding]:
    """Every claim about the scenarios that were played, in the order of the paper."""
    return [
        Finding(claim, claim.holds(runs[claim.scenario]))
        for claim in CLAIMS
        if claim.scenario in runs and runs[claim.scenario].outcome.jobs >= LEAST_JOBS
    ]


# What the claims are made of

P = TypeVar("P", bound=Payment)


def _paid(run: Run, kind: type[P]) -> list[P]:
    return [payment for payment in run.series.payments if isinstance(payment, kind)]


def _balances(run: Run, node: Node) -> list[int]:
    return list(run.series.values(Kind.BALANCE, node.name))


def _after_stake(run: Run, node: Node) -> list[int]:
    """The token supply from the moment on at which the long-term stake is taken out."""
    return _balances(run, node)[1:]


def _profit(nodes: list[Node]) -> bool:
    return bool(nodes) and all(node.change > 0 for node in nodes)


def _accumulate(run: Run, nodes: list[Node]) -> bool:
    """After the stake the token supply only rises, and it does rise."""
    curves = [_after_stake(run, node) for node in nodes]
    return bool(nodes) and all(c[-1] > c[0] and all(a <= b for a, b in pairwise(c)) for c in curves)


def _stagnate(run: Run, nodes: list[Node]) -> bool:
    """After the stake nothing moves."""
    return bool(nodes) and all(len(set(_after_stake(run, node))) == 1 for node in nodes)


def _drop(run: Run, nodes: list[Node], stake: int) -> bool:
    curves = [_balances(run, node) for node in nodes]
    return all(curve[0] - curve[1] == stake for curve in curves)


# Who gains


def _trainers_profit(run: Run) -> bool:
    return _profit(run.outcome.of("trainer"))


def _honest_trainers_profit(run: Run) -> bool:
    return _profit(run.outcome.of("trainer", malicious=False))


def _trainers_end_apart(run: Run) -> bool:
    changes = [node.change for node in run.outcome.of("trainer")]
    return len(set(changes)) == len(changes)


def _validators_drop(run: Run) -> bool:
    return _drop(run, run.outcome.of("validator"), 25_000 * UNIT)


def _validators_accumulate(run: Run) -> bool:
    return _accumulate(run, run.outcome.of("validator"))


def _honest_validators_accumulate(run: Run) -> bool:
    return _accumulate(run, run.outcome.of("validator", malicious=False))


def _malicious_validators_stagnate(run: Run) -> bool:
    return _stagnate(run, run.outcome.of("validator", malicious=True))


def _challengers_drop(run: Run) -> bool:
    return _drop(run, run.outcome.of("challenger"), 20_000 * UNIT)


def _challengers_stagnate(run: Run) -> bool:
    return _stagnate(run, run.outcome.of("challenger"))


def _trainers_and_validators_profit(run: Run) -> bool:
    return _profit(run.outcome.of("trainer") + run.outcome.of("validator"))


# 4.1


def _stake_returns(run: Run) -> bool:
    returned = _paid(run, StakeReturned)
    jobs, trainers = run.outcome.jobs, len(run.outcome.of("trainer"))
    return len(returned) == jobs * trainers and not _paid(run, StakeForfeited)


def _dips_in_every_job(run: Run) -> bool:
    """In every job each trainer's supply falls below what it had before it."""
    for node in run.outcome.of("trainer"):
        curve = _balances(run, node)
        if sum(1 for a, b in pairwise(curve) if b < a) != run.outcome.jobs:
            return False
    return True


# 4.2


def _lose_their_stakes(run: Run) -> bool:
    """A malicious trainer's supply never rises, and falls by nothing but forfeited stakes."""
    lost = dict.fromkeys(run.series.names.values(), 0)
    for payment in _paid(run, StakeForfeited):
        lost[run.series.names[payment.trainer]] += payment.amount
    return all(
        node.change == -lost[node.name] < 0
        and all(b <= a for a, b in pairwise(_balances(run, node)))
        for node in run.outcome.of("trainer", malicious=True)
    )


# 4.3


def _steepest(run: Run) -> bool:
    challengers = max(node.change for node in run.outcome.of("challenger"))
    others = max(n.change for n in run.outcome.nodes if n.role != "challenger")
    return challengers > MUCH_STEEPER * others > 0


def _first_accuser_wins(run: Run) -> bool:
    """One lottery for each fine, each to the challenger that is the quicker one."""
    wins = _paid(run, LotteryWon)
    winners = {run.series.names[win.accuser] for win in wins}
    return len(wins) == len(_paid(run, Penalised)) > 0 and winners == {"challenger 1"}


def _fines_double(run: Run) -> bool:
    guilty = run.outcome.of("validator", malicious=True)
    return bool(guilty) and all(_is_fined_double(run, node) for node in guilty)


def _is_fined_double(run: Run, node: Node) -> bool:
    p = run.scenario.parameters
    stakes = run.series.values(Kind.STAKE, node.name)[1:]
    falls = [a - b for a, b in pairwise(stakes) if a != b]
    doubling = [p.base_penalty * p.penalty_multiplier**n for n in range(len(falls))]
    # The last one takes what is left (eq. 8).
    return bool(falls) and falls[:-1] == doubling[:-1] and falls[-1] <= doubling[-1]


def _privileges_end(run: Run) -> bool:
    guilty = run.outcome.of("validator", malicious=True)
    return bool(guilty) and all(_has_lost_its_role(run, node) for node in guilty)


def _has_lost_its_role(run: Run, node: Node) -> bool:
    """Fined to nothing, it has no part in the jobs that go on without it."""
    fines = [f for f in _paid(run, Penalised) if run.series.names[f.account] == node.name]
    if not fines or fines[-1].stake_left:
        return False
    later = [pay for pay in _paid(run, ValidatorPaid) if pay.job > fines[-1].job]
    others = {run.series.names[pay.member] for pay in later}
    return len({pay.job for pay in later}) > 0 and node.name not in others


def _spikes_grow(run: Run) -> bool:
    peaks = [win.pool for win in _paid(run, LotteryWon)]
    curve = run.series.values(Kind.LOTTERY, LOTTERY)
    empties = sum(1 for a, b in pairwise(curve) if b == 0 < a)
    return empties == len(peaks) > 1 and all(a < b for a, b in pairwise(peaks))


def _lies_do_not_count(run: Run) -> bool:
    every = set(run.outcome.verdicts) == {Verdict.NORMAL}
    return every and not _paid(run, StakeForfeited)


# 4.4


def _win_all_that_is_lost(run: Run) -> bool:
    """No node but a challenger gains, and the challengers gain all but what is in the lottery."""
    won = sum(node.change for node in run.outcome.of("challenger"))
    others = [node.change for node in run.outcome.nodes if node.role != "challenger"]
    return won > 0 and max(others) < 0 and won + run.outcome.lottery == -sum(others)


def _lose_both_stakes(run: Run) -> bool:
    fined = {run.series.names[payment.account] for payment in _paid(run, Penalised)}
    forfeited = {run.series.names[payment.trainer] for payment in _paid(run, StakeForfeited)}
    validators = {node.name for node in run.outcome.of("validator")}
    trainers = {node.name for node in run.outcome.of("trainer")}
    return fined == validators and forfeited == trainers


def _recovers_most(run: Run) -> bool:
    """In every job the reward leaves, and most of it comes back."""
    (requester,) = run.outcome.of("requester")
    curve = _balances(run, requester)[: 2 * run.outcome.jobs + 1]
    jobs = [(curve[i], curve[i + 1], curve[i + 2]) for i in range(0, len(curve) - 2, 2)]
    return len(jobs) == run.outcome.jobs and all(
        low < high and 2 * (high - low) > before - low for before, low, high in jobs
    )


def _all_but_the_tax(run: Run) -> bool:
    (requester,) = run.outcome.of("requester")
    return -requester.change == sum(payment.amount for payment in _paid(run, TaxPaid)) > 0


# 4.5


def _flagged(run: Run) -> bool:
    return set(run.outcome.verdicts) == {Verdict.REQUESTER_MALICIOUS}


def _equal_scores(run: Run) -> bool:
    return len({payment.score for payment in _paid(run, TrainerPaid)}) == 1


def _pays_all_rewards(run: Run) -> bool:
    (requester,) = run.outcome.of("requester")
    offered = sum(p.trainers_part + p.validators_part for p in _paid(run, RewardEscrowed))
    offered += sum(payment.amount for payment in _paid(run, TaxPaid))
    return -requester.change == offered > 0


def _all_are_paid(run: Run) -> bool:
    jobs, out = run.outcome.jobs, run.outcome
    trainers, members = len(_paid(run, TrainerPaid)), len(_paid(run, ValidatorPaid))
    return (trainers, members) == (jobs * len(out.of("trainer")), jobs * len(out.of("validator")))


_TEXTS: Mapping[tuple[str, str], Sequence[tuple[str, Callable[[Run], bool]]]] = {
    ("4.1", "benevolent"): [
        ("trainers periodically lose some token supply, a stake on each job", _dips_in_every_job),
        ("that stake is returned to them at the end of the job", _stake_returns),
        ("trainers end above their initial supply", _trainers_profit),
        ("validators drop at first by the stake that makes a validator", _validators_drop),
        ("after that they slowly accumulate tokens", _validators_accumulate),
        ("challengers drop at first by their stake", _challengers_drop),
        ("challengers never gain: there is no lottery to be won", _challengers_stagnate),
        ("trainers end apart despite completing the same jobs (section 5)", _trainers_end_apart),
    ],
    ("4.2", "malicious-trainers"): [
        ("trainers that are not malicious have their supply increasing", _honest_trainers_profit),
        ("the malicious ones lose the stakes they invested", _lose_their_stakes),
        ("validators slowly continue to earn", _validators_accumulate),
        ("challengers earn nothing: validators identify the trainers", _challengers_stagnate),
    ],
    ("4.3", "malicious-validators"): [
        ("trainers profit despite the malicious validator", _trainers_profit),
        ("the malicious validator's supply is stagnant", _malicious_validators_stagnate),
        ("the two benevolent validators continue to earn", _honest_validators_accumulate),
        ("challengers gain at a much steeper rate than any other node", _steepest),
        ("who starts the challenge first, and succeeds, wins the lottery", _first_accuser_wins),
        ("evaluations of the malicious validator are left out", _lies_do_not_count),
        ("its stake decreases exponentially with every penalty", _fines_double),
        ("at a stake of zero it loses its privileges", _privileges_end),
        ("the lottery has periodic spikes, and they increase", _spikes_grow),
    ],
    ("4.4", "all-malicious"): [
        ("challengers receive the maximum profit, all that others lose", _win_all_that_is_lost),
        ("it comes from lost validator stakes and lost trainer stakes", _lose_both_stakes),
        ("the requester loses the reward at first, then recovers most of it", _recovers_most),
        ("it does not recover the lottery's tax, and loses nothing else", _all_but_the_tax),
    ],
    ("4.5", "malicious-requester"): [
        ("validators agree that the requester is malicious", _flagged),
        ("every trainer gets an equal validation score", _equal_scores),
        ("trainers and validators are rewarded whatever the results", _all_are_paid),
        ("both trainers and validators make a profit", _trainers_and_validators_profit),
        ("the requester's cost are the rewards that it staked", _pays_all_rewards),
    ],
}

CLAIMS = [
    Claim(section, scenario, text, holds)
    for (section, scenario), claims in _TEXTS.items()
    for text, holds in claims
]
