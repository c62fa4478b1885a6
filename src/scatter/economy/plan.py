"""What chance decides about one job, drawn beforehand, so that no rule can influence it."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from scatter.economy.scenario import Crowd, Manner, Scenario
from scatter.mechanism.units import WHOLE, Score, Tokens


@dataclass(frozen=True, slots=True)
class Plan:
    """One job's chances. Places count the nodes of a role from 0."""

    requester: int
    harmful: bool
    """Whether this requester cheats in this job."""
    reward: Tokens
    stakes: Sequence[Tokens]
    """Of each trainer."""
    bad_trainers: frozenset[int]
    quality: Sequence[Score]
    """Of each trainer's model: what every honest evaluation of it gives."""
    turned: Sequence[Score]
    """What a validator that swaps makes of each model."""
    bad_validators: frozenset[int]
    turns: Sequence[int]
    """The challengers, the quickest first."""
    bad_challengers: frozenset[int]


def draw_plan(scenario: Scenario, number: int) -> Plan:
    """The chances of job `number`; the same whatever happened in the jobs before it."""
    chance = Random(f"{scenario.seed} {number}")  # noqa: S311 -- repeatable, not secret
    requester = (number - 1) % scenario.requesters.count
    reward = Tokens(scenario.reward.draw(chance))
    bad_requesters = _cheats(scenario.requesters, chance)
    places = range(scenario.trainers.count)
    stakes = [Tokens(scenario.stake.draw(chance)) for _ in places]
    good = [Score(scenario.good.draw(chance)) for _ in places]
    bad = [Score(scenario.bad.draw(chance)) for _ in places]
    bad_trainers = _cheats(scenario.trainers, chance)
    bad_validators = _cheats(scenario.validators, chance)
    turns = list(range(scenario.challengers.count))
    if not _happens(scenario.lead, chance):
        chance.shuffle(turns)
    return Plan(
        requester=requester,
        harmful=requester in bad_requesters,
        reward=reward,
        stakes=stakes,
        bad_trainers=bad_trainers,
        quality=[bad[i] if i in bad_trainers else good[i] for i in places],
        turned=[good[i] if i in bad_trainers else bad[i] for i in places],
        bad_validators=bad_validators,
        turns=turns,
        bad_challengers=_cheats(scenario.challengers, chance),
    )


def _cheats(crowd: Crowd[Manner], chance: Random) -> frozenset[int]:
    first = crowd.count - crowd.malicious
    return frozenset(i for i in range(first, crowd.count) if _happens(crowd.cheats, chance))


def _happens(share: int, chance: Random) -> bool:
    return share == WHOLE or chance.randrange(WHOLE) < share
