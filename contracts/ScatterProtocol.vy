# pragma version 0.4.3
# pragma optimize codesize
"""
@title ScatterProtocol
@license Apache-2.0
@notice The front door (paper 3.3): every call of a node that changes something
        enters here. Keeps the phases and deadlines of jobs, and tells the other
        six what to do for whom.
@dev Invariant: a job only moves on, OPEN -> TRAINING -> DATASET -> SCORING ->
     SETTLED, or to CANCELLED; every phase has a deadline past which anybody may
     move it on.
     Trusts: the six contracts named at construction, which trust it alone. No
     call leaves the seven, so none can come back in between.
"""

import refusals
import rules
import verdicts
import words

import EvaluationJobToken
import ModelToken
import ReputationManager
import ScatterToken
import TrainingJobToken
import VoteManager

# What happened, one event per transition


event JobCreated:
    job: indexed(uint256)
    requester: indexed(address)
    trainingJob: bytes32
    evaluationJob: bytes32
    datasetCommitment: bytes32
    topic: String[64]
    reward: uint256
    threshold: uint256
    floor: uint256
    mostTrainers: uint256
    leastStake: uint256
    trainingTime: uint256


event TrainerJoined:
    job: indexed(uint256)
    trainer: indexed(address)
    stake: uint256


event TrainingStarted:
    job: indexed(uint256)
    actor: indexed(address)


event JobCancelled:
    job: indexed(uint256)
    actor: indexed(address)


event ModelSubmitted:
    job: indexed(uint256)
    trainer: indexed(address)
    model: bytes32
    keyCommitment: bytes32


event TrainingClosed:
    job: indexed(uint256)
    actor: indexed(address)
    seedBlock: uint256
    electorate: uint256
    eligibleValidators: uint256


event SeedRenewed:
    job: indexed(uint256)
    actor: indexed(address)
    seedBlock: uint256


event CommitteeDrawn:
    job: indexed(uint256)
    actor: indexed(address)
    members: DynArray[address, 16]
    stakes: DynArray[uint256, 16]


event DatasetPublished:
    job: indexed(uint256)
    requester: indexed(address)
    dataset: bytes32


event ScoresCommitted:
    job: indexed(uint256)
    member: indexed(address)
    commitment: bytes32


event Refrained:
    job: indexed(uint256)
    member: indexed(address)


event ScoresRevealed:
    job: indexed(uint256)
    member: indexed(address)
    scores: DynArray[uint256, 64]


event Accused:
    job: indexed(uint256)
    accuser: indexed(address)
    target: indexed(address)


event Voted:
    job: indexed(uint256)
    voter: indexed(address)
    target: indexed(address)
    guilty: bool


event Condemned:
    job: indexed(uint256)
    target: indexed(address)
    accuser: address


event JobSettled:
    job: indexed(uint256)
    actor: indexed(address)
    verdict: uint256


event KeyRequested:
    job: indexed(uint256)
    trainer: indexed(address)
    asker: indexed(address)
    publicKey: Bytes[64]


event KeyAnswered:
    job: indexed(uint256)
    trainer: indexed(address)
    asker: indexed(address)
    sealedKey: Bytes[256]


# Phases as kept here; the VoteManager knows which part of SCORING it is.
OPEN: constant(uint256) = 1
TRAINING: constant(uint256) = 2
DATASET: constant(uint256) = 3
SCORING: constant(uint256) = 4
CHALLENGE: constant(uint256) = 6
SETTLED: constant(uint256) = 7
CANCELLED: constant(uint256) = 8

WHOLE: constant(uint256) = 10_000
# One bit per character that a topic may have: a to z, 0 to 9, hyphen
SLUG: constant(uint256) = ((2**26 - 1) << 97) | ((2**10 - 1) << 48) | (1 << 45)
MOST_SECONDS: constant(uint256) = 10 * 365 * 86_400

# Fields of a job's life
DEADLINE: constant(uint256) = 8
TRAINERS: constant(uint256) = 48
MODEL_COUNT: constant(uint256) = 56
PUBLISHED: constant(uint256) = 64
DRAWN: constant(uint256) = 65
REQUESTER: constant(uint256) = 96

TOKEN: immutable(ScatterToken.__interface__)
TRAINING_JOBS: immutable(TrainingJobToken.__interface__)
EVALUATION_JOBS: immutable(EvaluationJobToken.__interface__)
MODELS: immutable(ModelToken.__interface__)
REPUTATION: immutable(ReputationManager.__interface__)
VOTES: immutable(VoteManager.__interface__)
P: immutable(rules.Parameters)

jobCount: public(uint256)
# Per job: phase 8 | deadline 40 | trainers 8 | models 8 | dataset published 1
# | committee drawn 1 | 30 free | requester 160
lives: HashMap[uint256, uint256]
# Per job: least stake 96 | training time 40 | threshold 16 | floor 16 | most trainers 8
terms: HashMap[uint256, uint256]


@deploy
def __init__(
    token: address,
    trainingJobs: address,
    evaluationJobs: address,
    models: address,
    reputation: address,
    votes: address,
    p: rules.Parameters,
):
    """
    @notice Refuses parameters that section 2 of the protocol refuses, for all seven.
    """
    TOKEN = ScatterToken.__interface__(token)
    TRAINING_JOBS = TrainingJobToken.__interface__(trainingJobs)
    EVALUATION_JOBS = EvaluationJobToken.__interface__(evaluationJobs)
    MODELS = ModelToken.__interface__(models)
    REPUTATION = ReputationManager.__interface__(reputation)
    VOTES = VoteManager.__interface__(votes)
    P = p
    assert p.taxRate + p.trainerRate + p.validatorRate == WHOLE, "parameters: rates"
    assert p.supply > 0 and p.supply >> 128 == 0, "parameters: supply"
    stakes: uint256[4] = [p.validatorStake, p.challengerStake, p.basePenalty, p.leastReward]
    for amount: uint256 in stakes:
        assert amount > 0 and amount >> 96 == 0, "parameters: amounts"
    assert p.penaltyMultiplier > 0 and p.penaltyMultiplier <= 2**16, "parameters: multiplier"
    assert p.committeeProportion <= WHOLE, "parameters: committee"
    assert p.leastCommittee > 0 and p.leastCommittee <= p.mostCommittee, "parameters: committee"
    assert p.mostCommittee <= 16, "parameters: committee"
    assert p.leastElectorate > 1 and p.leastElectorate >> 32 == 0, "parameters: electorate"
    assert p.lotteryShare < 2, "parameters: lottery"
    windows: uint256[10] = [
        p.joinWindow,
        p.leastTraining,
        p.mostTraining,
        p.datasetWindow,
        p.commitWindow,
        p.revealWindow,
        p.challengeWindow,
        p.voteWindow,
        p.validatorUnbonding,
        p.challengerUnbonding,
    ]
    for window: uint256 in windows:
        assert window > 0 and window <= MOST_SECONDS, "parameters: windows"
    assert p.leastTraining <= p.mostTraining, "parameters: windows"
    assert p.challengeWindow >= 2 * p.voteWindow, "parameters: windows"
    checking: uint256 = (
        p.datasetWindow + p.commitWindow + p.revealWindow + p.challengeWindow + p.voteWindow
    )
    assert min(p.validatorUnbonding, p.challengerUnbonding) >= 2 * checking, "parameters: windows"
    assert p.seedDelay > 0 and p.seedDelay <= 128, "parameters: seed delay"


# What the requester does


@external
def createJob(
    trainingJob: bytes32,
    evaluationJob: bytes32,
    datasetCommitment: bytes32,
    topic: String[64],
    reward: uint256,
    threshold: uint256,
    modelFloor: uint256,
    mostTrainers: uint256,
    leastStake: uint256,
    trainingTime: uint256,
) -> uint256:
    """
    @notice Publishes a job; its tax goes to the lottery, the rest of the reward into escrow.
    @param trainingJob The sha2-256 digest of the training job's folder.
    @param evaluationJob The same of the evaluation job's.
    @param datasetCommitment keccak256 of the evaluation dataset's digest and a salt.
    @param topic A lower-case slug.
    @param reward R_p of eq. 2.
    @param threshold The average score from which a model is accepted, in basis points.
    @param modelFloor The average score under which its trainer loses its stake.
    @param trainingTime Seconds from the start.
    @return The job's number.
    """
    refusals._require(
        trainingJob != empty(bytes32)
        and evaluationJob != empty(bytes32)
        and datasetCommitment != empty(bytes32),
        refusals.EMPTY_DIGEST,
    )
    self._check_slug(topic)
    refusals._require(reward >= P.leastReward and reward >> 96 == 0, refusals.REWARD_OUT_OF_BOUNDS)
    refusals._require(threshold <= WHOLE, refusals.THRESHOLD_OUT_OF_BOUNDS)
    refusals._require(
        modelFloor == threshold or (P.floorAllowed and modelFloor < threshold),
        refusals.FLOOR_OUT_OF_BOUNDS,
    )
    refusals._require(mostTrainers > 0 and mostTrainers <= 64, refusals.TRAINERS_OUT_OF_BOUNDS)
    refusals._require(leastStake > 0 and leastStake >> 96 == 0, refusals.LEAST_STAKE_OUT_OF_BOUNDS)
    refusals._require(
        trainingTime >= P.leastTraining and trainingTime <= P.mostTraining,
        refusals.TRAINING_TIME_OUT_OF_BOUNDS,
    )

    job: uint256 = self.jobCount + 1
    self.jobCount = job
    self.lives[job] = (
        (convert(msg.sender, uint256) << REQUESTER)
        | OPEN
        | ((block.timestamp + P.joinWindow) << DEADLINE)
    )
    self.terms[job] = (
        leastStake
        | (trainingTime << 96)
        | (threshold << 136)
        | (modelFloor << 152)
        | (mostTrainers << 168)
    )
    log JobCreated(
        job=job,
        requester=msg.sender,
        trainingJob=trainingJob,
        evaluationJob=evaluationJob,
        datasetCommitment=datasetCommitment,
        topic=topic,
        reward=reward,
        threshold=threshold,
        floor=modelFloor,
        mostTrainers=mostTrainers,
        leastStake=leastStake,
        trainingTime=trainingTime,
    )
    extcall TOKEN.escrow(job, msg.sender, reward)
    extcall TRAINING_JOBS.mint(job, msg.sender, trainingJob)
    extcall EVALUATION_JOBS.mint(job, msg.sender, evaluationJob, datasetCommitment)
    return job


@external
def publishDataset(job: uint256, dataset: bytes32, salt: bytes32):
    """
    @notice Opens the dataset commitment; draws the committee too, if that can be done now.
    """
    life: uint256 = self._life(job)
    refusals._require(
        msg.sender == convert(life >> REQUESTER, address), refusals.ONLY_THE_REQUESTER
    )
    refusals._require(life & 255 == DATASET, refusals.NOT_AWAITING_THE_DATASET)
    refusals._require((life >> PUBLISHED) & 1 == 0, refusals.ALREADY_PUBLISHED)
    self._require_in_time(life)
    refusals._require(dataset != empty(bytes32), refusals.EMPTY_DIGEST)
    life |= 1 << PUBLISHED
    log DatasetPublished(job=job, requester=msg.sender, dataset=dataset)
    extcall EVALUATION_JOBS.publish(job, dataset, salt)
    if (life >> DRAWN) & 1 == 0:
        life = self._draw(job, life, False)
    self._score_when_ready(job, life)


# What trainers do


@external
def joinJob(job: uint256, stake: uint256):
    """
    @notice Locks a stake on an open job.
    """
    life: uint256 = self._life_in(job, OPEN, refusals.NOT_OPEN)
    terms: uint256 = self.terms[job]
    self._require_in_time(life)
    refusals._require(
        msg.sender != convert(life >> REQUESTER, address), refusals.REQUESTER_CANNOT_JOIN
    )
    self.lives[job] = life + (1 << TRAINERS)
    log TrainerJoined(job=job, trainer=msg.sender, stake=stake)
    extcall TOKEN.lockStake(
        job,
        (life >> TRAINERS) & 255,
        (terms >> 168) & 255,
        msg.sender,
        stake,
        (terms & (2**96 - 1)),
    )


@external
def submitModel(job: uint256, model: bytes32, keyCommitment: bytes32):
    """
    @notice Submits a sealed model; the last trainer's ends the training.
    @param model The sha2-256 digest of the sealed model's folder.
    """
    life: uint256 = self._life_in(job, TRAINING, refusals.NOT_IN_TRAINING)
    self._require_in_time(life)
    seat: uint256 = staticcall TOKEN.seatOf(job, msg.sender)
    refusals._require(seat > 0, refusals.NOT_A_TRAINER)
    place: uint256 = (life >> MODEL_COUNT) & 255
    life += 1 << MODEL_COUNT
    log ModelSubmitted(job=job, trainer=msg.sender, model=model, keyCommitment=keyCommitment)
    extcall MODELS.mint(job, place, msg.sender, seat - 1, model, keyCommitment)
    if place + 1 == ((life >> TRAINERS) & 255):
        life = self._close(job, life)
    self.lives[job] = life


# What committee members do


@external
def commitScores(job: uint256, commitment: bytes32):
    """
    @notice Commits to one score per model: keccak256(abi_encode(job, member, scores, salt)).
    """
    self._life(job)
    log ScoresCommitted(job=job, member=msg.sender, commitment=commitment)
    extcall VOTES.commitScores(job, msg.sender, commitment)


@external
def refrain(job: uint256):
    """
    @notice Flags the evaluation job as malicious, in place of scores.
    """
    self._life(job)
    log Refrained(job=job, member=msg.sender)
    extcall VOTES.refrain(job, msg.sender)


@external
def revealScores(job: uint256, member: address, scores: DynArray[uint256, 64], salt: bytes32):
    """
    @notice Opens a member's commitment; anybody may send it.
    @param scores One per model, in the order of submission, in basis points.
    """
    self._life(job)
    log ScoresRevealed(job=job, member=member, scores=scores)
    highest: uint256 = 0
    packed: uint256[4] = empty(uint256[4])
    count: uint256 = 0
    for score: uint256 in scores:
        highest = max(highest, score)
        packed[count >> 4] |= score << ((count & 15) << 4)
        count = unsafe_add(count, 1)
    extcall VOTES.revealScores(
        job, member, count, highest, packed, keccak256(abi_encode(job, member, scores, salt))
    )


# What challengers do


@external
def accuse(job: uint256, target: address):
    """
    @notice Accuses a trainer with a model, a member that acted, or a challenger that spoke.
    """
    self._life_in(job, SCORING, refusals.ACCUSATIONS_CLOSED)
    log Accused(job=job, accuser=msg.sender, target=target)
    extcall VOTES.accuse(job, msg.sender, target)


@external
def vote(job: uint256, target: address, guilty: bool):
    """
    @notice Votes on an accusation; two thirds of the whole electorate uphold it at once.
    """
    life: uint256 = self._life(job)
    log Voted(job=job, voter=msg.sender, target=target, guilty=guilty)
    accusation: uint256 = extcall VOTES.vote(
        job, msg.sender, target, guilty, (self.terms[job] >> 152) & 65_535
    )
    if accusation == 0:
        return

    accuser: address = convert(accusation >> 96, address)
    part: uint256 = (accusation >> 40) & 255
    winner: address = accuser if (accusation >> 33) & 1 == 1 else empty(address)
    log Condemned(job=job, target=target, accuser=accuser)
    extcall REPUTATION.condemn(job, target, part)
    extcall TOKEN.punish(job, target, part, winner)


# What validators and challengers do for their role


@external
def register(role: uint256, amount: uint256):
    """
    @notice Takes up a role, 1 validator or 2 challenger, with a stake fixed for its life.
    """
    extcall TOKEN.register(msg.sender, role, amount)


@external
def requestUnstake():
    """
    @notice Gives the role up; the stake is free after unbonding.
    """
    extcall TOKEN.requestUnstake(msg.sender)


@external
def withdraw():
    """
    @notice Takes back what is left of the stake.
    """
    extcall TOKEN.withdraw(msg.sender)


# What anybody does, to move a job on


@external
def startJob(job: uint256):
    """
    @notice Begins the training: the requester at any time, anybody from the join deadline on.
    """
    life: uint256 = self._life_in(job, OPEN, refusals.NOT_OPEN)
    refusals._require((life >> TRAINERS) & 255 > 0, refusals.NOBODY_JOINED)
    refusals._require(
        msg.sender == convert(life >> REQUESTER, address) or self._is_due(life),
        refusals.ONLY_THE_REQUESTER,
    )
    self._move_on(job, life, TRAINING, (self.terms[job] >> 96) & (2**40 - 1))
    log TrainingStarted(job=job, actor=msg.sender)


@external
def cancelJob(job: uint256):
    """
    @notice Ends a job that nobody joined; the escrow goes back, the tax stays.
    """
    life: uint256 = self._life_in(job, OPEN, refusals.NOT_OPEN)
    refusals._require((life >> TRAINERS) & 255 == 0, refusals.SOMEBODY_JOINED)
    self._require_due(life)
    self._move_on(job, life, CANCELLED, 0)
    log JobCancelled(job=job, actor=msg.sender)
    extcall TOKEN.settle(
        job, convert(life >> REQUESTER, address), empty(verdicts.Settlement)
    )


@external
def closeTraining(job: uint256):
    """
    @notice Ends the training at its deadline; a job without any model is settled at once.
    """
    life: uint256 = self._life_in(job, TRAINING, refusals.NOT_IN_TRAINING)
    self._require_due(life)
    if (life >> MODEL_COUNT) & 255 == 0:
        self._settle(job, life)
    else:
        self.lives[job] = self._close(job, life)


@external
def drawCommittee(job: uint256):
    """
    @notice Draws the committee, or fixes a new seed block when the hash is gone.
    """
    life: uint256 = self._life_in(job, DATASET, refusals.NOT_AWAITING_THE_DATASET)
    refusals._require((life >> DRAWN) & 1 == 0, refusals.ALREADY_DRAWN)
    self._require_in_time(life)
    self._score_when_ready(job, self._draw(job, life, True))


@external
def settle(job: uint256):
    """
    @notice Pays everybody and ends the job.
    """
    life: uint256 = self._life(job)
    phase: uint256 = life & 255
    refusals._require(phase < SETTLED, refusals.ALREADY_OVER)
    deadline: uint256 = (life >> DEADLINE) & (2**40 - 1)
    if phase == SCORING:
        phase, deadline = staticcall VOTES.phase(job)
    refusals._require(
        (phase == DATASET or phase == CHALLENGE) and block.timestamp >= deadline,
        refusals.TOO_EARLY,
    )
    self._settle(job, life)


# Keys, for the case that a trainer does not answer in private


@external
def requestKey(job: uint256, trainer: address, publicKey: Bytes[64]):
    """
    @notice Asks a trainer for its model's key, sealed for this public key.
    """
    refusals._require(self._may_ask_key(job, trainer, msg.sender), refusals.NOT_ENTITLED)
    refusals._require(len(publicKey) >= 33, refusals.KEY_OF_WRONG_LENGTH)
    log KeyRequested(job=job, trainer=trainer, asker=msg.sender, publicKey=publicKey)


@external
def answerKey(job: uint256, asker: address, sealedKey: Bytes[256]):
    """
    @notice Answers a request with the key, sealed for the asker.
    """
    refusals._require(self._may_ask_key(job, msg.sender, asker), refusals.NOT_ENTITLED)
    log KeyAnswered(job=job, trainer=msg.sender, asker=asker, sealedKey=sealedKey)


# What anybody reads


@view
@external
def parameters() -> rules.Parameters:
    return P


@view
@external
def phase(job: uint256) -> (uint256, uint256):
    """
    @notice The phase now, and its deadline: from then on, anybody may move the job on.
            0 when the job does not exist; no deadline when it is over.
    """
    life: uint256 = self.lives[job]
    if life & 255 == SCORING:
        return staticcall VOTES.phase(job)
    return life & 255, (life >> DEADLINE) & (2**40 - 1)


@view
@external
def isElector(job: uint256, account: address) -> bool:
    """
    @notice Whether an account may accuse and vote in a job, while accusations are open.
    """
    return (staticcall VOTES.isElector(job, account)) == 1


@view
@external
def mayAskKey(job: uint256, trainer: address, asker: address) -> bool:
    """
    @notice Whether a trainer owes somebody its model's key now.
    """
    return self._may_ask_key(job, trainer, asker)


@view
@external
def requesterOf(job: uint256) -> address:
    return convert(self.lives[job] >> REQUESTER, address)


# The steps that calls share


@view
@internal
def _life(job: uint256) -> uint256:
    life: uint256 = self.lives[job]
    refusals._require(life != 0, refusals.NO_SUCH_JOB)
    return life


@view
@internal
def _life_in(job: uint256, phase: uint256, reason: uint256) -> uint256:
    """
    @notice The life of a job that is in a phase; refuses, with the reason, in any other.
    """
    life: uint256 = self._life(job)
    refusals._require(life & 255 == phase, reason)
    return life


@view
@internal
def _require_due(life: uint256):
    refusals._require(self._is_due(life), refusals.TOO_EARLY)


@view
@internal
def _require_in_time(life: uint256):
    refusals._require(not self._is_due(life), refusals.TOO_LATE)


@view
@internal
def _is_due(life: uint256) -> bool:
    """
    @notice Whether the deadline of the phase has passed; it is the first second after.
    """
    return block.timestamp >= (life >> DEADLINE) & (2**40 - 1)


@pure
@internal
def _check_slug(topic: String[64]):
    """
    @notice Lower-case letters, digits and hyphens.
    """
    text: Bytes[128] = abi_encode(topic)  # two words, then the letters, 32 to a word
    length: uint256 = len(topic)
    valid: bool = length > 0
    chunk: uint256 = 0
    for i: uint256 in range(length, bound=64):
        if i & 31 == 0:
            chunk = extract32(text, 64 + i, output_type=uint256)
        valid = valid and (SLUG >> (chunk >> 248)) & 1 == 1
        chunk <<= 8
    refusals._require(valid, refusals.TOPIC_NOT_A_SLUG)


@internal
def _move_on(job: uint256, life: uint256, phase: uint256, window: uint256):
    """
    @notice Enters a phase that lasts `window` seconds; 0 if it has no end.
    """
    self.lives[job] = self._moved(life, phase, window)


@view
@internal
def _moved(life: uint256, phase: uint256, window: uint256) -> uint256:
    deadline: uint256 = block.timestamp + window if window > 0 else 0
    return ((life >> TRAINERS) << TRAINERS) | phase | (deadline << DEADLINE)


@internal
def _close(job: uint256, life: uint256) -> uint256:
    """
    @notice Ends the training of a job with models; returns its life.
    """
    seedBlock: uint256 = 0
    electorate: uint256 = 0
    validators: uint256 = 0
    seedBlock, electorate, validators = extcall VOTES.close(
        job, (life >> MODEL_COUNT) & 255
    )
    log TrainingClosed(
        job=job,
        actor=msg.sender,
        seedBlock=seedBlock,
        electorate=electorate,
        eligibleValidators=validators,
    )
    return self._moved(life, DATASET, P.datasetWindow)


@internal
def _draw(job: uint256, life: uint256, insisting: bool) -> uint256:
    """
    @notice Draws, or renews the seed block; returns the job's life.
    @param insisting Whether to refuse, or renew, when the draw cannot be made now.
    """
    drawn: uint256[16] = empty(uint256[16])
    seedBlock: uint256 = 0
    drawn, seedBlock = extcall VOTES.draw(job, insisting)
    if seedBlock > 0:
        log SeedRenewed(job=job, actor=msg.sender, seedBlock=seedBlock)
    if drawn[0] == 0:
        return life
    members: DynArray[address, 16] = []
    stakes: DynArray[uint256, 16] = []
    for member: uint256 in drawn:
        if member == 0:
            break
        members.append(words._account(member))
        stakes.append(member >> 160)
    log CommitteeDrawn(job=job, actor=msg.sender, members=members, stakes=stakes)
    return life | (1 << DRAWN)


@internal
def _score_when_ready(job: uint256, life: uint256):
    """
    @notice Keeps the job's life; opens the scoring once dataset and committee are there.
    """
    if (life >> PUBLISHED) & 3 == 3:
        self._move_on(job, life, SCORING, 0)
        extcall VOTES.open(job)
    else:
        self.lives[job] = life


@view
@internal
def _may_ask_key(job: uint256, trainer: address, asker: address) -> bool:
    """
    @notice Members from the draw on, electors during the challenge, and the requester once
            the model was paid as accepted.
    """
    life: uint256 = self._life(job)
    seat: uint256 = staticcall TOKEN.seatOf(job, trainer)
    if seat == 0 or (staticcall MODELS.submitted(job) >> (seat - 1)) & 1 == 0:
        return False
    if asker == convert(life >> REQUESTER, address):
        return (staticcall REPUTATION.marks(job) >> (95 + seat)) & 1 == 1
    return (staticcall VOTES.mayAskKey(job, asker, life & 255 == SCORING)) == 1


@internal
def _settle(job: uint256, life: uint256):
    terms: uint256 = self.terms[job]
    s: verdicts.Settlement = staticcall VOTES.judge(
        job,
        (life >> TRAINERS) & 255,
        (terms >> 136) & 65_535,
        (terms >> 152) & 65_535,
        (life >> PUBLISHED) & 1 == 1,
    )
    self._move_on(job, life, SETTLED, 0)
    log JobSettled(job=job, actor=msg.sender, verdict=s.verdict)
    extcall REPUTATION.conclude(
        job, s.malicious, s.accepted, s.verdict == verdicts.REQUESTER_MALICIOUS
    )
    extcall TOKEN.settle(job, convert(life >> REQUESTER, address), s)
