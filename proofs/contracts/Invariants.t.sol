// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {hardened, paper, TREASURY} from "../build/Compiled.sol";
import {vm} from "./Cheats.sol";
import {Hands} from "./Hands.sol";
import {Token} from "./Scatter.sol";

/// What holds after every call, whoever made it. What holds from one call to the next is in `Books`.
abstract contract Invariants {
    /// As forge asks for it.
    struct FuzzSelector {
        address target;
        bytes4[] selectors;
    }

    Hands private hands;
    string private name;

    constructor(string memory profile) {
        name = profile;
    }

    function setUp() external {
        hands = new Hands(_arguments());
    }

    function _arguments() internal pure virtual returns (bytes[7] memory);

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(hands), hands.selectors());
    }

    // One function, since each is a campaign of its own.
    function invariant_books_balance() external view {
        if (!hands.changed()) return;
        Token token = hands.token();
        uint256 held = token.balanceOf(address(token));
        uint256 owed = token.lottery() + hands.escrowed() + hands.staked() + hands.roleStakes();
        require(held == owed, "the token contract does not hold exactly what it owes");
        require(token.lottery() <= held, "the lottery is more than is there");
        require(
            hands.balances() + token.balanceOf(TREASURY) + held == hands.supply(),
            "the balances do not add up to the supply"
        );
        require(hands.endingsLast(), "a job that ended is under way, or the other way round");
        require(hands.nobodyIsCleared(), "somebody malicious is so no longer");
    }

    function afterInvariant() external {
        vm.writeLine(string.concat("build/", name, ".runs"), hands.report());
    }
}

contract Paper is Invariants("paper") {
    function _arguments() internal pure override returns (bytes[7] memory) {
        return paper();
    }
}

contract Hardened is Invariants("hardened") {
    function _arguments() internal pure override returns (bytes[7] memory) {
        return hardened();
    }
}
