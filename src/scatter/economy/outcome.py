"""Runs a scenario from the first token to the last settlement, and says who has what at the end."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scatter.economy.play import Play, names_of
from scatter.economy.rules import Rules
from scatter.economy.scenario import Scenario
from scatter.economy.series import Recorder, Series
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.units import Tokens

Progress = Callable[[int], None]
"""Told the number of each job that is over."""


@dataclass(frozen=True)
class Node:
    """One node at the end."""

    name: str
    role: str
    malicious: bool
    balance: Tokens
    stake: Tokens
    """In its long-term role."""
    change: int
    """Of balance and stake together, since the beginning."""


@dataclass(frozen=True)
class Outcome:
    """How a simulation ended."""

    scenario: str
    jobs: int
    """Fewer than asked for when a requester could not pay any more."""
    verdicts: Mapping[Verdict, int]
    nodes: tuple[Node, ...]
    lottery: Tokens

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def of(self, role: str, *, malicious: bool | None = None) -> list[Node]:
        return [
            node for node in self.nodes if node.role == role and malicious in (None, node.malicious)
        ]


@dataclass(frozen=True)
class Run:
    """A scenario that was played: the way to its end, and the end."""

    scenario: Scenario
    series: Series
    outcome: Outcome


def simulate(scenario: Scenario, rules: Rules, progress: Progress = lambda _: None) -> Run:
    """Plays all jobs and notes what everybody has in every block."""
    names = names_of(scenario)
    by_account = {rules.account(name): name for role in names for name in names[role]}
    roles = [rules.account(name) for role in ("validator", "challenger") for name in names[role]]
    recorder = Recorder(rules, by_account, roles)
    play = Play(scenario, rules, recorder)
    play.endow()
    recorder.begin(play.clock.block)
    verdicts = _play_jobs(play, progress)
    return Run(scenario, recorder.series(), _sum_up(scenario, rules, verdicts))


def add_up(scenario: Scenario, rules: Rules) -> Outcome:
    """The end alone, which is much quicker."""
    play = Play(scenario, rules, lambda _: None)
    play.endow()
    verdicts = _play_jobs(play, lambda _: None)
    return _sum_up(scenario, rules, verdicts)


def _play_jobs(play: Play, progress: Progress) -> Counter[Verdict]:
    play.take_roles()
    verdicts: Counter[Verdict] = Counter()
    for number in range(1, play.scenario.jobs + 1):
        job = play.play_job(number)
        if job is None:
            break
        verdicts[job.verdict] += 1
        progress(number)
    return verdicts


def _sum_up(scenario: Scenario, rules: Rules, verdicts: Counter[Verdict]) -> Outcome:
    nodes = []
    for role, names in names_of(scenario).items():
        crowd = getattr(scenario, f"{role}s")
        for place, name in enumerate(names):
            account = rules.account(name)
            balance, stake = rules.balance(account), rules.role_stake(account)
            change = balance + stake - scenario.tokens
            malicious = crowd.is_malicious(place)
            nodes.append(Node(name, role, malicious, balance, stake, change))
    return Outcome(
        scenario=scenario.name,
        jobs=sum(verdicts.values()),
        verdicts=dict(sorted(verdicts.items())),
        nodes=tuple(nodes),
        lottery=rules.lottery(),
    )
