"""The seven deploy as planned, and refuse the parameters that the specification refuses."""

from dataclasses import fields, replace
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.contracts.deployed import DEPLOYER, Contracts
from tests.contracts.twins import TREASURY, hash_of

from scatter.adapters import contracts
from scatter.adapters.contracts import (
    DEPLOYMENT_ORDER,
    PROTOCOL,
    TOKEN,
    constructor_settings,
    contract_address,
    load_contract,
    plan_deployment,
)
from scatter.lifecycle import reasons
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import HARDENED, PAPER, Parameters
from scatter.mechanism.units import Address

NAMES = [field.name for field in fields(Parameters)]
ANYWHERE = Address("0x" + "22" * 20)
TYPES = ["bool" if name == "floor_allowed" else "uint256" for name in NAMES]


@pytest.fixture(scope="module")
def deployed() -> Contracts:
    return Contracts(PAPER, TREASURY, hash_of)


@pytest.mark.parametrize("parameters", [PAPER, HARDENED], ids=["paper", "hardened"])
def test_both_profiles_deploy(parameters: Parameters) -> None:
    seven = Contracts(parameters, TREASURY, hash_of)

    assert seven.read(PROTOCOL, "parameters") == constructor_settings(parameters)
    assert seven.read(TOKEN, "balanceOf", TREASURY) == parameters.supply


def test_the_supply_is_a_transfer_from_nobody_and_nothing_else_is_said(deployed: Contracts) -> None:
    said = {name: logs for name, logs in deployed.logged.items() if logs}

    assert list(said) == [TOKEN]
    [supply] = said[TOKEN]
    assert (supply.event, list(supply.values.values())) == (
        "Transfer",
        ["0x" + "00" * 20, TREASURY.lower(), PAPER.supply],
    )


@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("tax_rate", 1_001, reasons.WRONG_RATES),
        ("supply", 0, reasons.WRONG_SUPPLY),
        ("supply", 2**128, reasons.WRONG_SUPPLY),
        ("validator_stake", 0, reasons.WRONG_AMOUNTS),
        ("challenger_stake", 2**96, reasons.WRONG_AMOUNTS),
        ("base_penalty", 0, reasons.WRONG_AMOUNTS),
        ("least_reward", 0, reasons.WRONG_AMOUNTS),
        ("penalty_multiplier", 0, reasons.WRONG_MULTIPLIER),
        ("penalty_multiplier", 2**16 + 1, reasons.WRONG_MULTIPLIER),
        ("committee_proportion", 10_001, reasons.WRONG_COMMITTEE),
        ("least_committee", 0, reasons.WRONG_COMMITTEE),
        ("least_committee", 17, reasons.WRONG_COMMITTEE),
        ("most_committee", 17, reasons.WRONG_COMMITTEE),
        ("least_electorate", 1, reasons.WRONG_ELECTORATE),
        ("least_electorate", 2**32, reasons.WRONG_ELECTORATE),
        ("lottery_share", 2, reasons.WRONG_LOTTERY),
        ("join_window", 0, reasons.WRONG_WINDOWS),
        ("join_window", 10 * 365 * 86_400 + 1, reasons.WRONG_WINDOWS),
        ("reveal_window", 10 * 365 * 86_400 + 1, reasons.WRONG_WINDOWS),
        ("least_training", 14 * 86_400 + 1, reasons.WRONG_WINDOWS),
        ("challenge_window", 2 * 86_400 - 1, reasons.WRONG_WINDOWS),
        ("validator_unbonding", 11 * 86_400 - 1, reasons.WRONG_WINDOWS),
        ("challenger_unbonding", 11 * 86_400 - 1, reasons.WRONG_WINDOWS),
        ("seed_delay", 0, reasons.WRONG_SEED_DELAY),
        ("seed_delay", 129, reasons.WRONG_SEED_DELAY),
    ],
)
def test_the_front_door_refuses_wrong_parameters(
    deployed: Contracts, name: str, wrong: int, reason: str
) -> None:
    settings = list(constructor_settings(PAPER))
    settings[NAMES.index(name)] = wrong
    types = [*["address"] * 6, f"({','.join(TYPES)})"]
    arguments = encode(types, [*["0x" + "11" * 20] * 6, tuple(settings)])

    with pytest.raises(Refused, match=reason):
        deployed.deploy(PROTOCOL, ANYWHERE, load_contract(PROTOCOL).bytecode + arguments)


DECADE = 10 * 365 * 86_400


@pytest.mark.parametrize(
    "changes",
    [
        {"supply": 1},
        {"supply": 2**128 - 1},
        {"validator_stake": 1, "challenger_stake": 1, "base_penalty": 1, "least_reward": 1},
        {"validator_stake": 2**96 - 1, "base_penalty": 2**96 - 1, "least_reward": 2**96 - 1},
        {"penalty_multiplier": 1, "committee_proportion": 0},
        {"penalty_multiplier": 2**16, "committee_proportion": 10_000},
        {"least_committee": 16, "most_committee": 16},
        {"least_committee": 1, "most_committee": 1},
        {"least_electorate": 2, "seed_delay": 1},
        {"least_electorate": 2**32 - 1, "seed_delay": 128},
        {"join_window": 1, "least_training": 1, "most_training": 1},
        {"join_window": DECADE, "least_training": DECADE, "most_training": DECADE},
        {"challenge_window": 2, "vote_window": 1, "dataset_window": 1, "commit_window": 1}
        | {"reveal_window": 1, "validator_unbonding": 12, "challenger_unbonding": 12},
    ],
    ids=lambda changes: ", ".join(f"{name} {value}" for name, value in changes.items()),
)
def test_the_front_door_takes_what_the_specification_just_allows(
    deployed: Contracts, changes: dict[str, int]
) -> None:
    settings = constructor_settings(replace(PAPER, **changes))
    types = [*["address"] * 6, f"({','.join(TYPES)})"]
    arguments = encode(types, [*["0x" + "11" * 20] * 6, settings])

    with deployed.env.anchor():
        deployed.deploy("another", ANYWHERE, load_contract(PROTOCOL).bytecode + arguments)


def test_an_address_follows_from_account_and_nonce() -> None:
    # The examples of go-ethereum's tests of CreateAddress.
    account = Address("0x970E8128AB834E8EAC17Ab8E3812F010678CF791")
    assert [contract_address(account, nonce).lower() for nonce in (0, 1, 2)] == [
        "0x333c3310824b7c685133f2bedb2ca4b8b4df633d",
        "0x8bda78331c916a08481428e4b07c96d3e916d165",
        "0xc9ddedf451bc62ce88bf9292afb13df35b670699",
    ]


def test_the_last_of_seven_has_the_address_that_the_others_trust() -> None:
    plan = plan_deployment(DEPLOYER, 300, TREASURY, PAPER)

    assert tuple(step.name for step in plan) == DEPLOYMENT_ORDER
    assert {step.arguments[0] for step in plan[:-1]} == {plan[-1].address}
    assert plan[-1].address == contract_address(DEPLOYER, 306)


def test_no_contract_is_too_large_to_deploy(deployed: Contracts) -> None:
    for name in DEPLOYMENT_ORDER:
        code = deployed.env.evm.vm.state.get_code(bytes.fromhex(deployed.at[name][2:]))
        assert 0 < len(code) <= 24_576


class TestArtefacts:
    @pytest.fixture
    def folder(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(contracts.resources, "files", lambda _: tmp_path)
        load_contract.cache_clear()
        yield tmp_path
        load_contract.cache_clear()

    def test_missing_ones_say_how_to_make_them(self, folder: Any) -> None:
        with pytest.raises(contracts.ArtefactsMissing, match="compile_contracts"):
            load_contract(TOKEN)

    def test_stale_ones_say_how_to_make_them_anew(self, folder: Any) -> None:
        place = folder / "artefacts"
        place.mkdir()
        (place / f"{TOKEN}.json").write_text('{"sources": {"ScatterToken.vy": "00"}}')
        with pytest.raises(contracts.ArtefactsStale, match="compile_contracts"):
            load_contract(TOKEN)
