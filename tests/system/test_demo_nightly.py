"""What holds for demos of any seed, on any chain and in any sandbox. Long: `make nightly`."""

from pathlib import Path

import pytest
from tests.system.evidence import Evidence, bare_machine, payouts, recompute, run_whole

from scatter.adapters.sandbox import DOCKER_GVISOR, Bubblewrap
from scatter.demo.cast import DemoOptions
from scatter.lifecycle.payments import LotteryWon, Penalised
from scatter.mechanism.units import UNIT

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("seed", range(10))
def test_the_aggregate_beats_the_honest_and_the_cheater_loses_its_stake(
    tmp_path: Path, seed: int
) -> None:
    demo = run_whole(DemoOptions(seed=seed, out=tmp_path / "out"), engine="any")

    accuracy, cheater = demo.report["accuracy"], demo.cast.trainers[-1]
    entry = demo.entry(cheater.name)
    assert accuracy["global"] > accuracy["mean_local"]
    assert entry["before"] - entry["after"] == cheater.stake
    assert recompute(demo) == [list(paid) for paid in demo.payments]


def test_a_liar_pays_twice_as_much_each_time_and_feeds_the_accuser(tmp_path: Path) -> None:
    malicious = {"trainer": 2, "validator": 1}
    options = DemoOptions(trainers=8, jobs=3, malicious=malicious, out=tmp_path / "out")

    demo = run_whole(options, engine="any")

    liar, accuser = demo.cast.validators[-1].account, demo.cast.challengers[0].account
    paid = [payment for job in demo.payments for payment in job]
    fines = [(p.account, p.amount) for p in paid if isinstance(p, Penalised)]
    assert fines == [(liar, 200 * UNIT), (liar, 400 * UNIT), (liar, 800 * UNIT)]
    assert {p.accuser for p in paid if isinstance(p, LotteryWon)} == {accuser}
    assert recompute(demo) == [list(job) for job in demo.payments]
    assert sum(demo.balances.values()) == demo.supply


@pytest.mark.needs_anvil
@pytest.mark.needs_docker
@pytest.mark.needs_gvisor
def test_the_same_seed_gives_the_same_model_and_payouts_on_anvil_and_confined(
    tmp_path: Path, plain_demo: Evidence
) -> None:
    demo = run_whole(DemoOptions(out=tmp_path / "out"), engine="anvil")

    assert demo.report["sandbox"] == DOCKER_GVISOR.name
    assert is_same(demo, plain_demo)


def test_the_same_seed_gives_the_same_model_and_payouts_again(
    tmp_path: Path, plain_demo: Evidence
) -> None:
    with bare_machine(tmp_path):
        demo = run_whole(DemoOptions(out=tmp_path / "out"), engine="any")

    assert is_same(demo, plain_demo)


@pytest.mark.needs_bubblewrap
def test_the_same_seed_gives_the_same_model_and_payouts_in_bubblewrap(
    tmp_path: Path, plain_demo: Evidence
) -> None:
    with bare_machine(tmp_path, "bwrap"):
        demo = run_whole(DemoOptions(out=tmp_path / "out"), engine="any")

    assert demo.report["sandbox"] == Bubblewrap.name
    assert is_same(demo, plain_demo)


def is_same(one: Evidence, other: Evidence) -> bool:
    models = [(demo.folder / "global.safetensors").read_bytes() for demo in (one, other)]
    scores = [demo.report["accuracy"] for demo in (one, other)]
    return models[0] == models[1] and scores[0] == scores[1] and payouts(one) == payouts(other)
