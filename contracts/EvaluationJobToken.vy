# pragma version 0.4.3
# pragma optimize codesize
"""
@title EvaluationJobToken
@license Apache-2.0
@notice The evaluation jobs (paper 3.3): one ERC-721 title per job, with the
        job's number; the commitment to its dataset; later the dataset, which
        nobody may know while training lasts.
@dev Invariant: a dataset that is published is the one committed to at creation.
     Trusts: the ScatterProtocol named at construction, which alone mints and publishes.
"""

import refusals
import titles

initializes: titles

exports: (
    titles.approve,
    titles.setApprovalForAll,
    titles.transferFrom,
    titles.safeTransferFrom,
    titles.ownerOf,
    titles.balanceOf,
    titles.getApproved,
    titles.isApprovedForAll,
    titles.supportsInterface,
    titles.tokenURI,
)

name: public(constant(String[32])) = "Scatter evaluation job"
symbol: public(constant(String[8])) = "SCTE"

datasets: public(HashMap[uint256, bytes32])  # the commitment, until published


@deploy
def __init__(protocol: address):
    titles.__init__(protocol)


# What the protocol does


@external
def mint(job: uint256, requester: address, evaluationJob: bytes32, datasetCommitment: bytes32):
    """
    @notice Records an evaluation job, and what its dataset will be.
    @param evaluationJob The sha2-256 digest of the job's folder.
    @param datasetCommitment keccak256 of the dataset's digest and a salt.
    """
    titles._only_the_protocol()
    titles._mint(requester, job, evaluationJob, 0)
    self.datasets[job] = datasetCommitment


@external
def publish(job: uint256, dataset: bytes32, salt: bytes32):
    """
    @notice Replaces the commitment by the dataset that it stands for.
    """
    titles._only_the_protocol()
    refusals._require(
        keccak256(concat(dataset, salt)) == self.datasets[job], refusals.DATASET_NOT_AS_COMMITTED
    )
    self.datasets[job] = dataset
