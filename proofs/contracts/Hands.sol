// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INNER_CALLS} from "../build/Compiled.sol";
import {Cheats, vm} from "./Cheats.sol";
import {Choices} from "./Choices.sol";
import {Protocol, Titles, Token} from "./Scatter.sol";
import {CHALLENGER, CROWD, VALIDATOR, World} from "./World.sol";

uint256 constant MOST_LIVE = 3;
bytes32 constant SALT = "salt";

/// One function for each call of the contracts. The fuzzer gives a number, from which a hand draws all it does:
/// mostly what makes sense now, every eighth time anything. Each hand makes exactly one call.
contract Hands is Choices {
    mapping(uint256 job => uint256) private models;
    mapping(uint256 job => uint256) private leastOf;
    mapping(uint256 job => mapping(address target => address)) private accusers;
    Accusation[] private upheld;

    constructor(bytes[7] memory arguments) World(arguments) {}

    /// What some job waits for.
    function work(uint256 seed) external drawn(seed) {
        uint256 phase = 0;
        if (live.length == MOST_LIVE || (live.length > 0 && _below(8) > 0)) {
            (phase,) = protocol.phase(live[_below(live.length)]);
        }
        uint256 choice = _below(6);
        seed = _any();
        if (phase == 0) createJob(seed);
        else if (phase == 1) choice < 5 ? joinJob(seed) : startJob(seed);
        else if (phase == 2) submitModel(seed);
        else if (phase == 3) choice < 3 ? publishDataset(seed) : drawCommittee(seed);
        else if (phase == 4) choice < 5 ? commitScores(seed) : refrain(seed);
        else if (phase == 5) revealScores(seed);
        else if (choice < 2) accuse(seed);
        else choice < 5 ? vote(seed) : settle(seed);
    }

    // Requesters

    function createJob(uint256 seed) public drawn(seed) {
        uint256 wrong = astray || live.length >= MOST_LIVE ? 1 + _below(6) : 0;
        address caller = _with(0);
        uint256 reward = wrong == 1 ? leastReward - 1 : leastReward + _below(1_000 ether);
        uint256 threshold = wrong == 2 ? 10_001 : _below(3) * 4_000;
        uint256 least = wrong == 3 ? 0 : 1 + _below(100 ether);
        bytes memory data = abi.encodeCall(
            Protocol.createJob,
            (
                bytes32(_any()),
                bytes32(_any()),
                wrong == 4 ? bytes32(0) : keccak256(abi.encode(_dataset(protocol.jobCount() + 1), SALT)),
                wrong == 5 ? "Digits" : "digits",
                reward,
                threshold,
                threshold,
                wrong == 6 ? 65 : 1 + _below(4),
                least,
                1 hours + _below(10 days)
            )
        );
        Change memory change = _send("createJob", caller, caller, address(protocol), data);
        if (!change.allowed) return;
        uint256 job = protocol.jobCount();
        leastOf[job] = least;
        _created(change, job, caller, reward);
    }

    function publishDataset(uint256 seed) public drawn(seed) {
        uint256 job = _job(3);
        bytes32 dataset = astray ? bytes32(_any()) : _dataset(job);
        _quietly("publishDataset", _or(requesters[job]), abi.encodeCall(Protocol.publishDataset, (job, dataset, SALT)));
    }

    // Trainers

    function joinJob(uint256 seed) public drawn(seed) {
        uint256 job = _job(1);
        address caller = _with(0);
        uint256 stake = astray ? _amount() : leastOf[job] + _below(1_000 ether);
        bytes memory data = abi.encodeCall(Protocol.joinJob, (job, stake));
        Change memory change = _send("joinJob", caller, caller, address(protocol), data);
        if (change.allowed) _joined(change, job, caller, stake);
    }

    function submitModel(uint256 seed) public drawn(seed) {
        uint256 job = _job(2);
        bytes memory data = abi.encodeCall(Protocol.submitModel, (job, bytes32(_any()), bytes32(_any())));
        if (_quietly("submitModel", _trainer(job), data)) models[job]++;
    }

    // Members

    function commitScores(uint256 seed) public drawn(seed) {
        uint256 job = _job(4);
        address member = _with(VALIDATOR);
        uint256 slip = _any();
        bytes32 commitment = keccak256(abi.encode(job, member, _scores(slip, models[job]), SALT));
        if (_quietly("commitScores", member, abi.encodeCall(Protocol.commitScores, (job, commitment)))) {
            slips[job][member] = slip;
        }
    }

    function refrain(uint256 seed) public drawn(seed) {
        uint256 job = _job(4);
        _quietly("refrain", _with(VALIDATOR), abi.encodeCall(Protocol.refrain, (job)));
    }

    function revealScores(uint256 seed) public drawn(seed) {
        uint256 job = _job(5);
        address member = _committed(job);
        uint256[] memory scores = _scores(slips[job][member], models[job] + (astray ? 1 : 0));
        bytes memory data = abi.encodeCall(Protocol.revealScores, (job, member, scores, SALT));
        _quietly("revealScores", _someone(), data);
    }

    // Challengers

    function accuse(uint256 seed) public drawn(seed) {
        uint256 job = _job(6);
        address target = _below(2) == 0 ? _trainer(job) : _with(1 + _below(2));
        address accuser = _with(CHALLENGER);
        if (_quietly("accuse", accuser, abi.encodeCall(Protocol.accuse, (job, target)))) {
            accusations.push(Accusation(job, target));
            accusers[job][target] = accuser;
        }
    }

    function vote(uint256 seed) public drawn(seed) {
        Accusation memory a = _accusation();
        bytes memory data = abi.encodeCall(Protocol.vote, (a.job, a.target, _below(4) > 0));
        bool before = reputation.condemned(a.job, a.target);
        Change memory change = _send("vote", _with(CHALLENGER), address(0), address(protocol), data);
        if (!change.allowed) return;
        if (before || !reputation.condemned(a.job, a.target)) return _nothingMoved(change);
        upheld.push(a);
        _condemned(change, a.job, a.target, accusers[a.job][a.target]);
    }

    // Roles

    function register(uint256 seed) public drawn(seed) {
        address caller = _with(0);
        uint256 role = astray ? _below(4) : 1 + _below(2);
        uint256 amount = astray ? _amount() : leastStakes[role - 1] + _below(10_000 ether);
        bytes memory data = abi.encodeCall(Protocol.register, (role, amount));
        Change memory change = _send("register", caller, caller, address(protocol), data);
        if (change.allowed) _locked(change, amount, 0);
    }

    function requestUnstake(uint256 seed) public drawn(seed) {
        // Seldom by those who have a role, or nobody would be left.
        address caller = astray ? _someone() : _with(0);
        _quietly("requestUnstake", caller, abi.encodeCall(Protocol.requestUnstake, ()));
    }

    function withdraw(uint256 seed) public drawn(seed) {
        bytes memory data = abi.encodeCall(Protocol.withdraw, ());
        Change memory change = _send("withdraw", _leaving(), address(0), address(protocol), data);
        if (change.allowed) _handed(change);
    }

    // Anybody moves a job on

    function startJob(uint256 seed) public drawn(seed) {
        uint256 job = _job(1);
        _quietly("startJob", _or(requesters[job]), abi.encodeCall(Protocol.startJob, (job)));
    }

    function drawCommittee(uint256 seed) public drawn(seed) {
        _quietly("drawCommittee", _someone(), abi.encodeCall(Protocol.drawCommittee, (_job(3))));
    }

    function closeTraining(uint256 seed) public drawn(seed) {
        uint256 job = _job(2);
        _endingPerhaps("closeTraining", job, abi.encodeCall(Protocol.closeTraining, (job)));
    }

    function cancelJob(uint256 seed) public drawn(seed) {
        uint256 job = _job(1);
        _endingPerhaps("cancelJob", job, abi.encodeCall(Protocol.cancelJob, (job)));
    }

    function settle(uint256 seed) public drawn(seed) {
        uint256 job = _job(_below(4) == 0 ? 3 : 6);
        _endingPerhaps("settle", job, abi.encodeCall(Protocol.settle, (job)));
    }

    // Keys

    function requestKey(uint256 seed) public drawn(seed) {
        uint256 job = _job(4 + _below(4));
        bytes memory key = new bytes(astray ? 32 : 33 + _below(32));
        bytes memory data = abi.encodeCall(Protocol.requestKey, (job, _trainer(job), key));
        _quietly("requestKey", _below(3) == 0 ? _or(requesters[job]) : _with(1 + _below(2)), data);
    }

    function answerKey(uint256 seed) public drawn(seed) {
        uint256 job = _job(4 + _below(4));
        address asker = _below(3) == 0 ? _or(requesters[job]) : _with(1 + _below(2));
        _quietly("answerKey", _trainer(job), abi.encodeCall(Protocol.answerKey, (job, asker, new bytes(80))));
    }

    // Tokens and titles

    function transfer(uint256 seed) public drawn(seed) {
        address from = _someone();
        uint256 wrong = _below(8);
        address to = wrong == 0 ? address(0) : wrong == 1 ? address(token) : _someone();
        _hand("Scatter.transfer", from, from, abi.encodeCall(Token.transfer, (to, _little(from))));
    }

    function transferFrom(uint256 seed) public drawn(seed) {
        (address owner, address spender) = _spender();
        (uint256 amount, uint256 allowed) = (_little(owner), token.allowance(owner, spender));
        bytes memory data = abi.encodeCall(Token.transferFrom, (owner, _someone(), amount));
        if (!_hand("Scatter.transferFrom", spender, owner, data)) return;
        require(allowed >= amount, "more was spent than was allowed");
        uint256 left = allowed == type(uint256).max ? allowed : allowed - amount;
        require(token.allowance(owner, spender) == left, "an allowance was not used up");
    }

    function approve(uint256 seed) public drawn(seed) {
        bytes memory data = abi.encodeCall(Token.approve, (_someone(), _below(3) == 0 ? type(uint256).max : _amount()));
        Change memory change = _send("Scatter.approve", _someone(), address(0), address(token), data);
        if (change.allowed) _nothingMoved(change);
    }

    function permit(uint256 seed) public drawn(seed) {
        uint256 owner = _below(CROWD);
        address spender = _someone();
        uint256 until = vm.getBlockTimestamp() + _below(3);
        uint256 nonce = token.nonces(people[owner]) + (astray ? 1 : 0);
        bytes32 kind =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 message = keccak256(abi.encode(kind, people[owner], spender, 1 ether, nonce, until));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(_key(owner), keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), message)));
        bytes memory data = abi.encodeCall(Token.permit, (people[owner], spender, 1 ether, until, v, r, s));
        Change memory change = _send("Scatter.permit", _someone(), address(0), address(token), data);
        if (change.allowed) _nothingMoved(change);
    }

    function sellTitle(uint256 seed) public drawn(seed) {
        uint256 kind = _below(3);
        uint256 title = kind == 2 ? 64 * _job(7) + _below(2) : _job(7);
        address owner = _someone();
        try titles[kind].ownerOf(title) returns (address found) {
            owner = _or(found);
        } catch {}
        (bytes32 act, bytes memory data) = _deed(kind, owner, title);
        Change memory change = _send(act, _below(4) == 0 ? _someone() : owner, address(0), address(titles[kind]), data);
        if (change.allowed) _nothingMoved(change);
    }

    /// Calls one of the six past their front door.
    function trespass(uint256 seed) public drawn(seed) {
        uint256 start = 6 * _below(INNER_CALLS.length / 6);
        bytes memory data = abi.encodePacked(INNER_CALLS[start + 1], INNER_CALLS[start + 2], INNER_CALLS[start + 3], INNER_CALLS[start + 4]);
        for (uint256 i = uint8(INNER_CALLS[start + 5]); i > 0; i--) {
            data = abi.encodePacked(data, _below(2));
        }
        Change memory change = _send("trespass", _someone(), address(0), seven[uint8(INNER_CALLS[start])], data);
        bytes memory refusal = abi.encodeWithSignature("Error(string)", "protocol: only by its front door");
        require(change.reason == keccak256(refusal), "somebody came in past the front door");
    }

    /// Who was condemned in a job stays so.
    function nobodyIsCleared() external view returns (bool) {
        for (uint256 i = 0; i < upheld.length; i++) {
            if (!reputation.condemned(upheld[i].job, upheld[i].target)) return false;
            if (reputation.standing(upheld[i].job, upheld[i].target) != 2) return false;
        }
        return true;
    }

    /// Every hand, and as many times what some job waits for.
    function selectors() external pure returns (bytes4[] memory found) {
        bytes4[25] memory hands = [
            this.createJob.selector,
            this.publishDataset.selector,
            this.joinJob.selector,
            this.submitModel.selector,
            this.commitScores.selector,
            this.refrain.selector,
            this.revealScores.selector,
            this.accuse.selector,
            this.vote.selector,
            this.register.selector,
            this.requestUnstake.selector,
            this.withdraw.selector,
            this.startJob.selector,
            this.drawCommittee.selector,
            this.closeTraining.selector,
            this.cancelJob.selector,
            this.settle.selector,
            this.requestKey.selector,
            this.answerKey.selector,
            this.transfer.selector,
            this.transferFrom.selector,
            this.approve.selector,
            this.permit.selector,
            this.sellTitle.selector,
            this.trespass.selector
        ];
        found = new bytes4[](2 * hands.length);
        for (uint256 i = 0; i < hands.length; i++) {
            found[2 * i] = hands[i];
            found[2 * i + 1] = this.work.selector;
        }
    }

    // What hands share

    function _quietly(bytes32 act, address caller, bytes memory data) private returns (bool) {
        Change memory change = _send(act, caller, address(0), address(protocol), data);
        if (change.allowed) _nothingMoved(change);
        return change.allowed;
    }

    function _hand(bytes32 act, address caller, address payer, bytes memory data) private returns (bool) {
        Change memory change = _send(act, caller, payer, address(token), data);
        if (!change.allowed) return false;
        _handed(change);
        require(change.gained == change.paid, "what one gave the other did not get");
        return true;
    }

    function _endingPerhaps(bytes32 act, uint256 job, bytes memory data) private {
        vm.recordLogs();
        Change memory change = _send(act, _someone(), address(0), address(protocol), data);
        uint256 verdict = _verdict();
        if (!change.allowed) return;
        if (act == "closeTraining" && verdict == 0) return _nothingMoved(change);
        _ended(change, job);
        _count(done, bytes32(abi.encodePacked("verdict ", bytes1(uint8(48 + verdict)))));
    }

    function _verdict() private returns (uint256) {
        bytes32 settled = keccak256("JobSettled(uint256,address,uint256)");
        Cheats.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == settled) return abi.decode(logs[i].data, (uint256));
        }
        return 0;
    }

    function _deed(uint256 kind, address owner, uint256 title) private returns (bytes32 act, bytes memory data) {
        uint256 deed = _below(4);
        if (deed == 0) {
            data = abi.encodeCall(Titles.approve, (_someone(), title));
        } else if (deed == 1) {
            data = abi.encodeCall(Titles.setApprovalForAll, (_someone(), _below(2) == 0));
        } else if (deed == 2) {
            data = abi.encodeCall(Titles.transferFrom, (owner, _someone(), title));
        } else {
            data = abi.encodeCall(Titles.safeTransferFrom, (owner, _someone(), title));
        }
        string[3] memory names = ["TrainingJob", "EvaluationJob", "Model"];
        string[4] memory deeds = ["approve", "setApprovalForAll", "transferFrom", "safeTransferFrom"];
        act = bytes32(bytes(string.concat(names[kind], ".", deeds[deed])));
    }
}
