"""What each attack brings its gang, beside what honesty would have brought the same accounts."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scatter.mechanism.parameters import profile
from scatter.simulation.attacks.library import ATTACKS
from scatter.simulation.attacks.plot import Plot
from scatter.simulation.attacks.stage import EVERYBODY, Setting, Stage
from scatter.simulation.processes import Progress, Tell, share_out
from scatter.simulation.runs import Ground, deploy_on


@dataclass(frozen=True)
class Measured:
    """One attack under one profile; amounts in the token's smallest unit."""

    attack: type[Plot]
    profile: str
    gain: int
    """Of the whole gang."""
    honest: int
    """The same accounts', had they been honest or, where that is no choice, stayed away."""
    harm: int
    """What all others who lose by it have less."""

    @property
    def difference(self) -> int:
        return self.gain - self.honest

    @property
    def pays(self) -> bool:
        return self.difference > 0


Play = tuple[type[Plot], Setting]


def plays_of(attacks: Sequence[type[Plot]]) -> list[Play]:
    """The jobs to play for these attacks: each of them, and what it is compared with."""
    pairs = ((attack, attack.setting) for attack in attacks)
    others = (attack.alternative() for attack in attacks)
    return list(dict.fromkeys([*pairs, *others]))


def measure_all(
    profiles: Sequence[str],
    ground: Ground,
    tell: Tell,
    attacks: Sequence[type[Plot]] = ATTACKS,
) -> list[Measured]:
    """Every attack under every profile, profile by profile; `tell` gets the jobs played."""
    tasks = [(name, Task(name, ground, tuple(attacks))) for name in profiles]
    return [one for found in share_out(measure, tasks, tell) for one in found]


@dataclass(frozen=True)
class Task:
    """Some attacks under one profile."""

    profile: str
    ground: Ground
    attacks: tuple[type[Plot], ...]


def measure(task: Task, progress: Progress) -> list[Measured]:
    """Plays the attacks on a fresh deployment, each from the same beginning."""
    rules = deploy_on(task.ground, profile(task.profile), EVERYBODY)
    gains = _play_all(Stage(rules), plays_of(task.attacks), progress)
    return [_compare(gains, task.profile, attack) for attack in task.attacks]


Gains = Mapping[str, int]
"""What everybody has more than at the beginning, by name."""


def _compare(gains: Mapping[Play, Gains], profile: str, attack: type[Plot]) -> Measured:
    cheating, usual = gains[attack, attack.setting], gains[attack.alternative()]
    others = cheating.keys() - set(attack.gang)
    return Measured(
        attack=attack,
        profile=profile,
        gain=sum(cheating[name] for name in attack.gang),
        honest=sum(usual[name] for name in attack.gang),
        harm=sum(max(0, usual[name] - cheating[name]) for name in others),
    )


def _play_all(stage: Stage, plays: Sequence[Play], progress: Progress) -> dict[Play, Gains]:
    """Every play begins where others of its kind did: with the same people, the same training."""
    found: dict[Play, Gains] = {}
    stage.endow()
    before, beginning = stage.wealth(), stage.mark()
    by_setting = _sort(plays, lambda play: play[1])
    for setting, of_setting in by_setting.items():
        stage.rewind(beginning)
        stage.appoint(setting)
        appointed = stage.mark()
        for alike in _sort(of_setting, lambda play: play[0].prologue()).values():
            stage.rewind(appointed)
            alike[0][0](stage, setting).prepare()
            trained = stage.mark()
            for kind, _ in alike:
                stage.rewind(trained)
                kind(stage, setting).carry_out()
                after = stage.wealth()
                found[kind, setting] = {name: after[name] - before[name] for name in after}
                progress(len(found))
    return found


def _sort(plays: Sequence[Play], key: Callable[[Play], Hashable]) -> dict[Any, list[Play]]:
    sorted_: dict[Any, list[Play]] = {}
    for play in plays:
        sorted_.setdefault(key(play), []).append(play)
    return sorted_
