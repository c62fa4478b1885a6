// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// The seven contracts as they are called from outside.

interface Protocol {
    function createJob(
        bytes32 trainingJob,
        bytes32 evaluationJob,
        bytes32 datasetCommitment,
        string calldata topic,
        uint256 reward,
        uint256 threshold,
        uint256 modelFloor,
        uint256 mostTrainers,
        uint256 leastStake,
        uint256 trainingTime
    ) external returns (uint256);
    function publishDataset(uint256 job, bytes32 dataset, bytes32 salt) external;
    function joinJob(uint256 job, uint256 stake) external;
    function submitModel(uint256 job, bytes32 model, bytes32 keyCommitment) external;
    function commitScores(uint256 job, bytes32 commitment) external;
    function refrain(uint256 job) external;
    function revealScores(uint256 job, address member, uint256[] calldata scores, bytes32 salt) external;
    function accuse(uint256 job, address target) external;
    function vote(uint256 job, address target, bool guilty) external;
    function register(uint256 role, uint256 amount) external;
    function requestUnstake() external;
    function withdraw() external;
    function startJob(uint256 job) external;
    function cancelJob(uint256 job) external;
    function closeTraining(uint256 job) external;
    function drawCommittee(uint256 job) external;
    function settle(uint256 job) external;
    function requestKey(uint256 job, address trainer, bytes calldata publicKey) external;
    function answerKey(uint256 job, address asker, bytes calldata sealedKey) external;
    function parameters() external view returns (uint256[26] memory);
    function jobCount() external view returns (uint256);
    function phase(uint256 job) external view returns (uint256 now_, uint256 deadline);
    function isElector(uint256 job, address account) external view returns (bool);
    function mayAskKey(uint256 job, address trainer, address asker) external view returns (bool);
}

/// What `Token.holdings` tells of an account.
struct Holding {
    uint256 balance;
    uint256 role;
    uint256 stake;
    uint256 free;
    uint256 offences;
}

interface Token {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address owner, address to, uint256 amount) external returns (bool);
    function approve(address spender, uint256 amount) external returns (bool);
    function permit(address owner, address spender, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
    function balanceOf(address owner) external view returns (uint256);
    function allowance(address owner, address spender) external view returns (uint256);
    function nonces(address owner) external view returns (uint256);
    function DOMAIN_SEPARATOR() external view returns (bytes32);
    function lottery() external view returns (uint256);
    function holdings(address account)
        external
        view
        returns (uint256 balance, uint256 role, uint256 stake, uint256 free, uint256 offences);
    // The front door's alone
    function register(address account, uint256 role, uint256 amount) external;
    function requestUnstake(address account) external;
    function withdraw(address account) external;
    function escrow(uint256 job, address requester, uint256 reward) external;
    function lockStake(uint256 job, uint256 seat, uint256 seats, address trainer, uint256 stake, uint256 least)
        external;
    function punish(uint256 job, address account, uint256 part, address accuser) external;
}

interface Titles {
    function approve(address approved, uint256 title) external;
    function setApprovalForAll(address operator, bool approved) external;
    function transferFrom(address owner, address to, uint256 title) external;
    function safeTransferFrom(address owner, address to, uint256 title) external;
    function ownerOf(uint256 title) external view returns (address);
}

interface Reputation {
    function standing(uint256 job, address account) external view returns (uint256);
    function condemned(uint256 job, address account) external view returns (bool);
}
