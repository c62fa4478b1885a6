// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CODE_ScatterToken, INNER_CALLS, paper, TREASURY} from "../build/Compiled.sol";
import {svm, vm} from "./Cheats.sol";
import {Holding, Token} from "./Scatter.sol";
import {CHALLENGER, VALIDATOR} from "./World.sol";

/// What halmos proves of the compiled token, for all arguments at once. A proof is its front door. What a call
/// that is refused does need not be said: nothing.
abstract contract Proofs {
    uint256 internal constant BELOW = 2 ** 96;
    uint256 internal constant STAKE = 25_000 ether;
    address internal constant KNOWN = address(0xa11ce);

    Token internal token;
    uint256 internal basePenalty;

    function _deploy() internal {
        bytes memory arguments = paper()[0];
        (,, uint256[26] memory p) = abi.decode(arguments, (address, address, uint256[26]));
        basePenalty = p[8];
        require(p[9] == 2, "the plain reading of equation 8 is for a multiplier of 2");
        assembly {
            mstore(add(arguments, 32), address())
        }
        bytes memory creation = bytes.concat(CODE_ScatterToken, arguments);
        address place;
        assembly {
            place := create(0, add(creation, 32), mload(creation))
        }
        require(place != address(0), "the token was not deployed");
        token = Token(place);
    }

    /// Somebody with one unit left and a role.
    function _registerKnown() internal {
        vm.prank(TREASURY);
        token.transfer(KNOWN, STAKE + 1);
        token.register(KNOWN, VALIDATOR, STAKE);
    }

    /// Which of the token's mappings has, for the known account, a number from some bit on.
    function _slotOf(uint256 number, uint256 low) internal view returns (uint256 slot) {
        while (uint256(vm.load(address(token), _key(slot, KNOWN))) >> low != number) {
            require(++slot < 64, "the token does not keep that number");
        }
    }

    function _key(uint256 slot, address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(slot, account));
    }

    function _allowed(bytes memory data) internal {
        (bool allowed,) = address(token).call(data);
        vm.assume(allowed);
    }

    function _of(address account) internal view returns (Holding memory h) {
        (h.balance, h.role, h.stake, h.free, h.offences) = token.holdings(account);
    }

    function _unchanged(Holding memory a, Holding memory b) internal pure {
        assert(a.balance == b.balance && a.role == b.role && a.stake == b.stake);
        assert(a.free == b.free && a.offences == b.offences);
    }
}

/// From any state: every word of the token's storage is unknown. Of the accounts in question only this is assumed: a
/// role is none, validator or challenger, and nobody is in 2^128 - 1 running jobs.
contract AnyState is Proofs {
    uint256 private accounts;
    uint256 private roles;

    function setUp() external {
        _deploy();
        _registerKnown();
        (accounts, roles) = (_slotOf(1, 128), _slotOf(STAKE, 160));
        svm.enableSymbolicStorage(address(token));
    }

    function _assumeSound(address account) private view {
        uint256 role = uint256(vm.load(address(token), _key(roles, account)));
        vm.assume(role == 0 || role & 255 == VALIDATOR || role & 255 == CHALLENGER);
        uint256 purse = uint256(vm.load(address(token), _key(accounts, account)));
        vm.assume(purse & (2 ** 128 - 1) < 2 ** 128 - 1);
    }

    function check_transfer_moves_the_amount_and_nothing_else(address from, address to, address other, uint256 amount)
        external
    {
        vm.assume(other != from && other != to);
        uint256[3] memory before = [token.balanceOf(from), token.balanceOf(to), token.balanceOf(other)];
        uint256 pool = token.lottery();
        vm.prank(from);
        _allowed(abi.encodeCall(Token.transfer, (to, amount)));
        _moved(from, to, other, amount, before);
        assert(token.lottery() == pool);
        assert(to != address(token));
    }

    function check_transferFrom_moves_what_was_allowed(
        address owner,
        address spender,
        address to,
        address other,
        uint256 amount
    ) external {
        vm.assume(other != owner && other != to);
        uint256[3] memory before = [token.balanceOf(owner), token.balanceOf(to), token.balanceOf(other)];
        uint256 allowance = token.allowance(owner, spender);
        vm.prank(spender);
        _allowed(abi.encodeCall(Token.transferFrom, (owner, to, amount)));
        _moved(owner, to, other, amount, before);
        assert(allowance >= amount);
        uint256 left = token.allowance(owner, spender);
        assert(left == (allowance == type(uint256).max ? allowance : allowance - amount));
    }

    function check_register_locks_exactly_the_stake(address account, uint256 role, uint256 amount, address other)
        external
    {
        vm.assume(account != address(token) && other != account && other != address(token));
        _assumeSound(account);
        Holding memory before = _of(account);
        Holding memory third = _of(other);
        (uint256 held, uint256 pool) = (token.balanceOf(address(token)), token.lottery());
        _allowed(abi.encodeCall(Token.register, (account, role, amount)));
        Holding memory later = _of(account);
        assert(before.role == 0 && later.role == role && (role == VALIDATOR || role == CHALLENGER));
        assert(later.stake == amount && amount < BELOW);
        assert(later.free == 0);
        assert(before.balance - later.balance == amount && before.balance >= amount);
        assert(token.balanceOf(address(token)) - held == amount);
        assert(token.lottery() == pool);
        _unchanged(third, _of(other));
    }

    function check_withdraw_pays_exactly_what_is_left(address account, address other) external {
        vm.assume(account != address(token) && other != account && other != address(token));
        _assumeSound(account);
        Holding memory before = _of(account);
        Holding memory third = _of(other);
        (uint256 held, uint256 pool) = (token.balanceOf(address(token)), token.lottery());
        _allowed(abi.encodeCall(Token.withdraw, (account)));
        Holding memory later = _of(account);
        assert(before.role != 0 && later.role == 0 && later.stake == 0);
        assert(before.free <= block.timestamp);
        assert(later.balance - before.balance == before.stake);
        assert(held - token.balanceOf(address(token)) == before.stake && held >= before.stake);
        assert(token.lottery() == pool);
        _unchanged(third, _of(other));
    }

    function check_requestUnstake_of_a_validator_moves_no_money(address account, uint248 record, address other)
        external
    {
        _requestUnstake(account, (uint256(record) << 8) | VALIDATOR, other);
    }

    function check_requestUnstake_of_a_challenger_moves_no_money(address account, uint248 record, address other)
        external
    {
        _requestUnstake(account, (uint256(record) << 8) | CHALLENGER, other);
    }

    /// The role is written, so that it is a number: which unbonding time is read depends on it.
    function _requestUnstake(address account, uint256 record, address other) private {
        vm.assume(block.timestamp < 2 ** 39 && block.number < 2 ** 39);
        vm.store(address(token), _key(roles, account), bytes32(record));
        Holding memory before = _of(account);
        (uint256 balance, uint256 pool) = (token.balanceOf(other), token.lottery());
        _allowed(abi.encodeCall(Token.requestUnstake, (account)));
        Holding memory later = _of(account);
        assert(later.stake == before.stake && later.balance == before.balance);
        assert(later.role == before.role && later.offences == before.offences);
        assert(token.balanceOf(other) == balance && token.lottery() == pool);
    }

    function check_escrow_takes_the_reward_and_its_tax(uint256 job, address requester, uint96 reward, address other)
        external
    {
        vm.assume(requester != address(token) && other != requester && other != address(token));
        _assumeSound(requester);
        (uint256 balance, uint256 third) = (token.balanceOf(requester), token.balanceOf(other));
        (uint256 held, uint256 pool) = (token.balanceOf(address(token)), token.lottery());
        _allowed(abi.encodeCall(Token.escrow, (job, requester, reward)));
        assert(balance - token.balanceOf(requester) == reward && balance >= reward);
        assert(token.balanceOf(address(token)) - held == reward);
        uint256 rest = uint256(reward) * 7_000 / 10_000 + uint256(reward) * 2_000 / 10_000;
        assert(token.lottery() - pool == reward - rest);
        assert(token.balanceOf(other) == third);
    }

    function check_lockStake_locks_exactly_the_stake(
        uint256 job,
        uint256 seat,
        address trainer,
        uint256 stake,
        uint256 least,
        address other
    ) external {
        vm.assume(trainer != address(token) && other != trainer && other != address(token));
        _assumeSound(trainer);
        (uint256 balance, uint256 third) = (token.balanceOf(trainer), token.balanceOf(other));
        (uint256 held, uint256 pool) = (token.balanceOf(address(token)), token.lottery());
        _allowed(abi.encodeCall(Token.lockStake, (job, seat, 64, trainer, stake, least)));
        assert(stake >= least && stake < BELOW);
        assert(balance - token.balanceOf(trainer) == stake && balance >= stake);
        assert(token.balanceOf(address(token)) - held == stake);
        assert(token.lottery() == pool && token.balanceOf(other) == third);
    }

    function check_only_the_front_door_comes_in(address caller) external {
        vm.assume(caller != address(this));
        for (uint256 at = 0; at < INNER_CALLS.length; at += 6) {
            if (INNER_CALLS[at] != 0) continue;
            bytes memory selector = abi.encodePacked(
                INNER_CALLS[at + 1], INNER_CALLS[at + 2], INNER_CALLS[at + 3], INNER_CALLS[at + 4]
            );
            bytes memory arguments = svm.createBytes(32 * uint256(uint8(INNER_CALLS[at + 5])), "arguments");
            vm.prank(caller);
            (bool allowed,) = address(token).call(bytes.concat(selector, arguments));
            assert(!allowed);
        }
    }

    function _moved(address from, address to, address other, uint256 amount, uint256[3] memory before) private view {
        assert(before[0] >= amount);
        assert(token.balanceOf(other) == before[2]);
        assert(token.balanceOf(from) == (from == to ? before[0] : before[0] - amount));
        if (from != to) assert(token.balanceOf(to) == before[1] + amount);
    }
}

/// Equation 8 for every stake, whatever earlier fines left of it, and every number of earlier offences; and what
/// becomes of the fine. Both are written into the storage of somebody who is leaving.
contract Equation8 is Proofs {
    address private constant WHO = address(0xb0b);
    uint256 private offences;
    uint256 private roles;

    function setUp() external {
        _deploy();
        _registerKnown();
        roles = _slotOf(STAKE, 160);
        token.punish(1, KNOWN, 64, KNOWN);
        offences = _slotOf(1, 0);
        require(token.lottery() == 0, "the accuser did not win the whole pool");
    }

    function check_penalty_of_a_validator(uint96 stake, uint128 count) external {
        _penalty(VALIDATOR, 64, stake, count, uint256(count));
    }

    function check_penalty_of_a_challenger(uint96 stake, uint128 count) external {
        _penalty(CHALLENGER, 255, stake, count, uint256(count) << 128);
    }

    function _penalty(uint256 role, uint256 part, uint256 stake, uint256 count, uint256 word) private {
        vm.assume(count < 2 ** 128 - 1);
        vm.prank(TREASURY);
        token.transfer(WHO, STAKE);
        token.register(WHO, role, STAKE);
        token.requestUnstake(WHO);
        vm.store(address(token), _key(offences, WHO), bytes32(word));
        uint256 record = uint256(vm.load(address(token), _key(roles, WHO)));
        vm.store(address(token), _key(roles, WHO), bytes32(record ^ ((STAKE ^ stake) << 160)));
        token.punish(1, WHO, part, address(0));

        Holding memory h = _of(WHO);
        // From 96 on the power is above any stake.
        uint256 price = count < 96 ? basePenalty << count : BELOW;
        uint256 fine = price < stake ? price : stake;
        assert(h.stake == stake - fine);
        assert(token.lottery() == fine);
        assert(h.role == role && h.balance == 0 && h.offences == count + 1);
    }
}
