"""What the specification does not cover: keys, and who may call the other six.

Effects, events and refusals of every other call are compared in `test_agreement.py`, call by call.
"""

from typing import Any

import pytest
from tests.contracts.scene import Tick
from tests.contracts.twins import Twins
from tests.unit.vectors.reading import DATASET

from scatter.adapters.contracts import DEPLOYMENT_ORDER, PROTOCOL, load_contract
from scatter.lifecycle import reasons
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import Address, JobId

PUBLIC_KEY = b"\x02" + bytes(32)


class TestRequestKey:
    def test_an_elector_asks_in_the_challenge(
        self, both: Twins, scored_job: JobId, challengers: list[Address], trainers: list[Address]
    ) -> None:
        [log] = both.contracts.call(
            challengers[0], "requestKey", scored_job, trainers[0], PUBLIC_KEY
        )

        assert log.event == "KeyRequested"
        assert list(log.values.values()) == [
            scored_job,
            trainers[0].lower(),
            challengers[0].lower(),
            PUBLIC_KEY,
        ]

    def test_refuses_a_stranger(
        self, both: Twins, scored_job: JobId, stranger: Address, trainers: list[Address]
    ) -> None:
        with pytest.raises(Refused, match=reasons.NOT_ENTITLED):
            both.contracts.call(stranger, "requestKey", scored_job, trainers[0], PUBLIC_KEY)

    def test_refuses_a_key_too_short_to_be_one(
        self, both: Twins, scored_job: JobId, challengers: list[Address], trainers: list[Address]
    ) -> None:
        with pytest.raises(Refused, match=reasons.KEY_OF_WRONG_LENGTH):
            both.contracts.call(
                challengers[0], "requestKey", scored_job, trainers[0], PUBLIC_KEY[1:]
            )

    def test_refuses_a_job_that_is_not_there(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        with pytest.raises(Refused, match=reasons.NO_SUCH_JOB):
            both.contracts.call(stranger, "requestKey", 1, requester, PUBLIC_KEY)


class TestAnswerKey:
    def test_a_trainer_answers_whoever_may_ask(
        self, both: Twins, scored_job: JobId, validators: list[Address], trainers: list[Address]
    ) -> None:
        [log] = both.contracts.call(trainers[0], "answerKey", scored_job, validators[0], b"sealed")

        assert log.event == "KeyAnswered"
        assert log.values["asker"] == validators[0].lower()
        assert log.values["sealedKey"] == b"sealed"

    def test_refuses_one_that_submitted_no_model(
        self, both: Twins, scored_job: JobId, validators: list[Address], stranger: Address
    ) -> None:
        with pytest.raises(Refused, match=reasons.NOT_ENTITLED):
            both.contracts.call(stranger, "answerKey", scored_job, validators[0], b"sealed")


class TestRequesterAfterSettlement:
    def test_may_ask_for_the_accepted_models_only(
        self,
        both: Twins,
        tick: Tick,
        scored_job: JobId,
        requester: Address,
        trainers: list[Address],
    ) -> None:
        both.settle(requester, scored_job, tick(seconds=10))

        may_ask = [
            both.contracts.read(PROTOCOL, "mayAskKey", scored_job, trainer, requester)
            for trainer in trainers
        ]

        assert may_ask == [True, True, False]


PROTECTED = {
    "ScatterToken": "escrow lockStake punish settle register requestUnstake withdraw",
    "TrainingJobToken": "mint",
    "EvaluationJobToken": "mint publish",
    "ModelToken": "mint",
    "ReputationManager": "condemn conclude",
    "VoteManager": "close draw open commitScores refrain revealScores accuse vote",
}
EMPTY = {"address": "0x" + "00" * 20, "bytes32": bytes(32), "bool": False, "uint256": 0}


def nothing(entry: dict[str, Any]) -> Any:
    if entry["type"].endswith("[]"):
        return []
    if entry["type"] == "tuple":
        return tuple(nothing(member) for member in entry["components"])
    item, _, length = entry["type"].removesuffix("]").partition("[")
    return [EMPTY[item]] * int(length) if length else EMPTY[item]


@pytest.mark.parametrize(
    ("contract", "function"),
    [(c, f) for c, functions in PROTECTED.items() for f in functions.split()],
)
def test_what_belongs_to_the_protocol_refuses_everybody_else(
    both: Twins, stranger: Address, contract: str, function: str
) -> None:
    entry = next(e for e in load_contract(contract).abi if e.get("name") == function)
    arguments = [nothing(i) for i in entry["inputs"]]

    with pytest.raises(Refused, match=reasons.ONLY_BY_THE_FRONT_DOOR):
        both.contracts.call(stranger, function, *arguments, contract=contract)


def test_every_call_that_changes_something_is_protected_or_a_standard() -> None:
    standard = {"transfer", "transferFrom", "approve", "permit"}
    standard |= {"setApprovalForAll", "safeTransferFrom"}
    for contract in DEPLOYMENT_ORDER:
        if contract != PROTOCOL:
            changing = {
                e["name"]
                for e in load_contract(contract).abi
                if e["type"] == "function" and e["stateMutability"] != "view"
            }
            changing -= {"name", "symbol", "decimals"}
            assert changing - standard == set(PROTECTED.get(contract, "").split())


def test_no_call_takes_ether(both: Twins) -> None:
    for contract in DEPLOYMENT_ORDER:
        for entry in load_contract(contract).abi:
            assert entry.get("stateMutability") != "payable"


def test_the_parameters_are_readable_on_chain(both: Twins) -> None:
    names = [e["name"] for e in load_contract(PROTOCOL).abi if e.get("name") == "parameters"]
    assert names == ["parameters"]
    values = both.contracts.read(PROTOCOL, "parameters")
    assert values[0] == PAPER.supply
    assert values[-1] == local(PAPER).seed_delay
    assert len(values) == 26


def test_the_protocol_takes_no_dataset_but_the_one_committed_to(
    both: Twins, trained_job: JobId, requester: Address
) -> None:
    with pytest.raises(Refused, match=reasons.DATASET_NOT_AS_COMMITTED):
        both.contracts.call(requester, "publishDataset", trained_job, DATASET, bytes(32))
