"""Scores at their edges: who counts, how averages are rounded, what everybody's conduct was.

`Twins` compares every event and every payment; what it does not read is asserted here.
"""

from collections.abc import Sequence

import pytest
from tests.contracts.scene import Scene, reveal
from tests.contracts.twins import TREASURY
from tests.unit.vectors.reading import DATASET, SALT, address_of

from scatter.adapters.contracts import REPUTATION, VOTES
from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import HARDENED, PAPER, local
from scatter.mechanism.units import UNIT, Address


def score(s: Scene, members: Sequence[Address], scores: Sequence[tuple[int, ...]]) -> None:
    """From models to the challenge phase."""
    s.at("publish_dataset", s.requester, DATASET, SALT, blocks=3)
    for member, own in zip(members, scores, strict=True):
        s.at("commit_scores", member, commit_to_scores(s.job, member, own, SALT))
    for member, own in zip(members, scores, strict=True):
        s.at("reveal_scores", s.stranger, member, own, SALT)


def settle(s: Scene) -> None:
    s.at("settle", s.stranger, seconds=10)
    s.both.compare(s.tick())


@pytest.mark.parametrize(
    "scores",
    [
        ((8_000, 8_000, 0), (8_001, 8_000, 0), (8_001, 8_001, 1)),
        ((5_000, 4_999, 10_000), (5_000, 5_000, 10_000), (5_000, 5_000, 10_000)),
        ((10_000, 0, 1),) * 3,
    ],
)
def test_averages_are_rounded_down(scene: Scene, scores: Sequence[tuple[int, ...]]) -> None:
    scene.trained()
    score(scene, scene.validators, scores)
    settle(scene)


@pytest.mark.parametrize("lowest", [0, 1, 2])
def test_a_model_fails_below_the_floor_and_always_with_0(scene: Scene, lowest: int) -> None:
    scene.create(by=scene.requester, threshold=lowest, floor=lowest)
    for trainer in scene.trainers:
        scene.at("join", trainer, UNIT)
    scene.at("start", scene.requester)
    for trainer in scene.trainers:
        scene.at("submit_model", trainer, DATASET, DATASET)
    score(scene, scene.validators, [(0, 1, 2)] * 3)
    settle(scene)


def test_a_committee_of_one_decides(scene: Scene) -> None:
    for leaver in scene.validators[1:]:
        scene.do("request_unstake", leaver)
    scene.trained()
    score(scene, scene.validators[:1], [(9_000, 8_000, 4_000)])
    settle(scene)

    scene.trained()
    scene.at("publish_dataset", scene.requester, DATASET, SALT, blocks=3)
    scene.at("refrain", scene.validators[0])
    settle(scene)
    assert scene.both.job(scene.job).verdict is Verdict.REQUESTER_MALICIOUS


@pytest.mark.parametrize("committed", [(0, 14), (15, 1)])
def test_a_committee_of_sixteen_is_drawn_from_seventeen_and_every_place_counts(
    scene: Scene, committed: tuple[int, int]
) -> None:
    crowd = [address_of(f"validator {i}") for i in range(4, 18)]
    for member in crowd:
        scene.both.transfer(TREASURY, member, 25_000 * UNIT)
        scene.do("register", member, Role.VALIDATOR, 25_000 * UNIT)
    scene.trained()
    scene.tick(seconds=1)
    scene.at("publish_dataset", scene.requester, DATASET, SALT, blocks=3)
    members = list(scene.both.job(scene.job).committee)
    assert len(members) == 16

    for place in committed:
        member = members[place]
        scene.at("commit_scores", member, commit_to_scores(scene.job, member, (1, 2, 3), SALT))
    for place in {0, 1, 14, 15} - {*committed}:
        scene.at("refrain", members[place])
    reveal(scene, (1, 2, 3), of=members[committed[1]], seconds=60)
    scene.both.compare(scene.tick(seconds=60))
    settle(scene)


def test_a_trainer_that_fails_by_its_scores_brings_its_accuser_nothing(scene: Scene) -> None:
    scene.scored()
    for trainer in (scene.trainers[2], scene.trainers[0]):
        scene.at("accuse", scene.challengers[0], trainer)
        scene.at("vote", scene.challengers[1], trainer, True)
    scene.at("settle", scene.stranger, seconds=15)
    scene.both.compare(scene.tick())


def test_the_marks_of_a_job_name_the_malicious_and_the_accepted(scene: Scene) -> None:
    scene.over()

    marks = scene.both.contracts.read(REPUTATION, "marks", scene.job)

    assert marks == 0b100 | (2 << 80) | (0b011 << 96)


def test_a_member_s_conduct_is_open_until_the_reveals_end(scene: Scene) -> None:
    def conduct() -> list[int]:
        scene.both.contracts.move_to(scene.tick())
        read = scene.both.contracts.read
        return [read(VOTES, "conductOf", scene.job, member) for member in scene.validators]

    scene.drawn()
    assert conduct() == [0, 0, 0]
    scene.at("publish_dataset", scene.requester, DATASET, SALT)
    assert conduct() == [2, 2, 2]
    first, second, third = scene.validators
    for member in (first, second):
        scene.at("commit_scores", member, commit_to_scores(scene.job, member, (1, 2, 3), SALT))
    scene.at("refrain", third)
    reveal(scene, (1, 2, 3))
    scene.tick(seconds=59)
    assert conduct() == [2, 2, 2]
    scene.tick(seconds=1)
    assert conduct() == [2, 1, 2]


@pytest.mark.parametrize("offset", [0, 1])
def test_the_windows_of_scoring_end_in_their_second_whatever_its_number(
    scene: Scene, offset: int
) -> None:
    """Times share a word with flags and with one another."""
    scene.trained()
    scene.tick(seconds=offset)
    scene.at("publish_dataset", scene.requester, DATASET, SALT, blocks=3)
    for seconds in (0, 59, 1):
        scene.both.compare(scene.tick(seconds=seconds))
    with pytest.raises(Refused, match=reasons.NOT_IN_THE_COMMIT_WINDOW):
        scene.at("refrain", scene.validators[0])
    scene.at("accuse", scene.challengers[0], scene.trainers[0], seconds=9)
    for seconds in (0, 5, 1):
        scene.both.compare(scene.tick(seconds=seconds))
    scene.at("settle", scene.stranger)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_commitment_keeps_the_reveals_open_to_their_last_second(
    scene: Scene, offset: int
) -> None:
    scene.trained()
    scene.tick(seconds=offset)
    scene.at("publish_dataset", scene.requester, DATASET, SALT, blocks=3)
    first, second, _ = scene.validators
    for member in (first, second):
        scene.at("commit_scores", member, commit_to_scores(scene.job, member, (1, 2, 3), SALT))
    with pytest.raises(Refused, match=reasons.NOT_IN_THE_REVEAL_WINDOW):
        reveal(scene, (1, 2, 3), seconds=59)
    reveal(scene, (1, 2, 3), seconds=1)
    scene.both.compare(scene.tick())
    with pytest.raises(Refused, match=reasons.NOT_IN_THE_REVEAL_WINDOW):
        reveal(scene, (1, 2, 3), of=second, seconds=60)
    scene.both.compare(scene.tick())


@pytest.mark.parametrize("parameters", [local(PAPER), local(HARDENED)], ids=["paper", "hardened"])
def test_a_stake_of_one_unit_is_lost_like_any_other(scene: Scene) -> None:
    scene.create(by=scene.requester, least_stake=1)
    for trainer in scene.trainers[:2]:
        scene.at("join", trainer, 1)
    scene.at("start", scene.requester)
    scene.at("submit_model", scene.trainers[0], DATASET, DATASET)
    scene.at("close_training", scene.stranger, seconds=100)
    score(scene, scene.validators, [(9_000,)] * 3)
    scene.at("accuse", scene.challengers[0], scene.trainers[0])
    scene.at("vote", scene.challengers[1], scene.trainers[0], True)
    scene.at("settle", scene.stranger, seconds=15)
    scene.both.compare(scene.tick())
