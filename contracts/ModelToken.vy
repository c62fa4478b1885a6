# pragma version 0.4.3
# pragma optimize codesize
"""
@title ModelToken
@license Apache-2.0
@notice Who submitted which sealed model, and who has not (paper 3.3): one
        ERC-721 title per model, with the commitment to its key. The title's
        number is 64 times the job's, plus the place in the order of submission.
@dev Invariant: a trainer has at most one model per job; models of a job have
     the places 0, 1, 2 ... without a gap.
     Trusts: the ScatterProtocol named at construction, which alone mints; and
     the code of TrainingJobToken, which cannot change.
"""

import front_door
import refusals
import titles

initializes: front_door
initializes: titles

name: public(constant(String[32])) = "Scatter model"
symbol: public(constant(String[8])) = "SCTM"

submitted: public(HashMap[uint256, uint256])  # per job, one bit per trainer's seat
keyCommitments: public(HashMap[uint256, bytes32])  # per title


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
def mint(
    job: uint256, place: uint256, trainer: address, seat: uint256, model: bytes32, key: bytes32
):
    """
    @notice Records a trainer's model; one each.
    @param place How many models the job has so far.
    @param seat The trainer's place in the order of joining.
    @param model The sha2-256 digest of the sealed model's folder.
    @param key The commitment to the model's key.
    """
    front_door._only()
    done: uint256 = self.submitted[job]
    refusals._require((done >> seat) & 1 == 0, refusals.ALREADY_SUBMITTED)
    refusals._require(model != empty(bytes32) and key != empty(bytes32), refusals.EMPTY_DIGEST)
    self.submitted[job] = done | (1 << seat)
    self.keyCommitments[job * 64 + place] = key
    titles._mint(trainer, job * 64 + place, model, seat)


# What anybody reads


@view
@external
def seats(job: uint256, models: uint256) -> uint256[64]:
    """
    @notice The seats of the trainers of the first `models` models, in the order of submission.
    """
    found: uint256[64] = empty(uint256[64])
    for place: uint256 in range(models, bound=64):
        found[place] = titles._note(job * 64 + place)
    return found


# What owners do and anybody reads: ERC-721


@external
@raw_return
def __default__() -> Bytes[160]:
    """
    @notice ERC-721 as TrainingJobToken's code has it, on the titles of this contract.
    """
    return raw_call(TITLES, msg.data, max_outsize=160, is_delegate_call=True)
