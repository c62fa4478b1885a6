"""What is just allowed, is: the last value and the last second, by contracts and specification.

`test_refusals.py` has the first that is refused.
"""

from collections.abc import Callable

import pytest
from tests.contracts.scene import SCORES, Scene, reveal
from tests.contracts.twins import twins
from tests.unit.vectors.reading import DATASET, SALT, START, address_of, order

from scatter.lifecycle import reasons as r
from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import HARDENED, local
from scatter.mechanism.units import MOST_STAKE, UNIT, BlockNumber, Timestamp

LETTERS = "abcdefghijklmnopqrstuvwxyz-0123456789"


def commit_late(s: Scene) -> None:
    first = s.validators[0]
    s.at("commit_scores", first, commit_to_scores(s.job, first, SCORES, SALT), seconds=59)


def accuse_a_challenger_late(s: Scene) -> None:
    """Who spoke only at the end of the challenge can be accused one vote window longer."""
    s.at("accuse", s.challengers[0], s.trainers[0], seconds=9)
    s.at("accuse", s.challengers[1], s.challengers[0], seconds=5)
    s.at("vote", s.challengers[2], s.challengers[0], True, seconds=5)


def settle_in_time(s: Scene) -> None:
    """Each second before is refused, by both."""
    s.at("accuse", s.challengers[0], s.trainers[0])
    s.at("accuse", s.challengers[1], s.challengers[0])
    with pytest.raises(Refused, match=r.TOO_EARLY):
        s.at("settle", s.stranger, seconds=19)
    s.at("settle", s.stranger, seconds=1)


def train_for_a_second(s: Scene, **changes: int) -> None:
    s.create(training_time=1, **changes)
    for trainer in s.trainers[:2]:
        s.at("join", trainer, UNIT)
    s.at("start", s.stranger)
    for trainer in s.trainers[:2]:
        s.at("submit_model", trainer, DATASET, DATASET)


Line = tuple[str, str, Callable[[Scene], None]]
LINES: list[Line] = [
    ("nothing", "threshold 100 %", lambda s: s.create(threshold=10_000, floor=10_000)),
    ("nothing", "threshold 0", lambda s: s.create(threshold=0, floor=0)),
    ("nothing", "one trainer", lambda s: s.create(most_trainers=1)),
    ("nothing", "64 trainers", lambda s: s.create(most_trainers=64)),
    ("nothing", "least stake 1", lambda s: s.create(least_stake=1)),
    ("nothing", "largest least stake", lambda s: s.create(least_stake=MOST_STAKE)),
    ("nothing", "training of a second", train_for_a_second),
    ("nothing", "an odd threshold", lambda s: train_for_a_second(s, threshold=5_001, floor=5_001)),
    ("nothing", "longest training", lambda s: s.create(training_time=3_600)),
    ("nothing", "smallest reward", lambda s: s.create(reward=1)),
    ("nothing", "whole purse", lambda s: s.create(reward=100_000 * UNIT)),
    ("nothing", "every letter", lambda s: s.create(topic=LETTERS)),
    ("nothing", "one letter", lambda s: s.create(topic="a")),
    ("nothing", "64 letters", lambda s: s.create(topic="z" * 64)),
    ("nothing", "33 letters", lambda s: s.create(topic="-" * 33)),
    ("opened", "join with 1 unit", lambda s: s.at("join", s.stranger, UNIT, seconds=59)),
    ("opened", "cancel at 60 s", lambda s: s.at("cancel", s.stranger, seconds=60)),
    ("joined", "start at 60 s", lambda s: s.at("start", s.stranger, seconds=60)),
    (
        "training",
        "submit at 99 s",
        lambda s: s.at("submit_model", s.trainers[0], DATASET, SALT, seconds=99),
    ),
    ("training", "close at 100 s", lambda s: s.at("close_training", s.stranger, seconds=100)),
    ("already", "close with one model", lambda s: s.at("close_training", s.stranger, seconds=100)),
    (
        "trained",
        "publish at 59 s",
        lambda s: s.at("publish_dataset", s.requester, DATASET, SALT, seconds=59),
    ),
    (
        "trained",
        "draw one block past the seed's",
        lambda s: s.at("draw_committee", s.stranger, seconds=59, blocks=1),
    ),
    ("trained", "settle at 60 s", lambda s: s.at("settle", s.stranger, seconds=60)),
    ("scoring", "commit at 59 s", commit_late),
    ("scoring", "refrain at 59 s", lambda s: s.at("refrain", s.validators[2], seconds=59)),
    ("committed", "reveal at 59 s", lambda s: reveal(s, SCORES, seconds=59)),
    (
        "scored",
        "accuse at 9 s",
        lambda s: s.at("accuse", s.challengers[0], s.trainers[0], seconds=9),
    ),
    (
        "accused",
        "vote at 14 s",
        lambda s: s.at("vote", s.challengers[1], s.trainers[0], True, seconds=14),
    ),
    ("scored", "accuse and condemn a challenger late", accuse_a_challenger_late),
    ("scored", "settle after every vote window", settle_in_time),
    ("unmanned", "withdraw at 390 s", lambda s: s.do("withdraw", s.validators[0], seconds=390)),
    (
        "nothing",
        "least stake of a role",
        lambda s: s.do("register", s.stranger, Role.CHALLENGER, 20_000 * UNIT),
    ),
    (
        "over",
        "a role after a job",
        lambda s: s.do("register", s.trainers[0], Role.VALIDATOR, 25_000 * UNIT),
    ),
]


@pytest.mark.parametrize(
    ("stage", "call"),
    [(stage, call) for stage, _, call in LINES],
    ids=[f"{stage}, {name}" for stage, name, _ in LINES],
)
def test_allows(scene: Scene, stage: str, call: Callable[[Scene], None]) -> None:
    getattr(scene, stage)()

    call(scene)

    scene.both.compare(scene.tick())


@pytest.mark.parametrize("place", [0, 31, 32, 63])
@pytest.mark.parametrize("letter", "`{/:,.A é")
def test_a_topic_has_no_letter_beside_those_of_a_slug(
    scene: Scene, letter: str, place: int
) -> None:
    room = "a" * (64 - len(letter.encode()))
    with pytest.raises(Refused, match=r.TOPIC_NOT_A_SLUG):
        scene.create(topic=room[:place] + letter + room[place:])


def test_a_network_of_strangers_takes_floors_below_the_threshold_and_no_small_reward() -> None:
    with twins(local(HARDENED)) as both:
        treasury, block = address_of("treasury"), Block(BlockNumber(7), Timestamp(START))
        both.create(treasury, block, **order(reward=100 * UNIT, floor=4_999))
        both.create(treasury, block, **order(reward=100 * UNIT, floor=0))
        for change in ({"reward": 100 * UNIT - 1}, {"floor": 5_001}):
            with pytest.raises(Refused, match="out of bounds"):
                both.create(treasury, block, **order(**change))
        both.compare(block)
