"""A network with its people in their roles, on which one job after another can be tried."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scatter.economy.clock import Clock
from scatter.economy.rules import Rules
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import UNIT, Address, Score, Tokens

ENDOWMENT = Tokens(100_000 * UNIT)
STAKE = Tokens(1_000 * UNIT)

REQUESTER = "requester"
NEWCOMERS = tuple(f"newcomer {n}" for n in (1, 2, 3))
EVERYBODY = (
    REQUESTER,
    *(f"trainer {n}" for n in range(1, 7)),
    *(f"validator {n}" for n in range(1, 4)),
    *(f"challenger {n}" for n in range(1, 7)),
    *NEWCOMERS,
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Who is there, and what the requester offers."""

    trainers: tuple[tuple[str, Tokens], ...] = tuple((f"trainer {n}", STAKE) for n in (1, 2, 3))
    """In the order of joining, each with its stake on the job."""
    challengers: int = 4
    reward: Tokens | None = Tokens(1_000 * UNIT)
    """None: as little as the profile allows."""
    threshold: Score = Score(4_000)
    """The floor is the same."""

    @property
    def validators(self) -> tuple[str, ...]:
        """As many as the smallest committee of the hardened profile has: all of them are drawn."""
        return tuple(f"validator {n}" for n in (1, 2, 3))

    @property
    def electorate(self) -> tuple[str, ...]:
        return tuple(f"challenger {n}" for n in range(1, self.challengers + 1))


class Stage:
    """The rules, the time, and who is called what."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.clock = Clock(rules)
        self._names = {rules.account(name): name for name in EVERYBODY}

    def account(self, name: str) -> Address:
        return self.rules.account(name)

    def name(self, account: Address) -> str:
        return self._names[account]

    def endow(self) -> None:
        for name in EVERYBODY:
            self.rules.endow(self.account(name), ENDOWMENT, self.clock.next())

    def appoint(self, setting: Setting) -> None:
        """The validators and challengers take up their roles."""
        for name in setting.validators:
            self.register(name, Role.VALIDATOR)
        for name in setting.electorate:
            self.register(name, Role.CHALLENGER)

    def register(self, name: str, role: Role, amount: Tokens | None = None) -> None:
        """With the least stake of the role, unless an amount is given."""
        p = self.rules.parameters
        least = p.validator_stake if role is Role.VALIDATOR else p.challenger_stake
        self.do(self.rules.register, name, role, least if amount is None else amount)

    def do(self, call: Callable[..., None], name: str, *arguments: object) -> None:
        self.clock.do(call, self.account(name), *arguments)

    def fail(self, reason: str, call: Callable[..., None], name: str, *arguments: Any) -> None:
        """Tries what must be refused for this reason."""
        try:
            self.do(call, name, *arguments)
        except Refused as refusal:
            assert str(refusal) == reason, f"refused for another reason: {refusal}"
        else:
            raise AssertionError(f"{name} was not refused: {reason}")

    def wealth(self) -> dict[str, Tokens]:
        """Balance and role stake of everybody, while no stake lies on a job."""
        return {name: self.rules.wealth(self.account(name)) for name in EVERYBODY}

    def mark(self) -> tuple[Any, Block]:
        return self.rules.mark(), self.clock.block

    def rewind(self, mark: tuple[Any, Block]) -> None:
        """Back to a mark of the way that led here."""
        kept, self.clock.block = mark
        self.rules.rewind(kept)
