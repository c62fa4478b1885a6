// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "./Cheats.sol";
import {penaltyOf} from "./Equation8.sol";
import {Holding} from "./Scatter.sol";
import {CROWD, World} from "./World.sol";

/// What everybody owns and is owed, by what was called; and the rules that hold from one call to the next.
/// Every rule is one `require`; its text is what a broken one says.
abstract contract Books is World {
    /// What one call did.
    struct Change {
        bool allowed;
        bytes32 reason;
        int256[CROWD] gains;
        uint256 gained;
        uint256 paid;
        uint256 fines;
        uint256 poolBefore;
        uint256 poolAfter;
    }

    bytes32[] internal acts;
    mapping(bytes32 act => uint256) internal done;
    mapping(bytes32 act => uint256) internal refused;
    /// Two runs of the same calls have the same.
    bytes32 internal trail;

    uint256[] internal live;
    mapping(uint256 job => address) internal requesters;
    mapping(uint256 job => uint256) internal rewards;
    mapping(uint256 job => address[]) internal trainers;
    mapping(uint256 job => mapping(address trainer => uint256)) internal stakes;
    mapping(uint256 job => bool) internal over;
    mapping(uint256 job => uint256) internal phases;
    uint256 public escrowed;
    uint256 public staked;

    mapping(address account => mapping(uint256 role => uint256)) internal offences;
    /// As read after the last call that was allowed; a refused one changes nothing.
    Holding[CROWD] internal holdings;
    bool public changed;

    constructor() {
        for (uint256 i = 0; i < CROWD; i++) {
            holdings[i] = _holding(people[i]);
        }
    }

    // Every call

    /// Sends one call and compares everybody's holdings. `payer` is the one whose balance may fall, or nobody.
    function _send(bytes32 act, address caller, address payer, address target, bytes memory data)
        internal
        returns (Change memory change)
    {
        change.poolBefore = token.lottery();
        vm.prank(caller);
        bytes memory answer;
        (change.allowed, answer) = target.call(data);
        trail = keccak256(abi.encode(trail, caller, target, data, change.allowed));
        changed = change.allowed;
        if (!change.allowed) {
            _count(refused, act);
            require(bytes4(answer) == bytes4(keccak256("Error(string)")), "a call failed without a reason");
            change.reason = keccak256(answer);
            return change;
        }
        _count(done, act);
        change.poolAfter = token.lottery();
        for (uint256 i = 0; i < CROWD; i++) {
            Holding memory before = holdings[i];
            Holding memory later = _holding(people[i]);
            if (keccak256(abi.encode(before)) == keccak256(abi.encode(later))) continue;
            _weigh(change, i, before.balance, later.balance, payer);
            change.fines += _fineOf(act, people[i], before, later, caller);
            holdings[i] = later;
        }
        _phasesMoveOnly();
    }

    function _weigh(Change memory change, uint256 i, uint256 before, uint256 later, address payer) private view {
        change.gains[i] = int256(later) - int256(before);
        if (later >= before) {
            change.gained += later - before;
        } else {
            require(people[i] == payer, "somebody else's tokens moved");
            change.paid += before - later;
        }
    }

    /// What equation 8 took from one person; whatever else happened to its stake must have a cause.
    function _fineOf(bytes32 act, address who, Holding memory before, Holding memory later, address caller)
        private
        returns (uint256 fine)
    {
        if (before.role == 0) {
            if (later.role != 0) _tookUp(act, who, before, later, caller);
            else require(later.stake == 0, "a stake without a role");
            return 0;
        }
        if (later.role == 0) {
            require(act == "withdraw" && who == caller, "a role ended without its holder's word");
            require(before.free != 0 && vm.getBlockTimestamp() >= before.free, "withdrawn before its time");
            require(later.balance - before.balance == before.stake, "not what was left of the stake was paid out");
            return 0;
        }
        require(later.role == before.role, "a role changed");
        require(later.offences >= before.offences, "an offence was forgotten");
        uint256 left = before.stake;
        for (uint256 count = before.offences; count < later.offences; count++) {
            uint256 price = penaltyOf(basePenalty, penaltyMultiplier, count, left);
            left -= price;
            fine += price;
        }
        require(later.stake == left, "a stake changed otherwise than by equation 8");
        require(later.stake <= paidIn[who], "a stake is more than was paid in");
        if (later.offences > before.offences) {
            require(act == "vote" || act == "settle", "a fine without a judgement");
            offences[who][later.role] = later.offences;
            _count(done, left == 0 ? bytes32("a fine that takes all") : bytes32("a fine"));
        }
        bool leaves = before.free == 0 && later.free != 0;
        bool asked = act == "requestUnstake" && who == caller;
        require(leaves ? asked || left == 0 : before.free == later.free, "unbonding without a cause");
    }

    function _tookUp(bytes32 act, address who, Holding memory before, Holding memory later, address caller) private {
        require(act == "register" && who == caller, "a role without its holder's word");
        paidIn[who] = before.balance - later.balance;
        require(later.stake == paidIn[who], "a stake is not what was paid in");
        require(later.stake >= leastStakes[later.role - 1], "a stake is below the least");
        require(later.free == 0, "a new role is leaving");
        require(later.offences >= offences[who][later.role], "an offence was forgotten");
        offences[who][later.role] = later.offences;
    }

    function _phasesMoveOnly() private {
        for (uint256 i = 0; i < live.length; i++) {
            (uint256 now_,) = protocol.phase(live[i]);
            require(now_ >= phases[live[i]], "a job went back");
            phases[live[i]] = now_;
        }
    }

    // What the kinds of calls may do

    function _nothingMoved(Change memory change) internal pure {
        require(change.gained + change.paid + change.fines == 0, "money moved without a cause");
        require(change.poolAfter == change.poolBefore, "the lottery changed without a cause");
    }

    function _locked(Change memory change, uint256 amount, uint256 tax) internal pure {
        require(change.paid == amount && change.gained + change.fines == 0, "not the amount named was locked");
        require(change.poolAfter == change.poolBefore + tax, "the tax is not in the lottery");
    }

    /// Money that goes from one person to another, or out of a stake, and leaves the lottery alone.
    function _handed(Change memory change) internal pure {
        require(change.poolAfter == change.poolBefore && change.fines == 0, "the lottery changed without a cause");
    }

    function _created(Change memory change, uint256 job, address requester, uint256 reward) internal {
        (uint256 toTrainers, uint256 toMembers) = _divide(reward);
        _locked(change, reward, reward - toTrainers - toMembers);
        live.push(job);
        requesters[job] = requester;
        rewards[job] = reward;
        escrowed += toTrainers + toMembers;
    }

    function _joined(Change memory change, uint256 job, address trainer, uint256 stake) internal {
        _locked(change, stake, 0);
        trainers[job].push(trainer);
        stakes[job][trainer] = stake;
        staked += stake;
    }

    /// An accusation was upheld: fine or stake to the lottery, then the accuser's share.
    function _condemned(Change memory change, uint256 job, address target, address accuser) internal {
        uint256 taken = stakes[job][target];
        if (taken > 0) {
            require(change.fines == 0, "a trainer was fined");
            stakes[job][target] = 0;
            staked -= taken;
            _count(done, "a stake forfeited by votes");
        } else {
            taken = change.fines;
        }
        uint256 pool = change.poolBefore + taken;
        uint256 half = taken / 2 < pool ? taken / 2 : pool;
        uint256 won = change.gained;
        require(won == 0 || won == (winsHalf ? half : pool), "the accuser won another share");
        require(change.poolAfter == pool - won, "the lottery is not what was left");
        for (uint256 i = 0; i < CROWD; i++) {
            require(change.gains[i] == 0 || people[i] == accuser, "somebody else won");
        }
        if (won > 0) _count(done, "a lottery won");
    }

    /// A job is over: what was locked is paid out, and what nobody took is in the lottery.
    function _ended(Change memory change, uint256 job) internal {
        require(!over[job], "a job ended twice");
        over[job] = true;
        (uint256 toTrainers, uint256 toMembers) = _divide(rewards[job]);
        uint256 locked = 0;
        uint256 toOthers = 0;
        for (uint256 i = 0; i < CROWD; i++) {
            uint256 gain = uint256(change.gains[i]);
            uint256 stake = stakes[job][people[i]];
            if (people[i] == requesters[job]) {
                require(gain <= toTrainers + toMembers, "more came back than was escrowed");
            } else if (_trains(job, people[i])) {
                require(gain <= stake + toTrainers, "a trainer got more than stake and reward");
            } else {
                toOthers += gain;
            }
            locked += stake;
            stakes[job][people[i]] = 0;
        }
        require(toOthers <= toMembers, "the committee got more than its part");
        uint256 released = toTrainers + toMembers + locked;
        require(change.gained <= released, "more was paid than was locked");
        require(
            change.poolAfter == change.poolBefore + change.fines + released - change.gained,
            "what nobody got is not in the lottery"
        );
        escrowed -= toTrainers + toMembers;
        staked -= locked;
        _forget(job);
    }

    function _forget(uint256 job) private {
        for (uint256 i = 0; i < live.length; i++) {
            if (live[i] == job) {
                live[i] = live[live.length - 1];
                live.pop();
                return;
            }
        }
    }

    // Readings

    function report() external view returns (string memory line) {
        line = vm.toString(uint256(trail));
        for (uint256 i = 0; i < acts.length; i++) {
            line = string.concat(
                line,
                "\t",
                _text(acts[i]),
                "\t",
                vm.toString(done[acts[i]]),
                "\t",
                vm.toString(refused[acts[i]])
            );
        }
    }

    function roleStakes() external view returns (uint256 sum) {
        for (uint256 i = 0; i < CROWD; i++) {
            sum += holdings[i].stake;
        }
    }

    function balances() external view returns (uint256 sum) {
        for (uint256 i = 0; i < CROWD; i++) {
            sum += holdings[i].balance;
        }
    }

    function _count(mapping(bytes32 => uint256) storage where, bytes32 act) internal {
        if (done[act] + refused[act] == 0) acts.push(act);
        where[act]++;
    }

    function _trains(uint256 job, address account) internal view returns (bool) {
        for (uint256 i = 0; i < trainers[job].length; i++) {
            if (trainers[job][i] == account) return true;
        }
        return false;
    }

    function _divide(uint256 reward) internal view returns (uint256, uint256) {
        return (reward * trainerRate / 10_000, reward * validatorRate / 10_000);
    }

    function _holding(address account) internal view returns (Holding memory h) {
        (h.balance, h.role, h.stake, h.free, h.offences) = token.holdings(account);
    }

    /// Jobs that ended stay so; the others are under way.
    function endingsLast() external view returns (bool) {
        for (uint256 job = protocol.jobCount(); job > 0; job--) {
            (uint256 now_,) = protocol.phase(job);
            if (over[job] != (now_ >= 7)) return false;
        }
        return true;
    }

    function _text(bytes32 word) private pure returns (string memory) {
        uint256 length = 0;
        while (length < 32 && word[length] != 0) length++;
        bytes memory letters = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            letters[i] = word[i];
        }
        return string(letters);
    }
}
