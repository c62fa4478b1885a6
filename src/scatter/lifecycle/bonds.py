"""Role stakes: who is a validator or challenger, since when, with how much at risk.

Eligibility is exact to the block: what happens in a block never changes who was eligible for a job
whose training closes in it. Money enters and leaves through `scatter.lifecycle.funds`.
"""

from dataclasses import dataclass, field

from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.units import Address, BlockNumber, Timestamp, Tokens


@dataclass(slots=True)
class RoleStake:
    """One account's role. At most one per account, its amount fixed but for fines."""

    role: Role
    stake: Tokens
    since: BlockNumber
    left_in: BlockNumber | None = None
    """The block in which it was asked back, or fined to nothing; None while active."""
    free_at: Timestamp = Timestamp(0)
    """When it may be withdrawn, once leaving."""

    def was_active_before(self, block: BlockNumber) -> bool:
        """Whether it was active at the end of the block before `block`."""
        return self.since < block and (self.left_in is None or self.left_in >= block)


@dataclass(slots=True)
class _Ranks:
    """The active accounts of one role, dense: the last one takes the place of one that leaves."""

    accounts: list[Address] = field(default_factory=list)
    places: dict[Address, int] = field(default_factory=dict)
    changed_in: BlockNumber = BlockNumber(-1)
    before: tuple[Address, ...] = ()
    """As at the start of `changed_in`."""
    now: tuple[Address, ...] | None = ()
    """The same as `accounts`, once asked for."""

    def add(self, account: Address, block: BlockNumber) -> None:
        self._prepare(block)
        self.places[account] = len(self.accounts)
        self.accounts.append(account)

    def remove(self, account: Address, block: BlockNumber) -> None:
        self._prepare(block)
        place = self.places.pop(account)
        last = self.accounts.pop()
        if last != account:
            self.accounts[place] = last
            self.places[last] = place

    def at_start_of(self, block: BlockNumber) -> tuple[Address, ...]:
        return self.before if block == self.changed_in else self._present()

    def _prepare(self, block: BlockNumber) -> None:
        if block != self.changed_in:
            self.before = self._present()
            self.changed_in = block
        self.now = None

    def _present(self) -> tuple[Address, ...]:
        if self.now is None:
            self.now = tuple(self.accounts)
        return self.now


class Bonds:
    """All role stakes and offences. The callers have checked what the protocol demands."""

    def __init__(self) -> None:
        self.held: dict[Address, RoleStake] = {}
        self._ranks = {Role.VALIDATOR: _Ranks(), Role.CHALLENGER: _Ranks()}
        self._offences: dict[tuple[Address, Role], int] = {}

    def of(self, account: Address) -> RoleStake | None:
        """The role stake held, leaving or not."""
        return self.held.get(account)

    def stake(self, account: Address, role: Role) -> Tokens:
        """What this account has at risk in this role; 0 without it."""
        bond = self.held.get(account)
        return bond.stake if bond is not None and bond.role is role else Tokens(0)

    def offences(self, account: Address, role: Role) -> int:
        """How often it was fined in this role, ever; a new stake does not forget it."""
        return self._offences.get((account, role), 0)

    def eligible(self, role: Role, block: BlockNumber) -> tuple[Address, ...]:
        """The active accounts at the end of the block before `block`, in the array's order.

        Only the newest block, or a later one, can be asked for.
        """
        return self._ranks[role].at_start_of(block)

    def total(self) -> Tokens:
        return Tokens(sum(bond.stake for bond in self.held.values()))

    def add(self, account: Address, role: Role, stake: Tokens, block: BlockNumber) -> None:
        self.held[account] = RoleStake(role, stake, block)
        self._ranks[role].add(account, block)

    def leave(self, account: Address, free_at: Timestamp, block: BlockNumber) -> None:
        bond = self.held[account]
        bond.left_in = block
        bond.free_at = free_at
        self._ranks[bond.role].remove(account, block)

    def remove(self, account: Address) -> RoleStake:
        """Takes out one that has left."""
        return self.held.pop(account)

    def fine(self, account: Address, role: Role, amount: Tokens) -> None:
        """Counts an offence and lowers the stake, if the role is still held."""
        self._offences[account, role] = self.offences(account, role) + 1
        if amount:
            self.held[account].stake = Tokens(self.held[account].stake - amount)
