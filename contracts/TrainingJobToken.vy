# pragma version 0.4.3
# pragma optimize codesize
"""
@title TrainingJobToken
@license Apache-2.0
@notice Who asked for which training job (paper 3.3): one ERC-721 title per
        job, with the job's number. Selling the title moves neither duties nor
        money of the job.
@dev The one ERC-721 code of the three title contracts: the other two send what
     they do not know to it by DELEGATECALL, so `titles` comes first in the
     storage of all three, and this contract keeps nothing besides.
     Invariant: job n has a title from its creation on, for ever, and its
     content never changes.
     Trusts: the ScatterProtocol named at construction, which alone mints.
"""

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

name: public(constant(String[32])) = "Scatter training job"
symbol: public(constant(String[8])) = "SCTT"


@deploy
def __init__(protocol: address):
    titles.__init__(protocol)


# What the protocol does


@external
def mint(job: uint256, requester: address, trainingJob: bytes32):
    """
    @notice Records who asked for a training job.
    @param trainingJob The sha2-256 digest of the job's folder.
    """
    titles._only_the_protocol()
    titles._mint(requester, job, trainingJob, 0)
