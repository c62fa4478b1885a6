// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What forge and halmos answer at the address below; only what is used here.
interface Cheats {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function prank(address sender) external;
    function warp(uint256 time) external;
    function roll(uint256 number) external;
    function getBlockTimestamp() external view returns (uint256);
    function getBlockNumber() external view returns (uint256);
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function toString(uint256 number) external pure returns (string memory);
    function writeLine(string calldata path, string calldata line) external;
    function load(address account, bytes32 slot) external view returns (bytes32);
    function store(address account, bytes32 slot, bytes32 word) external;
    function assume(bool condition) external pure;
}

/// What halmos alone answers.
interface Symbols {
    function enableSymbolicStorage(address account) external;
    function createBytes(uint256 length, string memory name) external pure returns (bytes memory);
}

Symbols constant svm = Symbols(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
Cheats constant vm = Cheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
