# pragma version 0.4.3
# pragma optimize codesize
"""
@title ReputationManager
@license Apache-2.0
@notice The standing of every participant, job by job: unknown, benevolent,
        malicious (paper 3.3). Nothing carries over from one job to another.
@dev Invariant: whoever is malicious in a job stays so.
     Trusts: the ScatterProtocol named at construction, which alone records; asks
     ScatterToken who trains, and VoteManager who scored and voted.
"""

import words


interface Stakes:
    def seatOf(job: uint256, account: address) -> uint256: view


interface Votes:
    def conductOf(job: uint256, account: address) -> uint256: view


UNKNOWN: constant(uint256) = 0
BENEVOLENT: constant(uint256) = 1
MALICIOUS: constant(uint256) = 2

PROTOCOL: immutable(address)
TOKEN: immutable(Stakes)
VOTES: immutable(Votes)

condemned: public(HashMap[uint256, HashMap[address, bool]])  # by an upheld accusation
# Per job, what is malicious: trainers by seat 64 | members by place 16 | requester 1;
# then: settled 1 | 14 free | the requester 160
marks: public(HashMap[uint256, uint256])


@deploy
def __init__(protocol: address, token: address, votes: address):
    PROTOCOL = protocol
    TOKEN = Stakes(token)
    VOTES = Votes(votes)


# What the protocol does


@external
def condemn(job: uint256, account: address, part: uint256):
    """
    @notice Records an upheld accusation.
    @param part The trainer's seat, or 64 plus the member's place; above 79 a challenger.
    """
    self._only_the_protocol()
    self.condemned[job][account] = True
    if part < 80:
        self.marks[job] |= 1 << part


@external
def conclude(job: uint256, requester: address, trainers: uint256, requesterToo: bool):
    """
    @notice Records who is malicious at the end of a job.
    @param trainers One bit per seat.
    """
    self._only_the_protocol()
    mark: uint256 = self.marks[job] | trainers | (1 << 81) | (convert(requester, uint256) << 96)
    self.marks[job] = words._put(mark, 80, 1, 1 if requesterToo else 0)


# What anybody reads


@view
@external
def standing(job: uint256, account: address) -> uint256:
    """
    @notice 0 unknown, 1 benevolent, 2 malicious. Unknown until condemned, or until the job
            ends; then whoever did its part and was not found malicious is benevolent.
    """
    conduct: uint256 = staticcall VOTES.conductOf(job, account)
    if self.condemned[job][account] or conduct == 1:
        return MALICIOUS
    mark: uint256 = self.marks[job]
    if words._get(mark, 81, 1) == 0:
        return UNKNOWN
    if account == convert(mark >> 96, address):
        return BENEVOLENT + words._get(mark, 80, 1)
    seat: uint256 = staticcall TOKEN.seatOf(job, account)
    if seat > 0:
        return BENEVOLENT + words._get(mark, seat - 1, 1)
    return BENEVOLENT if conduct == 2 else UNKNOWN


@view
@internal
def _only_the_protocol():
    assert msg.sender == PROTOCOL, "protocol: only by its front door"
