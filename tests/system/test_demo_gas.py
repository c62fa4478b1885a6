"""`scatter gas`: a script of transactions, no nodes, and figures from receipts."""

import asyncio

import pytest

from scatter.demo.gas_script import TARGETS, GasMeasured, measure_gas
from scatter.mechanism.errors import BadInput


@pytest.fixture(scope="module")
def measured() -> GasMeasured:
    return asyncio.run(measure_gas(2, 1, 1, engine="embedded"))


def test_counts_the_deployment_of_all_seven(measured: GasMeasured) -> None:
    assert measured.deployment.transactions == 7
    assert measured.deployment.by_call.keys() >= {"ScatterProtocol", "ScatterToken", "VoteManager"}


def test_counts_every_call_of_one_job_and_none_of_another(measured: GasMeasured) -> None:
    times = {call: cost.transactions for call, cost in measured.job.by_call.items()}

    assert times == {
        "createJob": 1,
        "joinJob": 2,
        "startJob": 1,
        "submitModel": 2,
        "publishDataset": 1,
        "commitScores": 1,
        "revealScores": 1,
        "settle": 1,
    }
    assert measured.job.failed == 0


def test_says_on_which_chain_it_was(measured: GasMeasured) -> None:
    assert measured.chain == "embedded (py-evm)"


def test_the_dearest_call_is_among_all_calls(measured: GasMeasured) -> None:
    joined = measured.job.by_call["joinJob"]

    assert joined.gas / joined.transactions <= joined.most <= joined.gas
    assert measured.job.by_call["settle"].most <= TARGETS["settlement"]


def test_refuses_more_trainers_than_the_protocol_takes() -> None:
    with pytest.raises(BadInput, match="--trainers is 65"):
        asyncio.run(measure_gas(65, 3, 2))
