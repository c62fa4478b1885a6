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
     Trusts: the ScatterProtocol named at construction, which alone mints.
"""

import refusals
import titles
import words

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

name: public(constant(String[32])) = "Scatter model"
symbol: public(constant(String[8])) = "SCTM"

submitted: public(HashMap[uint256, uint256])  # per job, one bit per trainer's seat
keyCommitments: public(HashMap[uint256, bytes32])  # per title


@deploy
def __init__(protocol: address):
    titles.__init__(protocol)


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
    titles._only_the_protocol()
    done: uint256 = self.submitted[job]
    refusals._require((done >> seat) & 1 == 0, "job: already submitted")
    refusals._require(model != empty(bytes32) and key != empty(bytes32), "job: empty digest")
    self.submitted[job] = done | (1 << seat)
    self.keyCommitments[job * 64 + place] = key
    titles._mint(trainer, job * 64 + place, model, seat)


# What anybody reads


@view
@external
def seats(job: uint256) -> DynArray[uint256, 64]:
    """
    @notice The seats of the trainers that submitted, in the order of submission.
    """
    found: DynArray[uint256, 64] = []
    for place: uint256 in range(words._count(self.submitted[job]), bound=64):
        found.append(titles._note(job * 64 + place))
    return found


@view
@external
def placeOf(job: uint256, seat: uint256) -> uint256:
    """
    @notice The place of a trainer's model; 64 if it has none.
    """
    if (self.submitted[job] >> seat) & 1 == 0:
        return 64
    place: uint256 = 0
    for i: uint256 in range(64):
        if titles._note(job * 64 + i) == seat:
            place = i
            break
    return place
