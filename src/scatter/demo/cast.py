"""Who takes part in a demo: accounts, parts, stakes and terms, all fixed by the seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eth_account import Account
from eth_utils.crypto import keccak

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import UNIT, Address, Score, Tokens

INITIAL_SUPPLY = Tokens(100_000 * UNIT)
"""Per node (paper, Table 2)."""
THRESHOLD = Score(4_000)
"""As in the paper's own simulation."""
MOST_OF_A_PART = {"trainer": 64, "validator": 16, "challenger": 32}
MOST_JOBS = 100


@dataclass(frozen=True)
class DemoOptions:
    """What a person may choose; the defaults are those of the paper's Table 2, and one cheater."""

    trainers: int = 6
    validators: int = 3
    challengers: int = 2
    malicious: Mapping[str, int] = field(default_factory=lambda: {"trainer": 1})
    """How many of a part cheat; the last ones of that part do."""
    jobs: int = 1
    profile: str = "paper"
    seed: int = 1
    out: Path = Path("demo-out")

    def __post_init__(self) -> None:
        counts = {
            "trainer": self.trainers,
            "validator": self.validators,
            "challenger": self.challengers,
        }
        for part, count in counts.items():
            least = 0 if part == "challenger" else 1
            if not least <= count <= MOST_OF_A_PART[part]:
                raise BadInput(
                    f"--{part}s is {count}; it must be from {least} to {MOST_OF_A_PART[part]}."
                )
        for part, count in self.malicious.items():
            if part not in counts:
                raise BadInput(
                    f"--malicious {part}={count}: the part must be one of {', '.join(counts)}."
                )
            if not 0 <= count <= counts[part]:
                raise BadInput(
                    f"--malicious {part}={count}: there are {counts[part]} of them in this demo."
                )
        if self.malicious.get("trainer", 0) >= self.trainers:
            raise BadInput("At least one trainer must be honest, or there is nothing to aggregate.")
        if not 1 <= self.jobs <= MOST_JOBS:
            raise BadInput(f"--jobs is {self.jobs}; it must be from 1 to {MOST_JOBS}.")
        if not 0 <= self.seed < 2**32:
            raise BadInput(f"--seed is {self.seed}; it must be from 0 to {2**32 - 1}.")


@dataclass(frozen=True)
class Actor:
    """One participant and its node."""

    part: str
    """`requester`, `trainer`, `validator` or `challenger`."""
    number: int
    """From 1 within its part."""
    key: bytes = field(repr=False)
    account: Address
    malicious: bool
    stake: Tokens
    """Of a trainer, in every job; 0 for the others, who stake what their role requires."""

    @property
    def name(self) -> str:
        return self.part if self.part == "requester" else f"{self.part} {self.number}"

    @property
    def slug(self) -> str:
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class Cast:
    """Everybody, and what the requester pays for each job."""

    requester: Actor
    trainers: tuple[Actor, ...]
    validators: tuple[Actor, ...]
    challengers: tuple[Actor, ...]
    treasury: Actor
    """Deploys the contracts and hands out the initial supply; runs no node."""
    rewards: tuple[Tokens, ...]

    @property
    def actors(self) -> tuple[Actor, ...]:
        """All that run a node."""
        return (self.requester, *self.trainers, *self.validators, *self.challengers)

    def name_of(self, account: Address) -> str:
        """As shown to people; the address itself for strangers."""
        for actor in (*self.actors, self.treasury):
            if actor.account == account:
                return actor.name
        return account


def assemble(options: DemoOptions) -> Cast:
    """The cast that the seed says."""
    draw = random.Random(options.seed)  # noqa: S311 - a demo's script, no secret

    def act(part: str, number: int, malicious: bool = False, stake: int = 0) -> Actor:
        key = keccak(text=f"scatter demo {options.seed} {part} {number}")
        account = Address(Account.from_key(key).address)
        return Actor(part, number, key, account, malicious, Tokens(stake))

    def company(part: str, count: int) -> tuple[Actor, ...]:
        honest = count - options.malicious.get(part, 0)
        return tuple(
            act(part, n, n > honest, draw.randint(500, 1500) * UNIT if part == "trainer" else 0)
            for n in range(1, count + 1)
        )

    return Cast(
        requester=act("requester", 1),
        trainers=company("trainer", options.trainers),
        validators=company("validator", options.validators),
        challengers=company("challenger", options.challengers),
        treasury=act("treasury", 1),
        rewards=tuple(Tokens(draw.randint(1000, 2000) * UNIT) for _ in range(options.jobs)),
    )
