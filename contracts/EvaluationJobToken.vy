# pragma version 0.4.3
# pragma optimize codesize
"""
@title EvaluationJobToken
@license Apache-2.0
@notice The evaluation jobs (paper 3.3): one ERC-721 title per job, with the
        job's number; the commitment to its dataset; later the dataset, which
        nobody may know while training lasts.
@dev Invariant: a dataset that is published is the one committed to at creation.
     Trusts: the ScatterProtocol named at construction, which alone mints and publishes; and
     the code of TrainingJobToken, which cannot change.
"""

import front_door
import refusals
import titles

initializes: front_door
initializes: titles

name: public(constant(String[32])) = "Scatter evaluation job"
symbol: public(constant(String[8])) = "SCTE"

datasets: public(HashMap[uint256, bytes32])  # the commitment, until published


TITLES: immutable(address)


@deploy
def __init__(protocol: address, trainingJobs: address):
    """
    @param trainingJobs The TrainingJobToken, whose code answers for ERC-721.
    """
    front_door.__init__(protocol)
    TITLES = trainingJobs


# What the protocol does


@external
def mint(job: uint256, requester: address, evaluationJob: bytes32, datasetCommitment: bytes32):
    """
    @notice Records an evaluation job, and what its dataset will be.
    @param evaluationJob The sha2-256 digest of the job's folder.
    @param datasetCommitment keccak256 of the dataset's digest and a salt.
    """
    front_door._only()
    titles._mint(requester, job, evaluationJob, 0)
    self.datasets[job] = datasetCommitment


@external
def publish(job: uint256, dataset: bytes32, salt: bytes32):
    """
    @notice Replaces the commitment by the dataset that it stands for.
    """
    front_door._only()
    refusals._require(
        keccak256(concat(dataset, salt)) == self.datasets[job], refusals.DATASET_NOT_AS_COMMITTED
    )
    self.datasets[job] = dataset


# What owners do and anybody reads: ERC-721


@external
@raw_return
def __default__() -> Bytes[160]:
    """
    @notice ERC-721 as TrainingJobToken's code has it, on the titles of this contract.
    """
    return raw_call(TITLES, msg.data, max_outsize=160, is_delegate_call=True)
