"""What everybody owns and is owed, kept from the events of the contracts alone.

It knows nothing of the specification. A token that moves needs a cause: an event that names it, or
its owner's word.
"""

from collections import Counter
from collections.abc import Sequence

from tests.contracts.deployed import Contracts, Log

from scatter.adapters.contracts import TOKEN
from scatter.mechanism.units import Address

PAID_TO = {
    "TrainerPaid": "trainer",
    "ValidatorPaid": "member",
    "StakeReturned": "trainer",
    "LotteryWon": "accuser",
    "RoleWithdrawn": "account",
    "RewardReturned": "requester",
}
PAID_BY = {
    "TaxPaid": "requester",
    "RewardEscrowed": "requester",
    "StakeLocked": "trainer",
    "RoleRegistered": "account",
}


class Books:
    """What everybody owns and is owed, by the events."""

    def __init__(self, contracts: Contracts, treasury: Address) -> None:
        self.contracts = contracts
        self.token = contracts.at[TOKEN].lower()
        self.supply = contracts.parameters.supply
        self.balances = Counter({treasury.lower(): self.supply})
        self.escrow: Counter[int] = Counter()
        self.stakes: Counter[tuple[int, str]] = Counter()
        self.roles: Counter[str] = Counter()
        self.lottery = 0

    def record(self, caller: str, spenders: Sequence[str], logs: Sequence[Log]) -> None:
        """Books one receipt. `spenders`: whose tokens the call may take besides the caller's."""
        changes: Counter[str] = Counter()
        causes: Counter[str] = Counter()
        for log in logs:
            if log.contract != TOKEN:
                continue
            if log.event == "Transfer":
                changes[log.values["sender"]] -= log.values["value"]
                changes[log.values["receiver"]] += log.values["value"]
                if self.token not in (log.values["sender"], log.values["receiver"]):
                    causes[log.values["sender"]] -= log.values["value"]
                    causes[log.values["receiver"]] += log.values["value"]
                    assert log.values["sender"] in spenders, "moved without the owner's word"
            elif log.event != "Approval":
                self._book(log, causes)
        held = changes.pop(self.token, 0)
        for account in changes.keys() | causes.keys():
            assert changes[account] == causes[account], f"{account} gained without a cause"
            assert changes[account] >= 0 or account in (*spenders, caller.lower()), "stolen"
        self.balances.update(changes)
        self.balances[self.token] += held

    def _book(self, log: Log, causes: Counter[str]) -> None:
        values = log.values
        amount = sum(values.get(n, 0) for n in ("amount", "trainersPart", "validatorsPart"))
        if log.event in PAID_TO:
            receiver = values[PAID_TO[log.event]]
            causes[receiver] += values["stake"] if log.event == "RoleWithdrawn" else amount
        if log.event in PAID_BY:
            locks = log.event in ("StakeLocked", "RoleRegistered")
            causes[values[PAID_BY[log.event]]] -= values["stake"] if locks else amount
        match log.event:
            case "TaxPaid":
                self.lottery += amount
            case "RewardEscrowed":
                self.escrow[values["job"]] += amount
            case "TrainerPaid" | "ValidatorPaid" | "RewardReturned":
                self.escrow[values["job"]] -= amount
            case "LotteryFed":
                self.escrow[values["job"]] -= amount
                self.lottery += amount
            case "StakeLocked":
                self.stakes[values["job"], values["trainer"]] += values["stake"]
            case "StakeReturned":
                self.stakes[values["job"], values["trainer"]] -= amount
            case "StakeForfeited":
                self.stakes[values["job"], values["trainer"]] -= amount
                self.lottery += amount
            case "Penalised":
                self.roles[values["account"]] -= amount
                self.lottery += amount
            case "LotteryWon":
                self.lottery -= amount
            case "RoleRegistered":
                self.roles[values["account"]] += values["stake"]
            case "RoleWithdrawn":
                self.roles[values["account"]] -= values["stake"]

    def check(self) -> None:
        """The contracts' own views say the same, and nothing is missing anywhere."""
        read = self.contracts.read
        balances = {a: read(TOKEN, "balanceOf", a) for a in self.balances}
        assert balances == self.balances
        assert sum(balances.values()) == self.supply == read(TOKEN, "totalSupply")
        assert read(TOKEN, "lottery") == self.lottery
        for account in self.roles:
            assert read(TOKEN, "holdings", account)[2] == self.roles[account]
        claims = [*self.escrow.values(), *self.stakes.values(), *self.roles.values()]
        assert min(claims, default=0) >= 0
        assert balances.get(self.token, 0) == self.lottery + sum(claims)
