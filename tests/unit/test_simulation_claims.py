"""The paper's evaluation: every claim of section 4 holds, and would be noticed if it did not."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.unit.test_economy import run

from scatter.economy.outcome import Run
from scatter.economy.scenario import OfValidator, Scenario, Spread
from scatter.mechanism.units import UNIT, Tokens
from scatter.simulation.claims import CLAIMS, LEAST_JOBS, Claim, check
from scatter.simulation.paper import FIGURES, SCENARIOS

HONEST = SCENARIOS["benevolent"]
LIAR = SCENARIOS["malicious-validators"]
OTHER_STAKES = replace(
    HONEST.parameters, validator_stake=Tokens(24_000 * UNIT), challenger_stake=Tokens(9_000 * UNIT)
)
SPOILT = {
    **SCENARIOS,
    "other stakes": replace(HONEST, parameters=OTHER_STAKES),
    "all alike": replace(
        HONEST, stake=Spread(1_000 * UNIT, 1_000 * UNIT), good=Spread(9_000, 9_000)
    ),
    "too dear to join twice": replace(
        HONEST,
        stake=Spread(60_000 * UNIT, 60_000 * UNIT),
        trainers=replace(HONEST.trainers, malicious=5),
    ),
    "challengers cheat": replace(LIAR, challengers=replace(LIAR.challengers, malicious=2)),
    "two are silent": replace(
        HONEST, validators=replace(HONEST.validators, malicious=2, manner=OfValidator.SILENT)
    ),
    "seldom a liar": replace(LIAR, validators=replace(LIAR.validators, cheats=2_000)),
    "mild": replace(LIAR, parameters=replace(LIAR.parameters, penalty_multiplier=1)),
}


@cache
def played(scenario: Scenario) -> Run:
    return run(scenario)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_claim_of_section_4_is_kept(seed):
    runs = {name: played(replace(scenario, seed=seed)) for name, scenario in SCENARIOS.items()}

    findings = check(runs)

    assert len(findings) == len(CLAIMS)
    assert [finding.claim.text for finding in findings if not finding.kept] == []


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.section} {claim.text}")
def test_a_claim_can_be_broken(claim: Claim):
    assert not all(claim.holds(played(scenario)) for scenario in SPOILT.values())


def test_claims_are_checked_on_whole_simulations_only():
    short = replace(HONEST, jobs=LEAST_JOBS - 1)

    assert check({HONEST.name: run(short)}) == []


def test_the_page_on_the_paper_lists_every_claim_and_figure():
    page = (Path(__file__).parents[2] / "docs" / "paper.md").read_text()

    assert [claim.text for claim in CLAIMS if claim.text not in page] == []
    figures = [name for names in FIGURES.values() for name in names if name]
    assert figures == [f"figure-{number}" for number in range(3, 10)]
    assert [name for name in figures if f"{name}.svg" not in page] == []


def test_the_scenarios_are_those_of_table_2():
    for scenario in SCENARIOS.values():
        counts = [
            crowd.count
            for crowd in (
                scenario.requesters,
                scenario.trainers,
                scenario.validators,
                scenario.challengers,
            )
        ]
        assert (counts, scenario.jobs, scenario.tokens) == ([1, 6, 3, 2], 10, 100_000 * UNIT)
