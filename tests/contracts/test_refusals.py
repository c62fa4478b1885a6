"""Every refusal of the front door, by the contracts and by the specification, in the same words.

Each line is one: the stage that a job has reached, the reason, and the call that is refused.
`Twins` makes the call on both and fails unless both refuse alike.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contracts.scene import EMPTY, SCORES, Scene, reveal
from tests.unit.vectors.reading import DATASET, SALT

from scatter.lifecycle import reasons as r
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import MOST_STAKE, UNIT


def accuse_and_vote_oneself(s: Scene) -> None:
    s.at("accuse", s.challengers[1], s.challengers[0])
    s.at("vote", s.challengers[0], s.challengers[0], False)


def twice(call: Callable[..., None], *arguments: Any) -> None:
    call(*arguments)
    call(*arguments)


Line = tuple[str, str, Callable[[Scene], None]]
LINES: list[Line] = [
    ("nothing", r.EMPTY_DIGEST, lambda s: s.create(training_job=EMPTY)),
    ("nothing", r.EMPTY_DIGEST, lambda s: s.create(evaluation_job=EMPTY)),
    ("nothing", r.EMPTY_DIGEST, lambda s: s.create(dataset_commitment=EMPTY)),
    ("nothing", r.TOPIC_NOT_A_SLUG, lambda s: s.create(topic="Digits")),
    ("nothing", r.TOPIC_NOT_A_SLUG, lambda s: s.create(topic="")),
    ("nothing", r.REWARD_OUT_OF_BOUNDS, lambda s: s.create(reward=0)),
    ("nothing", r.REWARD_OUT_OF_BOUNDS, lambda s: s.create(reward=MOST_STAKE + 1)),
    ("nothing", r.THRESHOLD_OUT_OF_BOUNDS, lambda s: s.create(threshold=10_001, floor=10_001)),
    ("nothing", r.FLOOR_OUT_OF_BOUNDS, lambda s: s.create(floor=4_999)),
    ("nothing", r.TRAINERS_OUT_OF_BOUNDS, lambda s: s.create(most_trainers=0)),
    ("nothing", r.TRAINERS_OUT_OF_BOUNDS, lambda s: s.create(most_trainers=65)),
    ("nothing", r.LEAST_STAKE_OUT_OF_BOUNDS, lambda s: s.create(least_stake=0)),
    ("nothing", r.LEAST_STAKE_OUT_OF_BOUNDS, lambda s: s.create(least_stake=MOST_STAKE + 1)),
    ("nothing", r.TRAINING_TIME_OUT_OF_BOUNDS, lambda s: s.create(training_time=3_601)),
    ("nothing", r.TRAINING_TIME_OUT_OF_BOUNDS, lambda s: s.create(training_time=2**255)),
    ("nothing", r.HAS_A_ROLE, lambda s: s.create(by=s.validators[0])),
    ("nothing", r.BALANCE_TOO_LOW, lambda s: s.create(reward=100_001 * UNIT)),
    ("nothing", r.NO_SUCH_JOB, lambda s: s.at("join", s.stranger, UNIT)),
    ("opened", r.NO_SUCH_JOB, lambda s: s.do("settle", s.stranger, 2)),
    ("opened", r.NO_SUCH_JOB, lambda s: s.do("commit_scores", s.validators[0], 2, SALT)),
    ("opened", r.NO_SUCH_JOB, lambda s: s.do("refrain", s.validators[0], 2)),
    (
        "opened",
        r.NO_SUCH_JOB,
        lambda s: s.do("reveal_scores", s.stranger, 2, s.validators[0], SCORES, SALT),
    ),
    ("opened", r.NO_SUCH_JOB, lambda s: s.do("accuse", s.challengers[0], 2, s.requester)),
    ("opened", r.NO_SUCH_JOB, lambda s: s.do("vote", s.challengers[0], 2, s.requester, True)),
    ("opened", r.REQUESTER_CANNOT_JOIN, lambda s: s.at("join", s.requester, UNIT)),
    ("opened", r.STAKE_BELOW_THE_LEAST, lambda s: s.at("join", s.stranger, 0)),
    ("opened", r.STAKE_TOO_LARGE, lambda s: s.at("join", s.stranger, MOST_STAKE + 1)),
    ("opened", r.HAS_A_ROLE, lambda s: s.at("join", s.challengers[0], UNIT)),
    ("opened", r.BALANCE_TOO_LOW, lambda s: s.at("join", s.stranger, 100_001 * UNIT)),
    ("opened", r.TOO_LATE, lambda s: s.at("join", s.stranger, UNIT, seconds=60)),
    ("opened", r.NOBODY_JOINED, lambda s: s.at("start", s.requester)),
    ("opened", r.TOO_EARLY, lambda s: s.at("cancel", s.requester)),
    ("joined", r.ALREADY_JOINED, lambda s: s.at("join", s.trainers[0], UNIT)),
    ("joined", r.FULL, lambda s: s.at("join", s.stranger, UNIT)),
    ("joined", r.ONLY_THE_REQUESTER, lambda s: s.at("start", s.stranger)),
    ("joined", r.SOMEBODY_JOINED, lambda s: s.at("cancel", s.stranger, seconds=60)),
    ("joined", r.NOT_IN_TRAINING, lambda s: s.at("submit_model", s.trainers[0], SALT, SALT)),
    ("joined", r.TOO_EARLY, lambda s: s.at("settle", s.stranger)),
    ("training", r.NOT_OPEN, lambda s: s.at("join", s.stranger, UNIT)),
    ("training", r.NOT_OPEN, lambda s: s.at("start", s.requester)),
    ("training", r.NOT_OPEN, lambda s: s.at("cancel", s.requester)),
    ("training", r.NOT_A_TRAINER, lambda s: s.at("submit_model", s.stranger, SALT, SALT)),
    ("training", r.EMPTY_DIGEST, lambda s: s.at("submit_model", s.trainers[0], EMPTY, SALT)),
    ("training", r.EMPTY_DIGEST, lambda s: s.at("submit_model", s.trainers[0], SALT, EMPTY)),
    (
        "training",
        r.TOO_LATE,
        lambda s: s.at("submit_model", s.trainers[0], SALT, SALT, seconds=100),
    ),
    ("training", r.TOO_EARLY, lambda s: s.at("close_training", s.stranger)),
    (
        "training",
        r.IN_A_RUNNING_JOB,
        lambda s: s.do("register", s.trainers[0], Role.VALIDATOR, UNIT),
    ),
    ("training", r.NOT_AWAITING_THE_DATASET, lambda s: s.at("draw_committee", s.stranger)),
    ("trained", r.NOT_IN_TRAINING, lambda s: s.at("close_training", s.stranger)),
    ("trained", r.TOO_EARLY, lambda s: s.at("draw_committee", s.stranger)),
    ("trained", r.TOO_LATE, lambda s: s.at("draw_committee", s.stranger, seconds=60, blocks=3)),
    ("trained", r.ONLY_THE_REQUESTER, lambda s: s.at("publish_dataset", s.stranger, DATASET, SALT)),
    ("trained", r.EMPTY_DIGEST, lambda s: s.at("publish_dataset", s.requester, EMPTY, SALT)),
    (
        "trained",
        r.DATASET_NOT_AS_COMMITTED,
        lambda s: s.at("publish_dataset", s.requester, DATASET, EMPTY),
    ),
    (
        "trained",
        r.TOO_LATE,
        lambda s: s.at("publish_dataset", s.requester, DATASET, SALT, seconds=60),
    ),
    ("unmanned", r.TOO_FEW_VALIDATORS, lambda s: s.at("draw_committee", s.stranger, blocks=3)),
    ("drawn", r.ALREADY_DRAWN, lambda s: s.at("draw_committee", s.stranger)),
    (
        "published",
        r.ALREADY_PUBLISHED,
        lambda s: s.at("publish_dataset", s.requester, DATASET, SALT),
    ),
    ("drawn", r.NOT_IN_THE_COMMIT_WINDOW, lambda s: s.at("refrain", s.validators[0])),
    ("drawn", r.NOT_IN_THE_REVEAL_WINDOW, lambda s: reveal(s, SCORES)),
    ("scoring", r.NOT_AWAITING_THE_DATASET, lambda s: s.at("draw_committee", s.stranger)),
    ("scoring", r.NOT_A_MEMBER, lambda s: s.at("refrain", s.stranger)),
    ("scoring", r.EMPTY_COMMITMENT, lambda s: s.at("commit_scores", s.validators[0], EMPTY)),
    (
        "scoring",
        r.NOT_IN_THE_COMMIT_WINDOW,
        lambda s: s.at("commit_scores", s.validators[0], SALT, seconds=60),
    ),
    ("scoring", r.ALREADY_ACTED, lambda s: twice(s.at, "refrain", s.validators[0])),
    ("scoring", r.NOT_IN_THE_REVEAL_WINDOW, lambda s: reveal(s, SCORES)),
    ("committed", r.NOT_A_MEMBER, lambda s: reveal(s, SCORES, of=s.stranger)),
    ("committed", r.NOTHING_COMMITTED, lambda s: reveal(s, SCORES, of=s.validators[2])),
    ("committed", r.WRONG_NUMBER_OF_SCORES, lambda s: reveal(s, SCORES[:2])),
    ("committed", r.SCORE_TOO_HIGH, lambda s: reveal(s, (10_001, 0, 0))),
    ("committed", r.SCORES_NOT_AS_COMMITTED, lambda s: reveal(s, (9_001, 8_000, 4_000))),
    ("committed", r.ALREADY_REVEALED, lambda s: twice(reveal, s, SCORES)),
    ("committed", r.NOT_IN_THE_REVEAL_WINDOW, lambda s: reveal(s, SCORES, seconds=60)),
    ("committed", r.ACCUSATIONS_CLOSED, lambda s: s.at("accuse", s.challengers[0], s.trainers[0])),
    ("scored", r.NOT_AN_ELECTOR, lambda s: s.at("accuse", s.stranger, s.trainers[0])),
    ("scored", r.ACCUSING_ONESELF, lambda s: s.at("accuse", s.challengers[0], s.challengers[0])),
    ("scored", r.NOT_ACCUSABLE, lambda s: s.at("accuse", s.challengers[0], s.challengers[1])),
    ("scored", r.NOT_ACCUSABLE, lambda s: s.at("accuse", s.challengers[0], s.requester)),
    (
        "scored",
        r.ACCUSATIONS_CLOSED,
        lambda s: s.at("accuse", s.challengers[0], s.trainers[0], seconds=10),
    ),
    ("scored", r.NO_ACCUSATION, lambda s: s.at("vote", s.challengers[0], s.trainers[0], True)),
    ("scored", r.TOO_EARLY, lambda s: s.at("settle", s.stranger, seconds=8)),
    ("lonely", r.ELECTORATE_TOO_SMALL, lambda s: s.at("accuse", s.challengers[0], s.trainers[0])),
    (
        "silenced",
        r.ALREADY_CONDEMNED,
        lambda s: s.at("accuse", s.challengers[0], s.validators[1]),
    ),
    ("accused", r.ALREADY_ACCUSED, lambda s: s.at("accuse", s.challengers[1], s.trainers[0])),
    ("accused", r.ALREADY_VOTED, lambda s: s.at("vote", s.challengers[0], s.trainers[0], False)),
    (
        "accused",
        r.ALREADY_VOTED,
        lambda s: twice(s.at, "vote", s.challengers[1], s.trainers[0], False),
    ),
    ("accused", r.NOT_AN_ELECTOR, lambda s: s.at("vote", s.stranger, s.trainers[0], True)),
    (
        "accused",
        r.VOTE_CLOSED,
        lambda s: s.at("vote", s.challengers[1], s.trainers[0], True, seconds=15),
    ),
    ("accused", r.TARGET_CANNOT_VOTE, accuse_and_vote_oneself),
    ("upheld", r.VOTE_CLOSED, lambda s: s.at("vote", s.challengers[2], s.trainers[0], True)),
    ("over", r.ALREADY_OVER, lambda s: s.at("settle", s.stranger)),
    ("over", r.ACCUSATIONS_CLOSED, lambda s: s.at("accuse", s.challengers[0], s.stranger)),
    ("training", r.TOO_EARLY, lambda s: s.at("settle", s.stranger, seconds=1_000)),
    ("nothing", r.NO_SUCH_ROLE, lambda s: s.do("register", s.stranger, Role.NONE, UNIT)),
    (
        "nothing",
        r.ROLE_STAKE_OUT_OF_BOUNDS,
        lambda s: s.do("register", s.stranger, Role.VALIDATOR, 25_000 * UNIT - 1),
    ),
    (
        "nothing",
        r.ROLE_STAKE_OUT_OF_BOUNDS,
        lambda s: s.do("register", s.stranger, Role.VALIDATOR, MOST_STAKE + 1),
    ),
    (
        "nothing",
        r.HAS_A_ROLE,
        lambda s: s.do("register", s.validators[0], Role.CHALLENGER, 20_000 * UNIT),
    ),
    (
        "nothing",
        r.BALANCE_TOO_LOW,
        lambda s: s.do("register", s.stranger, Role.CHALLENGER, 100_001 * UNIT),
    ),
    ("nothing", r.NO_ROLE, lambda s: s.do("request_unstake", s.stranger)),
    ("nothing", r.NO_ROLE, lambda s: s.do("withdraw", s.stranger)),
    ("nothing", r.NOT_LEAVING, lambda s: s.do("withdraw", s.validators[0])),
    ("nothing", r.NOT_LEAVING, lambda s: s.do("withdraw", s.validators[1])),
    ("unmanned", r.ALREADY_LEAVING, lambda s: s.do("request_unstake", s.validators[0])),
    ("unmanned", r.STILL_UNBONDING, lambda s: s.do("withdraw", s.validators[0], seconds=389)),
    (
        "training",
        r.TOO_LATE,
        lambda s: s.at("submit_model", s.trainers[0], SALT, SALT, seconds=101),
    ),
    ("already", r.ALREADY_SUBMITTED, lambda s: s.at("submit_model", s.trainers[0], SALT, SALT)),
]


@pytest.mark.parametrize(
    ("stage", "reason", "call"), LINES, ids=[f"{stage}, {reason}" for stage, reason, _ in LINES]
)
def test_refuses(scene: Scene, stage: str, reason: str, call: Callable[[Scene], None]) -> None:
    getattr(scene, stage)()

    with pytest.raises(Refused) as refusal:
        call(scene)

    assert str(refusal.value) == reason


def test_every_reason_of_the_specification_is_tried() -> None:
    of_the_calls = ("job:", "scores:", "accusation:", "vote:", "role:")
    said = {v for k, v in vars(r).items() if k.isupper() and v.startswith(of_the_calls)}
    assert said == {reason for _, reason, _ in LINES} - {r.BALANCE_TOO_LOW}
