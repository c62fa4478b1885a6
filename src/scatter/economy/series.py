"""What everybody has, block by block: the curves of the paper's figures 3 to 9."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scatter.economy.rules import Rules
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.payments import LotteryWon, Payment
from scatter.mechanism.units import Address, Tokens

LOTTERY = "lottery"


class Kind(StrEnum):
    """Whose tokens a curve shows."""

    BALANCE = "balance"
    """A node's token supply: what it can spend."""
    STAKE = "stake"
    """A role's long-term stake."""
    LOTTERY = "lottery"


@dataclass(frozen=True, slots=True)
class Point:
    """From this block on, until the next point of the same curve."""

    block: int
    """Counted from the block in which everybody has its first tokens and no role."""
    tokens: Tokens


@dataclass(frozen=True)
class Series:
    """Curves by kind and name, each from block 0 to `end`."""

    curves: Mapping[tuple[Kind, str], Sequence[Point]]
    end: int
    payments: Sequence[Payment]
    """All of them, in order."""
    names: Mapping[Address, str]

    def values(self, kind: Kind, name: str) -> list[Tokens]:
        """What the curve goes through, each value once as long as it stays."""
        return [point.tokens for point in self.curves[kind, name]]


class Recorder:
    """Notes what changes. To be called after every block with a call in it."""

    def __init__(
        self, rules: Rules, names: Mapping[Address, str], roles: Sequence[Address]
    ) -> None:
        """`names` are everybody's; `roles` those that hold a long-term stake."""
        self._rules = rules
        self._names = names
        self._roles = frozenset(roles)
        self._curves: dict[tuple[Kind, str], list[Point]] = defaultdict(list)
        self._payments: list[Payment] = []
        self._first: Block | None = None
        self._end = 0

    def begin(self, block: Block) -> None:
        """Notes what everybody has in block 0."""
        self._first = block
        for account in self._names:
            self._note_account(0, account)
        self._note(0, Kind.LOTTERY, LOTTERY, self._rules.lottery())

    def __call__(self, block: Block) -> None:
        assert self._first is not None, "begin was called"
        number = self._end = block.number - self._first.number
        payments = self._rules.take_payments()
        self._payments += payments
        touched = {account for payment in payments for account in _accounts(payment)}
        for account in self._names:
            if account in touched:
                self._note_account(number, account)
        # What an accuser wins has been in the lottery for this one transaction only.
        for payment in payments:
            if isinstance(payment, LotteryWon):
                self._note(number, Kind.LOTTERY, LOTTERY, payment.pool)
        if payments:
            self._note(number, Kind.LOTTERY, LOTTERY, self._rules.lottery())

    def series(self) -> Series:
        """Everything so far; each curve ends in the newest block."""
        ended = {
            key: points
            if points[-1].block == self._end
            else [*points, Point(self._end, points[-1].tokens)]
            for key, points in self._curves.items()
        }
        return Series(ended, self._end, self._payments, self._names)

    def _note_account(self, number: int, account: Address) -> None:
        name = self._names[account]
        self._note(number, Kind.BALANCE, name, self._rules.balance(account))
        if account in self._roles:
            self._note(number, Kind.STAKE, name, self._rules.role_stake(account))

    def _note(self, number: int, kind: Kind, name: str, tokens: Tokens) -> None:
        points = self._curves[kind, name]
        if not points or points[-1].tokens != tokens:
            points.append(Point(number, tokens))


def _accounts(payment: Payment) -> list[Address]:
    """Whose money a payment moved."""
    found = (getattr(payment, field, None) for field in _PARTIES)
    return [account for account in found if account is not None]


_PARTIES = ("requester", "trainer", "member", "account", "accuser")
