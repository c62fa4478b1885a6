"""Equation 8 at its edges, and what is left of a role after a fine.

`Twins` compares every event, every payment, and with `compare` what each account holds and may do.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from tests.contracts.scene import Scene
from tests.unit.vectors.reading import DATASET, SALT
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

from scatter.adapters.contracts import TOKEN
from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.parameters import PAPER, Parameters, local
from scatter.mechanism.units import UNIT, Address, Tokens

SOURCES = Path(__file__).parents[2] / "contracts"


def with_penalty(units: int, multiplier: int = 2) -> Parameters:
    rules = local(PAPER, dataset=600)
    return replace(rules, base_penalty=Tokens(units), penalty_multiplier=multiplier)


def stay_silent(s: Scene) -> None:
    """A whole job, in which the second validator commits and reveals nothing."""
    s.silenced()
    s.at("settle", s.stranger, seconds=10)
    s.both.compare(s.tick())


def condemn(s: Scene, accused: Address) -> None:
    """A challenger, which has accused somebody."""
    accuser, voter = (one for one in s.challengers if one != accused)
    s.at("accuse", accused, s.trainers[0])
    s.at("accuse", accuser, accused)
    s.at("vote", voter, accused, True)
    s.both.compare(s.tick())


@pytest.mark.parametrize(
    "parameters", [with_penalty(200 * UNIT, multiplier) for multiplier in (1, 2, 3)]
)
def test_each_offence_costs_by_the_number_of_those_before(scene: Scene) -> None:
    for _ in range(4):
        stay_silent(scene)


@pytest.mark.parametrize(
    "parameters", [with_penalty(1), with_penalty(25_000 * UNIT - 1), with_penalty(25_000 * UNIT)]
)
def test_a_validator_stays_with_one_unit_and_leaves_with_none(scene: Scene) -> None:
    stay_silent(scene)
    scene.drawn()
    scene.both.compare(scene.tick())

    if scene.both.contracts.read(TOKEN, "holdings", scene.validators[1])[3] == 0:
        scene.do("request_unstake", scene.validators[1])
    scene.do("withdraw", scene.validators[1], seconds=2_000)
    scene.both.compare(scene.tick())


@pytest.mark.parametrize(
    "parameters", [with_penalty(20_000 * UNIT - 1), with_penalty(20_000 * UNIT)]
)
@pytest.mark.parametrize("leaving", [False, True])
def test_a_challenger_votes_elsewhere_with_one_unit_and_not_with_none(
    scene: Scene, leaving: bool
) -> None:
    scene.trained()
    scene.scored()
    if leaving:
        scene.do("request_unstake", scene.challengers[1])
    condemn(scene, scene.challengers[1])
    scene.at("settle", scene.stranger, seconds=20)
    scene.both.compare(scene.tick())


@pytest.mark.parametrize("parameters", [with_penalty(25_000 * UNIT)])
def test_a_committee_fined_to_nothing_before_its_draw_is_paid_nothing(scene: Scene) -> None:
    scene.scoring()
    silent = scene.job
    scene.trained()
    scene.do("settle", scene.stranger, silent, seconds=70)

    scene.at("publish_dataset", scene.requester, DATASET, SALT)
    for member in scene.validators:
        commitment = commit_to_scores(scene.job, member, (9_000, 8_000, 4_000), SALT)
        scene.at("commit_scores", member, commitment)
    for member in scene.validators:
        scene.at("reveal_scores", scene.stranger, member, (9_000, 8_000, 4_000), SALT)
    scene.at("settle", scene.stranger, seconds=10)
    scene.both.compare(scene.tick())


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_member_that_is_gone_before_the_settlement_does_not_stop_it(
    scene: Scene, comes_back: bool
) -> None:
    scene.silenced()
    gone = scene.validators[1]
    scene.do("request_unstake", gone)
    scene.do("withdraw", gone, seconds=2_000)
    if comes_back:
        scene.do("register", gone, Role.CHALLENGER, Tokens(20_000 * UNIT))

    scene.at("settle", scene.stranger)

    scene.both.compare(scene.tick())


def test_offences_in_one_role_cost_nothing_in_the_other(scene: Scene) -> None:
    convict = scene.challengers[1]
    scene.scored()
    condemn(scene, convict)
    scene.at("settle", scene.stranger, seconds=20)
    scene.do("request_unstake", convict)
    scene.do("request_unstake", scene.validators[1])
    scene.do("withdraw", convict, seconds=390)
    scene.do("withdraw", scene.validators[1])
    scene.do("register", convict, Role.VALIDATOR, 25_000 * UNIT)
    scene.do("register", scene.validators[1], Role.CHALLENGER, 20_000 * UNIT)
    scene.challengers[1], scene.validators[1] = scene.validators[1], convict

    stay_silent(scene)
    stay_silent(scene)


@pytest.mark.parametrize("offences", [95, 96, 97, 1_000])
def test_however_many_offences_there_were_the_next_is_fined(scene: Scene, offences: int) -> None:
    bundle = FilesystemInputBundle([SOURCES])
    source = bundle.load_file(Path("ScatterToken.vy"))
    layout = compile_from_file_input(source, input_bundle=bundle, output_formats=["layout"])
    slot = layout["layout"]["storage_layout"]["bonds"]["offences"]["slot"]
    offender, contracts = scene.validators[1], scene.both.contracts
    place = keccak(slot.to_bytes(32, "big") + bytes.fromhex(offender[2:]).rjust(32, b"\0"))
    token = bytes.fromhex(contracts.at[TOKEN][2:])
    contracts.env.evm.vm.state.set_storage(token, int.from_bytes(place, "big"), offences)
    scene.both.funds.bonds._offences[offender, Role.VALIDATOR] = offences

    stay_silent(scene)

    assert contracts.read(TOKEN, "holdings", offender)[2] == 0
