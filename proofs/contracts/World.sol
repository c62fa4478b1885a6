// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {addresses, codes, DEPLOYER, TREASURY} from "../build/Compiled.sol";
import {vm} from "./Cheats.sol";
import {Protocol, Reputation, Titles, Token} from "./Scatter.sol";

uint256 constant CROWD = 16;
uint256 constant VALIDATOR = 1;
uint256 constant CHALLENGER = 2;

/// One deployment, and the people on it: eight without a role, four validators, four challengers.
abstract contract World {
    Token public immutable token;
    Protocol public immutable protocol;
    Reputation internal immutable reputation;
    Titles[3] internal titles;
    address[7] internal seven;
    address[CROWD] internal people;
    /// For the role that somebody has.
    mapping(address account => uint256) internal paidIn;

    uint256 public immutable supply;
    uint256 internal immutable trainerRate;
    uint256 internal immutable validatorRate;
    uint256[2] internal leastStakes;
    uint256 internal immutable basePenalty;
    uint256 internal immutable penaltyMultiplier;
    bool internal immutable winsHalf;
    uint256 internal immutable leastReward;

    constructor(bytes[7] memory arguments) {
        seven = addresses();
        bytes[7] memory code = codes();
        for (uint256 i = 0; i < 7; i++) {
            bytes memory creation = bytes.concat(code[i], arguments[i]);
            address place;
            vm.prank(DEPLOYER);
            assembly {
                place := create(0, add(creation, 32), mload(creation))
            }
            require(place == seven[i], "the plan of deployment is not kept");
        }
        token = Token(seven[0]);
        titles = [Titles(seven[1]), Titles(seven[2]), Titles(seven[3])];
        reputation = Reputation(seven[4]);
        protocol = Protocol(seven[6]);

        uint256[26] memory p = protocol.parameters();
        supply = p[0];
        (trainerRate, validatorRate) = (p[2], p[3]);
        leastStakes = [p[4], p[6]];
        (basePenalty, penaltyMultiplier) = (p[8], p[9]);
        winsHalf = p[14] == 1;
        leastReward = p[16];
        _settleIn();
    }

    function _settleIn() private {
        for (uint256 i = 0; i < CROWD; i++) {
            people[i] = vm.addr(_key(i));
            vm.prank(TREASURY);
            token.transfer(people[i], 200_000 ether);
        }
        for (uint256 i = 8; i < CROWD; i++) {
            uint256 role = i < 12 ? VALIDATOR : CHALLENGER;
            paidIn[people[i]] = leastStakes[role - 1] + i;
            vm.prank(people[i]);
            protocol.register(role, paidIn[people[i]]);
        }
        vm.roll(vm.getBlockNumber() + 1);
    }

    function _key(uint256 person) internal pure returns (uint256) {
        return person + 1;
    }
}
