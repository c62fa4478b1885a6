# pragma version 0.4.3
"""
@title Rules
@license Apache-2.0
@notice What a deployment fixes for ever, in the order of `scatter.mechanism.parameters`.
"""

struct Parameters:
    supply: uint256  # N, units
    taxRate: uint256  # D_tx, basis points; the three rates add up to 10,000 (eq. 1)
    trainerRate: uint256  # D_tr
    validatorRate: uint256  # D_v
    validatorStake: uint256  # S_v, the least
    validatorUnbonding: uint256  # tau_v, seconds
    challengerStake: uint256  # S_c
    challengerUnbonding: uint256  # tau_c
    basePenalty: uint256  # P_b
    penaltyMultiplier: uint256  # P_m
    committeeProportion: uint256  # V_prop, basis points
    leastCommittee: uint256
    mostCommittee: uint256
    leastElectorate: uint256
    lotteryShare: uint256  # 0: the whole pool; 1: half of the fine
    floorAllowed: bool
    leastReward: uint256
    joinWindow: uint256  # seconds, as all windows
    leastTraining: uint256
    mostTraining: uint256
    datasetWindow: uint256
    commitWindow: uint256
    revealWindow: uint256
    challengeWindow: uint256
    voteWindow: uint256
    seedDelay: uint256  # blocks
