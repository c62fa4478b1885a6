// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Books} from "./Books.sol";
import {vm} from "./Cheats.sol";
import {CROWD} from "./World.sol";

/// Whom and what a hand picks. `astray` hands pick anything.
abstract contract Choices is Books {
    struct Accusation {
        uint256 job;
        address target;
    }

    mapping(uint256 job => mapping(address member => uint256)) internal slips;
    Accusation[] internal accusations;
    bool internal astray;
    uint256 private dice;

    modifier drawn(uint256 seed) {
        dice = seed;
        _passTime();
        astray = _below(8) == 0;
        _;
    }

    function _passTime() private {
        uint256 chance = _below(64);
        uint256 time = vm.getBlockTimestamp();
        uint256 blocks = 1;
        if (chance == 0) {
            // Not beyond the first deadline, lest nobody ever keeps one.
            time = _later(time, _firstDeadline() - 1 + _below(2));
        } else if (chance == 1 && _below(8) == 0) {
            (,,, uint256 free,) = token.holdings(_leaving());
            time = _later(time, free);
        } else if (chance == 2) {
            time += _below(6 hours);
            blocks = 1 + _below(300);
        } else if (chance < 12) {
            time += 12;
        } else {
            return;
        }
        vm.warp(time);
        vm.roll(vm.getBlockNumber() + blocks);
    }

    function _firstDeadline() private view returns (uint256 first) {
        first = live.length == 0 ? 1 : type(uint256).max;
        for (uint256 i = 0; i < live.length; i++) {
            (, uint256 deadline) = protocol.phase(live[i]);
            if (deadline < first) first = deadline;
        }
    }

    function _later(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a : b;
    }

    function _any() internal returns (uint256) {
        dice = uint256(keccak256(abi.encode(dice)));
        return dice;
    }

    function _below(uint256 bound) internal returns (uint256) {
        return _any() % bound;
    }

    function _someone() internal returns (address) {
        return people[_below(CROWD)];
    }

    function _next(uint256 i) private pure returns (uint256) {
        return (i + 1) % CROWD;
    }

    /// Somebody with a role, or without any (0).
    function _with(uint256 role) internal returns (address) {
        uint256 i = _below(CROWD);
        for (uint256 tries = 0; tries < CROWD && !astray; tries++) {
            if (holdings[i].role == role) break;
            i = _next(i);
        }
        return people[i];
    }

    function _leaving() internal returns (address) {
        uint256 i = _below(CROWD);
        for (uint256 tries = 0; tries < CROWD && !astray; tries++) {
            if (holdings[i].free != 0) break;
            i = _next(i);
        }
        return people[i];
    }

    function _committed(uint256 job) internal returns (address) {
        uint256 i = _below(CROWD);
        for (uint256 tries = 0; tries < CROWD && slips[job][people[i]] == 0; tries++) {
            i = _next(i);
        }
        return people[i];
    }

    function _trainer(uint256 job) internal returns (address) {
        uint256 count = trainers[job].length;
        return astray || count == 0 ? _someone() : trainers[job][_below(count)];
    }

    /// The one named, but sometimes anybody.
    function _or(address account) internal returns (address) {
        return astray || account == address(0) ? _someone() : account;
    }

    /// A job in a phase if there is one; over or not for phase 7.
    function _job(uint256 phase) internal returns (uint256) {
        uint256 count = protocol.jobCount();
        if (astray) return _below(count + 2);
        if (phase >= 7 || live.length == 0) return 1 + _below(count + 1);
        uint256 start = _below(live.length);
        for (uint256 i = 0; i < live.length; i++) {
            uint256 job = live[(start + i) % live.length];
            (uint256 now_,) = protocol.phase(job);
            if (now_ == phase) return job;
        }
        return live[start];
    }

    /// An accusation in a job that is not over; of the late ones if there are several.
    function _accusation() internal returns (Accusation memory) {
        uint256 count = accusations.length;
        if (count == 0 || astray) return Accusation(_job(6), _someone());
        uint256 back = _below(count < 4 ? count : 4);
        return accusations[count - 1 - back];
    }

    /// An owner of tokens and somebody allowed to spend them.
    function _spender() internal returns (address owner, address spender) {
        owner = _someone();
        uint256 i = _below(CROWD);
        for (uint256 tries = 0; tries < CROWD && token.allowance(owner, people[i]) == 0; tries++) {
            i = _next(i);
        }
        spender = people[i];
    }

    function _amount() internal returns (uint256) {
        uint256[6] memory amounts = [uint256(0), 1, 1 ether, 30_000 ether, 2 ** 96 - 1, 2 ** 96];
        return amounts[_below(6)];
    }

    /// A hundredth of what somebody has, or a little more than all.
    function _little(address account) internal returns (uint256) {
        uint256 balance = token.balanceOf(account);
        return astray ? balance + 1 : _below(balance / 100 + 1);
    }

    function _dataset(uint256 job) internal pure returns (bytes32) {
        return keccak256(abi.encode("dataset", job));
    }

    /// What a member commits to: praise, the same for all, nothing, or anything.
    function _scores(uint256 slip, uint256 count) internal pure returns (uint256[] memory scores) {
        scores = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            uint256 taste = slip % 4;
            if (taste == 0) scores[i] = 9_000 + i;
            else if (taste == 1) scores[i] = 7_000;
            else if (taste == 2) scores[i] = 0;
            else scores[i] = uint256(keccak256(abi.encode(slip, i))) % 10_001;
        }
    }
}
