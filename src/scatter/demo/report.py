"""What a demo leaves behind: `report.json`, and the table that a person reads.

Every figure comes from the chain or from running the evaluation job; nothing is taken from what a
node says of itself. Amounts are whole numbers of the token's smallest unit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from scatter.demo.cast import Actor, Cast
from scatter.demo.folder import REPORT
from scatter.demo.gas import GasBill
from scatter.lifecycle.payments import (
    LotteryFed,
    LotteryWon,
    Payment,
    Penalised,
    RewardEscrowed,
    RewardReturned,
    StakeForfeited,
    StakeLocked,
    StakeReturned,
    TaxPaid,
    TrainerPaid,
    ValidatorPaid,
)
from scatter.mechanism.units import Address, Tokens
from scatter.ports.chain import Holdings

EQUATIONS: Mapping[type[Payment], str] = {
    TaxPaid: "3",
    RewardEscrowed: "5, 7",
    TrainerPaid: "4",
    ValidatorPaid: "6",
    Penalised: "8",
}
"""The paper's equation behind a payment; the others follow from section 3.2 as a rule."""

WORDS: Mapping[type[Payment], str] = {
    TaxPaid: "tax",
    RewardEscrowed: "rewards",
    RewardReturned: "reward returned",
    TrainerPaid: "reward",
    ValidatorPaid: "reward",
    StakeForfeited: "stake lost",
    Penalised: "penalty",
    LotteryWon: "lottery",
}
_SIGNS: Mapping[type[Payment], int] = {
    TaxPaid: -1,
    RewardEscrowed: -1,
    RewardReturned: 1,
    StakeLocked: -1,
    StakeReturned: 1,
    StakeForfeited: 0,
    TrainerPaid: 1,
    ValidatorPaid: 1,
    Penalised: -1,
    LotteryWon: 1,
}
"""What a payment does to the wealth of the account that it is about; a forfeited stake was locked
before, when the trainer joined."""

_RECEIVERS = ("trainer", "member", "requester", "accuser", "account")


@dataclass(frozen=True)
class Accuracy:
    """Shares of the held-out examples, 0..1."""

    local: Mapping[Address, float]
    """The committee's average for each trainer's model, in the last job."""
    mean_local: float
    """Over the honest trainers."""
    global_: float
    """Of the aggregate, by the evaluation job."""
    centralised: float
    """Of the same training on everybody's data on one machine."""


@dataclass(frozen=True)
class DemoReport:
    """Everything that a demo found out."""

    options: Mapping[str, Any]
    accuracy: Accuracy
    accounts: Mapping[Address, Mapping[str, Any]]
    gas: GasBill
    supply_ok: bool
    supply: Mapping[str, int]
    lottery: Tokens
    sandbox: str
    chain: str
    verdicts: Sequence[str]
    seconds: Mapping[str, float]

    def as_json(self) -> str:
        """The content of `report.json`."""
        accuracy = {
            "local": self.accuracy.local,
            "mean_local": self.accuracy.mean_local,
            "global": self.accuracy.global_,
            "centralised": self.accuracy.centralised,
        }
        table = {
            "options": self.options,
            "accuracy": accuracy,
            "accounts": self.accounts,
            "gas": {
                "transactions": self.gas.transactions,
                "total": self.gas.total,
                "failed": self.gas.failed,
                "by_call": {name: asdict(cost) for name, cost in self.gas.by_call.items()},
            },
            "supply_ok": self.supply_ok,
            "supply": self.supply,
            "lottery": self.lottery,
            "sandbox": self.sandbox,
            "chain": self.chain,
            "verdicts": list(self.verdicts),
            "seconds": self.seconds,
            "unit": "10^-18 token",
        }
        return json.dumps(table, indent=2) + "\n"

    def write(self, folder: Path) -> Path:
        """Writes `report.json` into `folder`; returns its path."""
        path = folder / REPORT
        path.write_text(self.as_json())
        return path


def account_for(
    cast: Cast,
    before: Mapping[Address, Holdings],
    after: Mapping[Address, Holdings],
    payments: Sequence[Payment],
) -> dict[Address, dict[str, Any]]:
    """What every participant had and has, role stakes included, and each payment in between."""
    return {actor.account: _account(actor, before, after, payments) for actor in cast.actors}


def _account(
    actor: Actor,
    before: Mapping[Address, Holdings],
    after: Mapping[Address, Holdings],
    payments: Sequence[Payment],
) -> dict[str, Any]:
    start, end = before[actor.account], after[actor.account]
    return {
        "name": actor.name,
        "role": actor.part,
        "malicious": actor.malicious,
        "before": start.balance + start.stake,
        "after": end.balance + end.stake,
        "role_stake": end.stake,
        "payouts": [explain(p) for p in payments if receiver_of(p) == actor.account],
    }


def receiver_of(payment: Payment) -> Address | None:
    """Whom a payment is about, if anybody: remainders fed to the lottery are nobody's."""
    if isinstance(payment, LotteryFed):
        return None
    for name in _RECEIVERS:
        account = getattr(payment, name, None)
        if account is not None:
            return Address(account)
    return None


def amount_of(payment: Payment) -> Tokens:
    """How much a payment moved."""
    if isinstance(payment, RewardEscrowed | RewardReturned):
        return Tokens(payment.trainers_part + payment.validators_part)
    amount = getattr(payment, "amount", None)
    return Tokens(getattr(payment, "stake", 0) if amount is None else amount)


def explain(payment: Payment) -> dict[str, Any]:
    """A payment as a table: its kind, equation, amount, and all inputs.

    `change` is what it did to the wealth of the account that it is about; all changes together are
    the difference between `before` and `after`.
    """
    inputs = {field.name: getattr(payment, field.name) for field in fields(payment)}
    kind = type(payment).__name__
    return {
        "kind": kind,
        "equation": EQUATIONS.get(type(payment)),
        "amount": amount_of(payment),
        "change": _SIGNS[type(payment)] * amount_of(payment),
        "inputs": inputs,
    }
