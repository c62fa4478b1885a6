"""Who may be drawn and who may accuse: those in their role when the block that closed it began."""

import pytest
from tests.contracts.scene import Scene, Tick
from tests.contracts.twins import TREASURY, Twins
from tests.unit.vectors.reading import DATASET, SALT, address_of

from scatter.adapters.contracts import PROTOCOL
from scatter.lifecycle import reasons
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import UNIT, Address

STAKES = {Role.VALIDATOR: 25_000 * UNIT, Role.CHALLENGER: 20_000 * UNIT}


@pytest.fixture
def newcomers(both: Twins) -> list[Address]:
    """Rich enough for a role, and in none yet."""
    accounts = [address_of(f"newcomer {i}") for i in range(9)]
    for account in accounts:
        both.transfer(TREASURY, account, STAKES[Role.VALIDATOR])
    return accounts


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(5))
def test_the_draw_finds_who_held_a_place_at_the_close_whatever_came_after(
    both: Twins, tick: Tick, scene: Scene, newcomers: list[Address], before: int, after: int
) -> None:
    active = list(scene.validators)
    comers = iter(newcomers)

    def change_hands() -> None:
        both.request_unstake(active.pop(), tick())
        active.append(next(comers))
        both.register(active[-1], Role.VALIDATOR, STAKES[Role.VALIDATOR], tick())

    for _ in range(before):
        change_hands()
    scene.training()
    for trainer in scene.trainers[1:]:
        scene.at("submit_model", trainer, DATASET, DATASET)
    change_hands()  # the newcomer is in its role one block before the close
    scene.at("submit_model", scene.trainers[0], DATASET, DATASET)
    for _ in range(after):
        change_hands()

    scene.at("draw_committee", scene.stranger, blocks=3)

    both.compare(tick())


@pytest.mark.parametrize("parity", range(2))
def test_a_draw_that_got_another_seed_still_finds_who_held_a_place_at_the_close(
    both: Twins, tick: Tick, scene: Scene, newcomers: list[Address], parity: int
) -> None:
    scene.training()
    for trainer in scene.trainers[1:]:
        scene.at("submit_model", trainer, DATASET, DATASET)
    tick(blocks=parity)
    both.request_unstake(scene.validators[0], tick())
    both.register(newcomers[0], Role.VALIDATOR, STAKES[Role.VALIDATOR], tick())
    scene.at("submit_model", scene.trainers[0], DATASET, DATASET)

    scene.at("draw_committee", scene.stranger, blocks=300)  # the hash is gone: a later block's
    assert not both.job(scene.job).drawn
    scene.at("draw_committee", scene.stranger, blocks=3)

    assert set(both.job(scene.job).committee) == {newcomers[0], *scene.validators[1:]}
    both.compare(tick())


@pytest.mark.parametrize("role", STAKES)
@pytest.mark.parametrize("first", ["the roles change", "the training closes"])
def test_within_the_closing_block_nobody_comes_too_late_or_goes_too_early(
    both: Twins, tick: Tick, scene: Scene, role: Role, first: str
) -> None:
    leaver = (scene.validators if role == Role.VALIDATOR else scene.challengers)[0]
    scene.training()
    for trainer in scene.trainers[1:]:
        scene.at("submit_model", trainer, DATASET, DATASET)
    block = tick()

    if first == "the training closes":
        both.submit_model(scene.trainers[0], 1, DATASET, DATASET, block)
    both.request_unstake(leaver, block)
    both.register(scene.stranger, role, STAKES[role], block)
    if first == "the roles change":
        both.submit_model(scene.trainers[0], 1, DATASET, DATASET, block)

    both.compare(block)
    electors = [
        a for a in (leaver, scene.stranger) if both.contracts.read(PROTOCOL, "isElector", 1, a)
    ]
    assert electors == ([leaver] if role == Role.CHALLENGER else [])
    scene.at("draw_committee", scene.stranger, blocks=3)


def test_who_left_before_the_close_or_came_after_it_accuses_nobody(scene: Scene) -> None:
    scene.do("request_unstake", scene.challengers[2])
    scene.scored()
    scene.do("register", scene.stranger, Role.CHALLENGER, STAKES[Role.CHALLENGER])

    for nobody in (scene.challengers[2], scene.stranger):
        with pytest.raises(Refused, match=reasons.NOT_AN_ELECTOR):
            scene.at("accuse", nobody, scene.trainers[0])
    scene.at("accuse", scene.challengers[1], scene.trainers[0])


def test_everybody_leaves_from_any_place_and_comes_back(scene: Scene) -> None:
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        for place in order:
            scene.do("request_unstake", scene.validators[place])
        for place in order:
            scene.do("withdraw", scene.validators[place], seconds=390)
        for member in scene.validators:
            scene.do("register", member, Role.VALIDATOR, STAKES[Role.VALIDATOR])
    scene.trained()
    scene.at("publish_dataset", scene.requester, DATASET, SALT, blocks=3)
    scene.both.compare(scene.tick())


def test_who_was_moved_into_a_gap_leaves_from_there(scene: Scene) -> None:
    scene.do("request_unstake", scene.validators[0])  # the third takes its place
    scene.do("register", scene.stranger, Role.VALIDATOR, STAKES[Role.VALIDATOR])
    scene.do("request_unstake", scene.validators[2])
    scene.trained()

    scene.at("draw_committee", scene.stranger, blocks=3)

    committee = set(scene.both.job(scene.job).committee)
    assert committee == {scene.validators[1], scene.stranger}
