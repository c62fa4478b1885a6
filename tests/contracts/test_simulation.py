"""A simulation on the contracts and one on the specification are equal to the last unit."""

from dataclasses import replace

import pytest
from tests.unit.test_economy import MIXED

from scatter.economy.outcome import simulate
from scatter.economy.rules import Specification
from scatter.economy.scenario import OfChallenger, OfRequester, OfTrainer, OfValidator, Scenario
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import HARDENED
from scatter.mechanism.units import BlockNumber, Tokens
from scatter.simulation.paper import SCENARIOS
from scatter.simulation.runs import Ground, Task, prepare_ground

FEW = {name: replace(scenario, jobs=1) for name, scenario in SCENARIOS.items()}
SILENT = replace(
    FEW["all-malicious"],
    name="silence",
    jobs=3,
    requesters=replace(
        SCENARIOS["malicious-requester"].requesters, count=3, manner=OfRequester.NO_DATASET
    ),
    trainers=replace(SCENARIOS["benevolent"].trainers, malicious=1, manner=OfTrainer.NO_MODEL),
    validators=replace(SCENARIOS["benevolent"].validators, malicious=1, manner=OfValidator.SILENT),
    challengers=replace(
        SCENARIOS["benevolent"].challengers, count=4, malicious=1, manner=OfChallenger.SILENT
    ),
)
ALL = [
    *FEW.values(),
    SILENT,
    replace(MIXED, jobs=2, seed=4),
    replace(MIXED, name="hardened", jobs=1, parameters=HARDENED),
]


@pytest.mark.nightly
@pytest.mark.parametrize("name", SCENARIOS)
def test_agrees_over_all_jobs_of_the_evaluation(name: str):
    test_agrees_with_the_specification_to_the_last_unit(SCENARIOS[name])


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_agrees_with_the_specification_to_the_last_unit(scenario: Scenario):
    chain = prepare_ground(Task(scenario, Ground.CONTRACTS))
    specification = Specification(
        scenario.parameters,
        first_block=chain.first_block,
        account=chain.account,
        hash_of=chain.hash_of,
    )

    on_chain = simulate(scenario, chain)

    # Played second: the seeds of its draws are the hashes of the chain's blocks.
    assert simulate(scenario, specification) == on_chain


def test_a_call_that_the_contracts_refuse_is_refused_in_their_words():
    chain = prepare_ground(Task(FEW["benevolent"], Ground.CONTRACTS))
    block = Block(BlockNumber(chain.first_block.number + 1), chain.first_block.time + 2)

    with pytest.raises(Refused, match="token: balance too low"):
        chain.endow(chain.account("trainer 1"), Tokens(2**127), block)


def test_both_end_a_job_without_a_dataset():
    run = simulate(SILENT, prepare_ground(Task(SILENT, Ground.SPECIFICATION)))

    assert run.outcome.verdicts == {Verdict.REQUESTER_MALICIOUS: 1, Verdict.NORMAL: 2}
