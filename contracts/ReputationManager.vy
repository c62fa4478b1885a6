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


interface Protocol:
    def requesterOf(job: uint256) -> address: view


interface Votes:
    def conductOf(job: uint256, account: address) -> uint256: view


UNKNOWN: constant(uint256) = 0
BENEVOLENT: constant(uint256) = 1
MALICIOUS: constant(uint256) = 2

PROTOCOL: immutable(address)
TOKEN: immutable(Stakes)
VOTES: immutable(Votes)

condemned: public(HashMap[uint256, HashMap[address, bool]])  # by an upheld accusation
# Per job, who is malicious: trainers by seat 64 | members by place 16 | requester 1;
# then: settled 1 | 14 free | trainers paid for an accepted model, by seat 64
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
def conclude(job: uint256, trainers: uint256, accepted: uint256, requester: bool):
    """
    @notice Records who is malicious at the end of a job, and whose model was accepted.
    @param trainers The malicious ones, one bit per seat.
    @param accepted The same for the accepted.
    """
    self._only_the_protocol()
    ending: uint256 = 2 + (1 if requester else 0)
    self.marks[job] |= trainers | (ending << 80) | (accepted << 96)


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
    if (mark >> 81) & 1 == 0:
        return UNKNOWN
    if account == staticcall Protocol(PROTOCOL).requesterOf(job):
        return BENEVOLENT + ((mark >> 80) & 1)
    seat: uint256 = staticcall TOKEN.seatOf(job, account)
    if seat > 0:
        return BENEVOLENT + ((mark >> (seat - 1)) & 1)
    return BENEVOLENT if conduct == 2 else UNKNOWN


@view
@internal
def _only_the_protocol():
    assert msg.sender == PROTOCOL, "protocol: only by its front door"
