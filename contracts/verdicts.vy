# pragma version 0.4.3
"""
@title Verdicts
@license Apache-2.0
@notice How a job ends: the verdicts of section 4 of the protocol by number, and
        whom they pay.
"""

NOBODY_SUBMITTED: constant(uint256) = 1
NO_COMMITTEE: constant(uint256) = 2
REQUESTER_MALICIOUS: constant(uint256) = 3
VALIDATORS_FAILED: constant(uint256) = 4
NO_MODEL_ACCEPTED: constant(uint256) = 5
NORMAL: constant(uint256) = 6


struct Settlement:
    verdict: uint256
    trainers: uint256  # how many joined
    malicious: uint256  # trainers whose stake is lost, one bit per seat
    accepted: uint256  # those whose model was, one bit per seat
    receivers: uint256  # of eq. 6, one bit per place in the committee
    silent: uint256  # members to fine, one bit per place
    paid: uint256[64]  # of eq. 4, in the order of submission: seat, and score * 256; else 0
    members: uint256[16]  # the committee: account, and stake * 2^160; then 0
