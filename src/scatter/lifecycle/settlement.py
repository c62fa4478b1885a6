"""Who is paid what when a job ends: one pure function from the history to a list of payments.

Every unit of the escrow and of the trainers' stakes is in exactly one payment, so that the sum is
conserved whatever the verdict. The contracts log the same payments in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scatter.lifecycle.job import Job, Trainer
from scatter.lifecycle.payments import (
    LotteryFed,
    Payment,
    Penalised,
    RewardReturned,
    StakeForfeited,
    StakeReturned,
    TrainerPaid,
    ValidatorPaid,
)
from scatter.lifecycle.verdict import Judgement, judge
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.equations import (
    divide_reward,
    penalty,
    trainer_payment,
    trainer_weight,
    validator_payment,
)
from scatter.mechanism.units import WHOLE, Address, Score, Tokens


@dataclass(frozen=True, slots=True)
class Bond:
    """What equation 8 needs of an account: its role stake, and its offences in that role."""

    stake: Tokens
    offences: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a job ends."""

    judgement: Judgement
    payments: tuple[Payment, ...]

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict


def settle(job: Job, validator: Callable[[Address], Bond]) -> Settlement:
    """Everything that settlement pays, in this order.

    1. the fines of silent members (eq. 8), in the order of the draw;
    2. the trainers' stakes, back or forfeited, in the order of joining; those forfeited earlier,
       by an upheld accusation, do not appear again;
    3. the trainers' part (eq. 4), in the order of submission;
    4. the validators' part (eq. 6), in the order of the draw;
    5. what goes back to the requester, in one payment;
    6. what is left, to the lottery.

    `validator` tells the bond of a member as a validator; a role given up is a bond of 0.
    """
    judgement = judge(job)
    reward = divide_reward(job.created.reward, job.parameters)
    payments: list[Payment] = [_fine(job, a, validator(a)) for a in judgement.silent_members]
    payments += _stakes(job, judgement)

    returned_trainers = Tokens(0)
    returned_validators = Tokens(0)
    trainer_payments: list[TrainerPaid] = []
    member_payments: list[ValidatorPaid] = []
    if judgement.verdict in _TRAINERS_PAID:
        trainer_payments = _pay_trainers(job, judgement, reward.trainers)
    else:
        returned_trainers = reward.trainers
    if judgement.verdict in _VALIDATORS_PAID:
        member_payments = _pay_members(job, judgement, reward.validators)
    else:
        returned_validators = reward.validators
    payments += trainer_payments
    payments += member_payments

    if returned_trainers or returned_validators:
        payments.append(
            RewardReturned(
                job=job.number,
                requester=job.requester,
                trainers_part=returned_trainers,
                validators_part=returned_validators,
            )
        )
    spent = sum(p.amount for p in trainer_payments) + sum(p.amount for p in member_payments)
    left = reward.trainers + reward.validators - returned_trainers - returned_validators - spent
    if left:
        payments.append(LotteryFed(job=job.number, amount=Tokens(left)))
    return Settlement(judgement, tuple(payments))


_TRAINERS_PAID = frozenset({Verdict.REQUESTER_MALICIOUS, Verdict.NORMAL})
_VALIDATORS_PAID = frozenset(
    {Verdict.REQUESTER_MALICIOUS, Verdict.NO_MODEL_ACCEPTED, Verdict.NORMAL}
)


def _fine(job: Job, account: Address, bond: Bond) -> Penalised:
    amount = penalty(bond.offences, bond.stake, job.parameters)
    return Penalised(
        job=job.number,
        account=account,
        role=Role.VALIDATOR,
        amount=amount,
        offences=bond.offences,
        stake_left=Tokens(bond.stake - amount),
    )


def _stakes(job: Job, judgement: Judgement) -> list[Payment]:
    payments: list[Payment] = []
    for trainer in job.trainers.values():
        if trainer.account in job.condemned:
            continue
        ends = StakeForfeited if trainer.account in judgement.malicious_trainers else StakeReturned
        payments.append(ends(job=job.number, trainer=trainer.account, amount=trainer.stake))
    return payments


def _pay_trainers(job: Job, judgement: Judgement, pool: Tokens) -> list[TrainerPaid]:
    """Equation 4 over the accepted; with equal scores over the honest if the requester cheated."""
    paid = [(t, _score(t, judgement)) for t in _paid_trainers(job, judgement)]
    weights = [trainer_weight(trainer.stake, score) for trainer, score in paid]
    total = sum(weights)
    return [
        TrainerPaid(
            job=job.number,
            trainer=trainer.account,
            amount=trainer_payment(weight, total, pool),
            stake=trainer.stake,
            score=score,
            weight=weight,
            total_weight=total,
            pool=pool,
        )
        for (trainer, score), weight in zip(paid, weights, strict=True)
    ]


def _paid_trainers(job: Job, judgement: Judgement) -> list[Trainer]:
    if judgement.verdict is Verdict.NORMAL:
        return list(judgement.accepted)
    return [t for t in job.models if t.account not in judgement.malicious_trainers]


def _score(trainer: Trainer, judgement: Judgement) -> Score:
    if judgement.averages is None or trainer.place is None:
        return Score(WHOLE)
    return judgement.averages[trainer.place]


def _pay_members(job: Job, judgement: Judgement, pool: Tokens) -> list[ValidatorPaid]:
    """Equation 6; nothing when no receiver has a stake, and the lottery takes it all."""
    total = Tokens(sum(member.stake for member in judgement.paid_members))
    if total == 0:
        return []
    return [
        ValidatorPaid(
            job=job.number,
            member=member.account,
            amount=validator_payment(member.stake, total, pool),
            stake=member.stake,
            total_stake=total,
            pool=pool,
        )
        for member in judgement.paid_members
    ]
