"""Who owns what: balances, escrow, stakes and the lottery, the twin of `ScatterToken`.

Money moves only by `pay`, which logs why. Invariants, at every step: the balances and what is held
add up to the supply, and what is held equals what is owed.
"""

from collections.abc import Callable
from typing import Any

from scatter.lifecycle import reasons
from scatter.lifecycle.bonds import Bonds
from scatter.lifecycle.payments import (
    LotteryFed,
    LotteryWon,
    Payment,
    Penalised,
    RewardEscrowed,
    RewardReturned,
    RoleRegistered,
    RoleWithdrawn,
    StakeForfeited,
    StakeLocked,
    StakeReturned,
    TaxPaid,
    TrainerPaid,
    ValidatorPaid,
)
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import Address, JobId, Tokens


class Funds:
    """The token's books. `held` is the contract's own balance, counted apart from what it owes."""

    def __init__(self, supply: Tokens, treasury: Address) -> None:
        self.balances: dict[Address, Tokens] = {treasury: supply}
        self.held = Tokens(0)
        self.lottery = Tokens(0)
        self.escrow: dict[JobId, Tokens] = {}
        """Per running job, the two parts of the reward."""
        self.job_stakes: dict[tuple[JobId, Address], Tokens] = {}
        """Per job and trainer, until returned or forfeited."""
        self.bonds = Bonds()
        self.payments: list[Payment] = []
        """Everything paid so far; may be emptied by whoever follows it."""

    def balance(self, account: Address) -> Tokens:
        return self.balances.get(account, Tokens(0))

    def owed(self) -> Tokens:
        """The sum of everything somebody has a claim to, the lottery included."""
        return Tokens(
            self.lottery
            + sum(self.escrow.values())
            + sum(self.job_stakes.values())
            + self.bonds.total()
        )

    def in_circulation(self) -> Tokens:
        """All tokens, wherever they are: always the supply."""
        return Tokens(sum(self.balances.values()) + self.held)

    def transfer(self, sender: Address, to: Address, amount: Tokens) -> None:
        """Refuses with BALANCE_TOO_LOW."""
        self.require(sender, amount)
        self.balances[sender] = Tokens(self.balance(sender) - amount)
        self.balances[to] = Tokens(self.balance(to) + amount)

    def require(self, account: Address, amount: Tokens) -> None:
        """Refuses with BALANCE_TOO_LOW."""
        if self.balance(account) < amount:
            raise Refused(reasons.BALANCE_TOO_LOW)

    def pay(self, payment: Payment) -> None:
        """Books a payment and logs it; a kind without a booking only tells something."""
        booking = _BOOKINGS.get(type(payment))
        if booking is not None:
            booking(self, payment)
        self.payments.append(payment)

    def take(self, account: Address, amount: Tokens) -> None:
        self.require(account, amount)
        self.balances[account] = Tokens(self.balances[account] - amount)
        self.held = Tokens(self.held + amount)

    def give(self, account: Address, amount: Tokens) -> None:
        self.held = Tokens(self.held - amount)
        self.balances[account] = Tokens(self.balance(account) + amount)

    def feed(self, amount: Tokens) -> None:
        self.lottery = Tokens(self.lottery + amount)

    def release(self, job: JobId, amount: Tokens) -> None:
        """Takes out of a job's escrow, and forgets the escrow once it is empty."""
        left = self.escrow[job] - amount
        if left:
            self.escrow[job] = Tokens(left)
        else:
            del self.escrow[job]


def _tax_paid(funds: Funds, p: TaxPaid) -> None:
    funds.take(p.requester, p.amount)
    funds.feed(p.amount)


def _reward_escrowed(funds: Funds, p: RewardEscrowed) -> None:
    amount = Tokens(p.trainers_part + p.validators_part)
    funds.take(p.requester, amount)
    if amount:
        funds.escrow[p.job] = amount


def _stake_locked(funds: Funds, p: StakeLocked) -> None:
    funds.take(p.trainer, p.stake)
    funds.job_stakes[p.job, p.trainer] = p.stake


def _trainer_paid(funds: Funds, p: TrainerPaid) -> None:
    if p.amount:
        funds.release(p.job, p.amount)
        funds.give(p.trainer, p.amount)


def _validator_paid(funds: Funds, p: ValidatorPaid) -> None:
    if p.amount:
        funds.release(p.job, p.amount)
        funds.give(p.member, p.amount)


def _reward_returned(funds: Funds, p: RewardReturned) -> None:
    amount = Tokens(p.trainers_part + p.validators_part)
    funds.release(p.job, amount)
    funds.give(p.requester, amount)


def _stake_returned(funds: Funds, p: StakeReturned) -> None:
    funds.give(p.trainer, funds.job_stakes.pop((p.job, p.trainer)))


def _stake_forfeited(funds: Funds, p: StakeForfeited) -> None:
    funds.feed(funds.job_stakes.pop((p.job, p.trainer)))


def _penalised(funds: Funds, p: Penalised) -> None:
    funds.bonds.fine(p.account, p.role, p.amount)
    funds.feed(p.amount)


def _lottery_won(funds: Funds, p: LotteryWon) -> None:
    funds.lottery = Tokens(funds.lottery - p.amount)
    funds.give(p.accuser, p.amount)


def _lottery_fed(funds: Funds, p: LotteryFed) -> None:
    funds.release(p.job, p.amount)
    funds.feed(p.amount)


def _role_registered(funds: Funds, p: RoleRegistered) -> None:
    funds.take(p.account, p.stake)


def _role_withdrawn(funds: Funds, p: RoleWithdrawn) -> None:
    funds.give(p.account, p.stake)


_BOOKINGS: dict[type[Payment], Callable[[Funds, Any], None]] = {
    TaxPaid: _tax_paid,
    RewardEscrowed: _reward_escrowed,
    StakeLocked: _stake_locked,
    TrainerPaid: _trainer_paid,
    ValidatorPaid: _validator_paid,
    RewardReturned: _reward_returned,
    StakeReturned: _stake_returned,
    StakeForfeited: _stake_forfeited,
    Penalised: _penalised,
    LotteryWon: _lottery_won,
    LotteryFed: _lottery_fed,
    RoleRegistered: _role_registered,
    RoleWithdrawn: _role_withdrawn,
}
