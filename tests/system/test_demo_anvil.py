"""A demo on anvil with jobs in Docker and gVisor, in which a validator lies and is found out."""

import pytest
from tests.system.evidence import Evidence, recompute, run_whole

from scatter.adapters.sandbox import DOCKER_GVISOR
from scatter.demo.cast import DemoOptions
from scatter.lifecycle.payments import LotteryWon, Penalised
from scatter.mechanism.units import UNIT

pytestmark = [pytest.mark.needs_anvil, pytest.mark.needs_docker, pytest.mark.needs_gvisor]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    out = tmp_path_factory.mktemp("demo") / "out"
    return run_whole(DemoOptions(trainers=3, malicious={"validator": 1}, out=out), engine="any")


def test_it_says_that_it_ran_on_anvil_and_confined(demo: Evidence) -> None:
    assert demo.report["chain"].startswith("anvil ")
    assert demo.report["sandbox"] == DOCKER_GVISOR.name


def test_the_liar_is_penalised_and_the_accuser_wins_the_lottery(demo: Evidence) -> None:
    liar, accuser = demo.cast.validators[-1], demo.cast.challengers[0]
    fines = [p for p in demo.payments[0] if isinstance(p, Penalised)]
    (won,) = [p for p in demo.payments[0] if isinstance(p, LotteryWon)]

    assert [(fine.account, fine.amount) for fine in fines] == [(liar.account, 200 * UNIT)]
    assert (won.accuser, won.amount) == (accuser.account, won.pool)
    assert demo.entry(liar.name)["before"] - demo.entry(liar.name)["after"] == 200 * UNIT


def test_every_payment_is_what_the_specification_says(demo: Evidence) -> None:
    assert recompute(demo) == [list(paid) for paid in demo.payments]


def test_all_balances_over_json_rpc_add_up_to_the_supply(demo: Evidence) -> None:
    assert sum(demo.balances.values()) == demo.supply
