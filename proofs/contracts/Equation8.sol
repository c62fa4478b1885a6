// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

uint256 constant ABOVE_ANY_STAKE = 2 ** 96;

/// min(base * multiplier ^ offences, stake) as the paper has it. The power is not taken further than any stake
/// reaches.
function penaltyOf(uint256 base, uint256 multiplier, uint256 offences, uint256 stake) pure returns (uint256) {
    uint256 price = base;
    for (uint256 i = 0; i < offences && price < ABOVE_ANY_STAKE; i++) {
        price = price * multiplier;
    }
    return price < stake ? price : stake;
}
