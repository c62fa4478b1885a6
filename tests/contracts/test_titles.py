"""The three title contracts as ERC-721, and the content they name."""

from base64 import b32encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.deployed import encode_call, load_contract
from tests.contracts.scene import Scene
from tests.contracts.twins import Twins, twins
from tests.unit.vectors.reading import DATASET, SALT, address_of, order
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

from scatter.adapters.contracts import EVALUATION_JOBS, MODELS, TRAINING_JOBS
from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_dataset
from scatter.lifecycle.deployment import Block
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import UNIT, Address, BlockNumber, Digest, JobId, Timestamp

TITLES = (TRAINING_JOBS, EVALUATION_JOBS)
BORROWERS = (EVALUATION_JOBS, MODELS)
"""They pass on what they do not know to the code of TRAINING_JOBS."""
NOBODY = "0x" + "00" * 20
SOURCES = Path(__file__).parents[2] / "contracts"


def storage_of(contract: str) -> Any:
    """Where the compiler puts a contract's variables, by module."""
    bundle = FilesystemInputBundle([SOURCES])
    source = bundle.load_file(Path(f"{contract}.vy"))
    layout = compile_from_file_input(source, input_bundle=bundle, output_formats=["layout"])
    return layout["layout"]["storage_layout"]


def uri_of(digest: bytes) -> str:
    """ipfs:// and the CIDv1 of a dag-pb node: version, codec, hash function, length, digest."""
    cid = bytes([1, 0x70, 0x12, 32]) + digest
    return "ipfs://b" + b32encode(cid).decode().lower().rstrip("=")


@given(digest=st.binary(min_size=32, max_size=32).filter(any))
def test_a_title_s_uri_is_the_content_identifier(digest: bytes) -> None:
    with twins(local(PAPER)) as both:
        treasury = address_of("treasury")
        block = Block(BlockNumber(7), Timestamp(1_800_000_000))
        both.create(treasury, block, **order(training_job=digest))
        assert both.contracts.read(TRAINING_JOBS, "tokenURI", 1) == uri_of(digest)


def test_every_part_of_a_job_has_its_title_and_its_own_digest(scene: Scene) -> None:
    read = scene.both.contracts.read
    digests = {contract: Digest(bytes([place]) * 32) for place, contract in enumerate(TITLES, 1)}
    scene.create(
        by=scene.requester,
        training_job=digests[TRAINING_JOBS],
        evaluation_job=digests[EVALUATION_JOBS],
    )
    for trainer in scene.trainers:
        scene.at("join", trainer, UNIT)
    scene.at("start", scene.requester)
    models = [Digest(bytes([100 + place]) * 32) for place in range(len(scene.trainers))]
    keys = [Digest(bytes([200 + place]) * 32) for place in range(len(scene.trainers))]
    for trainer, model, key in zip(scene.trainers, models, keys, strict=True):
        scene.at("submit_model", trainer, model, key)

    for contract in TITLES:
        assert read(contract, "ownerOf", scene.job) == scene.requester.lower()
        assert read(contract, "balanceOf", scene.requester) == 1
        assert read(contract, "tokenURI", scene.job) == uri_of(digests[contract])
    for place, trainer in enumerate(scene.trainers):
        title = 64 * scene.job + place
        assert read(MODELS, "ownerOf", title) == trainer.lower()
        assert read(MODELS, "tokenURI", title) == uri_of(models[place])
        assert read(MODELS, "keyCommitments", title) == keys[place]


def test_the_dataset_takes_the_place_of_its_commitment(scene: Scene) -> None:
    read = scene.both.contracts.read
    scene.trained()
    assert read(EVALUATION_JOBS, "datasets", scene.job) == commit_to_dataset(DATASET, SALT)

    scene.at("publish_dataset", scene.requester, DATASET, SALT)

    assert read(EVALUATION_JOBS, "datasets", scene.job) == DATASET


@pytest.mark.parametrize("contract", [*TITLES, MODELS])
def test_says_which_standards_it_follows(both: Twins, contract: str) -> None:
    answers = {
        interface: both.contracts.read(contract, "supportsInterface", bytes.fromhex(interface))
        for interface in ("01ffc9a7", "80ac58cd", "5b5e139f", "ffffffff", "780e9d63")
    }
    assert list(answers.values()) == [True, True, True, False, False]


@pytest.mark.parametrize("contract", TITLES)
class TestTransfer:
    def test_moves_the_title_and_forgets_the_approval(
        self, both: Twins, open_job: JobId, requester: Address, stranger: Address, contract: str
    ) -> None:
        both.contracts.call(requester, "approve", stranger, open_job, contract=contract)

        self.send(both, contract, stranger, requester, stranger, open_job)

        assert both.contracts.read(contract, "ownerOf", open_job) == stranger.lower()
        assert both.contracts.read(contract, "getApproved", open_job) == NOBODY
        assert both.contracts.read(contract, "balanceOf", requester) == 0

    def test_an_operator_moves_them_all(
        self, both: Twins, open_job: JobId, requester: Address, stranger: Address, contract: str
    ) -> None:
        both.contracts.call(requester, "setApprovalForAll", stranger, True, contract=contract)
        self.send(both, contract, stranger, requester, stranger, open_job)
        assert both.contracts.read(contract, "balanceOf", stranger) == 1

    def test_refuses(
        self, both: Twins, open_job: JobId, requester: Address, stranger: Address, contract: str
    ) -> None:
        with pytest.raises(Refused, match=reasons.TITLE_NOT_ALLOWED):
            self.send(both, contract, stranger, requester, stranger, open_job)
        with pytest.raises(Refused, match=reasons.NOT_THE_TITLES_OWNER):
            self.send(both, contract, stranger, stranger, requester, open_job)
        with pytest.raises(Refused, match=reasons.TITLE_TO_NOBODY):
            self.send(both, contract, requester, requester, NOBODY, open_job)
        with pytest.raises(Refused, match=reasons.NO_SUCH_TITLE):
            self.send(both, contract, requester, requester, stranger, 99)
        with pytest.raises(Refused, match=reasons.TITLE_NOT_ALLOWED):
            both.contracts.call(stranger, "approve", stranger, open_job, contract=contract)
        with pytest.raises(Refused, match=reasons.TITLE_OF_NOBODY):
            both.contracts.read(contract, "balanceOf", NOBODY)

    def test_safely_to_a_contract_only_if_it_wants_it(
        self, both: Twins, open_job: JobId, requester: Address, stranger: Address, contract: str
    ) -> None:
        # The code of an account that answers every call with 32 bytes of zero.
        both.contracts.env.evm.vm.state.set_code(
            bytes.fromhex(stranger[2:]), bytes.fromhex("60205ff3")
        )
        with pytest.raises(Refused, match=reasons.TITLE_REFUSED):
            both.contracts.call(
                requester, "safeTransferFrom", requester, stranger, open_job, contract=contract
            )

    def send(self, both: Twins, contract: str, caller: str, *arguments: Any) -> None:
        both.contracts.call(caller, "transferFrom", *arguments, contract=contract)


def test_selling_a_title_moves_no_money_and_no_duty(
    both: Twins,
    open_job: JobId,
    requester: Address,
    stranger: Address,
    trainers: list[Address],
    tick: Any,
) -> None:
    both.contracts.call(
        requester, "transferFrom", requester, stranger, open_job, contract=TRAINING_JOBS
    )
    both.join(trainers[0], open_job, UNIT, tick())

    with pytest.raises(Refused, match=reasons.ONLY_THE_REQUESTER):
        both.start(stranger, open_job, tick())
    both.start(requester, open_job, tick())


def test_all_three_share_one_interface() -> None:
    names = [
        {e["name"] for e in load_contract(c).abi if e["type"] == "function"}
        for c in (*TITLES, MODELS)
    ]
    standard = {"ownerOf", "balanceOf", "approve", "transferFrom", "safeTransferFrom", "tokenURI"}
    assert all(standard <= found for found in names)


@pytest.mark.parametrize("contract", BORROWERS)
class TestBorrowedCode:
    def test_writes_where_its_own_contract_reads(self, contract: str) -> None:
        """Two layouts that differ would let a transfer overwrite something else."""
        own, lent = (storage_of(name) for name in (contract, TRAINING_JOBS))

        assert lent == {"titles": lent["titles"]}
        assert own["titles"] == lent["titles"]

    def test_mints_for_nobody_but_the_protocol(
        self, both: Twins, stranger: Address, contract: str
    ) -> None:
        data = encode_call(TRAINING_JOBS, "mint", (1, stranger, DATASET))
        with pytest.raises(Refused, match=reasons.ONLY_BY_THE_FRONT_DOOR):
            both.contracts.send(stranger, contract, data)

    @pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 4, b"\xff" * 100])
    def test_knows_no_other_call(
        self, both: Twins, stranger: Address, contract: str, data: bytes
    ) -> None:
        with pytest.raises(AssertionError, match="without a reason: Revert"):
            both.contracts.send(stranger, contract, data)

    def test_keeps_its_own_name(self, both: Twins, contract: str) -> None:
        names = {both.contracts.read(c, "name") for c in (*TITLES, MODELS)}
        assert len(names) == 3
