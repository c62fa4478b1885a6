"""What anybody may do to move a job on, done in turns so that not everybody sends at once.

The requester has the first turn, then the trainers in the order of joining, then the rest. A node
whose turn comes finds the effect already there, as a rule, and does nothing. That the others come
at all is what makes no job depend on any one of them.
"""

from scatter.lifecycle.job import Job, is_settleable, phase, settleable_at
from scatter.lifecycle.reasons import (
    ALREADY_DRAWN,
    ALREADY_OVER,
    NOT_AWAITING_THE_DATASET,
    NOT_IN_TRAINING,
    NOT_OPEN,
)
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import Address, Timestamp
from scatter.ports.chain import Chain, Head
from scatter.roles.duty import Patience

_BLOCKS_A_TURN = 2
_MOST_BLOCKS = 200
"""The seed block's hash is gone after 256; a late turn must still find it."""
_DONE_BY_ANOTHER = {
    ALREADY_DRAWN,
    ALREADY_OVER,
    NOT_AWAITING_THE_DATASET,
    NOT_IN_TRAINING,
    NOT_OPEN,
}


def turn_of(job: Job, account: Address) -> int:
    """0 for the requester, 1.. for the trainers, then one of eight turns by the account."""
    if account == job.requester:
        return 0
    for place, trainer in enumerate(job.trainers, start=1):
        if trainer == account:
            return place
    return len(job.trainers) + 1 + int(account, 16) % 8


async def run_errands(chain: Chain, job: Job, head: Head, patience: Patience) -> Timestamp | None:
    """Starts, cancels, closes, draws or settles, if it is due and this account's turn.

    Returns when to look again, or None.
    """
    turn = turn_of(job, chain.account)
    match phase(job, head.time):
        case Phase.OPEN:
            return await _start_or_cancel(chain, job, head, turn, patience)
        case Phase.TRAINING:
            return await _close_training(chain, job, head, turn, patience)
        case Phase.DATASET:
            return await _draw_or_settle(chain, job, head, turn, patience)
        case Phase.COMMIT | Phase.REVEAL | Phase.CHALLENGE:
            return await _settle(chain, job, head, turn, patience)
        case _:
            return None


async def _start_or_cancel(
    chain: Chain, job: Job, head: Head, turn: int, patience: Patience
) -> Timestamp | None:
    due = _in_turn(job.join_deadline, turn, patience)
    nobody_else_can_join = job.full and chain.account == job.requester
    if head.time < due and not nobody_else_can_join:
        return due
    try:
        await (chain.start(job.number) if job.trainers else chain.cancel(job.number))
    except Refused as refusal:
        _pass_over(refusal)
    return None


async def _close_training(
    chain: Chain, job: Job, head: Head, turn: int, patience: Patience
) -> Timestamp | None:
    deadline = job.training_deadline
    if deadline is None:
        return None
    due = _in_turn(deadline, turn, patience)
    if head.time < due:
        return due
    try:
        await chain.close_training(job.number)
    except Refused as refusal:
        _pass_over(refusal)
    return None


async def _draw_or_settle(
    chain: Chain, job: Job, head: Head, turn: int, patience: Patience
) -> Timestamp | None:
    deadline = job.dataset_deadline
    if deadline is None or job.seed_block is None:
        return None
    if head.time >= deadline:
        return await _settle(chain, job, head, turn, patience)
    if job.drawn or job.eligible_validators < job.parameters.least_committee:
        return _in_turn(deadline, turn, patience)
    wait = min(turn * _BLOCKS_A_TURN, _MOST_BLOCKS)
    if head.number <= job.seed_block + wait:
        return Timestamp(head.time + 1)
    try:
        await chain.draw_committee(job.number)
    except Refused as refusal:
        _pass_over(refusal)
    return _in_turn(deadline, turn, patience)


async def _settle(
    chain: Chain, job: Job, head: Head, turn: int, patience: Patience
) -> Timestamp | None:
    at = settleable_at(job)
    if at is None:
        return None
    due = _in_turn(at, turn, patience)
    if head.time < due or not is_settleable(job, head.time):
        return due
    try:
        await chain.settle(job.number)
    except Refused as refusal:
        _pass_over(refusal)
    return None


def _in_turn(at: Timestamp, turn: int, patience: Patience) -> Timestamp:
    return Timestamp(at + turn * patience.turn)


def _pass_over(refusal: Refused) -> None:
    """Another was quicker; any other refusal is an error of ours."""
    if str(refusal) not in _DONE_BY_ANOTHER:
        raise refusal
