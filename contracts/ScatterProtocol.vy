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

import events
import jobs
import refusals
import rules
import topics
import verdicts
import words

import EvaluationJobToken
import ModelToken
import ReputationManager
import ScatterToken
import TrainingJobToken
import VoteManager

initializes: jobs

TOKEN: immutable(ScatterToken.__interface__)
TRAINING_JOBS: immutable(TrainingJobToken.__interface__)
EVALUATION_JOBS: immutable(EvaluationJobToken.__interface__)
MODELS: immutable(ModelToken.__interface__)
REPUTATION: immutable(ReputationManager.__interface__)
VOTES: immutable(VoteManager.__interface__)
P: immutable(rules.Parameters)

jobCount: public(uint256)


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
    rules._check(p)


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
    topics._check(topic)
    refusals._require(reward >= P.leastReward and reward >> 96 == 0, refusals.REWARD_OUT_OF_BOUNDS)
    refusals._require(threshold <= rules.WHOLE, refusals.THRESHOLD_OUT_OF_BOUNDS)
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
    jobs.lives[job] = (
        (convert(msg.sender, uint256) << jobs.REQUESTER)
        | jobs.OPEN
        | ((block.timestamp + P.joinWindow) << jobs.DEADLINE)
    )
    jobs.terms[job] = (
        leastStake
        | (trainingTime << 96)
        | (threshold << 136)
        | (modelFloor << 152)
        | (mostTrainers << 168)
    )
    log events.JobCreated(
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
    life: uint256 = jobs._life(job)
    refusals._require(
        msg.sender == convert(life >> jobs.REQUESTER, address), refusals.ONLY_THE_REQUESTER
    )
    refusals._require(life & 255 == jobs.DATASET, refusals.NOT_AWAITING_THE_DATASET)
    refusals._require((life >> jobs.PUBLISHED) & 1 == 0, refusals.ALREADY_PUBLISHED)
    jobs._require_in_time(life)
    refusals._require(dataset != empty(bytes32), refusals.EMPTY_DIGEST)
    life |= 1 << jobs.PUBLISHED
    log events.DatasetPublished(job=job, requester=msg.sender, dataset=dataset)
    extcall EVALUATION_JOBS.publish(job, dataset, salt)
    if (life >> jobs.DRAWN) & 1 == 0:
        life = self._draw(job, life, False)
    self._score_when_ready(job, life)


# What trainers do


@external
def joinJob(job: uint256, stake: uint256):
    """
    @notice Locks a stake on an open job.
    """
    life: uint256 = jobs._life_in(job, jobs.OPEN, refusals.NOT_OPEN)
    terms: uint256 = jobs.terms[job]
    jobs._require_in_time(life)
    refusals._require(
        msg.sender != convert(life >> jobs.REQUESTER, address), refusals.REQUESTER_CANNOT_JOIN
    )
    jobs.lives[job] = life + (1 << jobs.TRAINERS)
    log events.TrainerJoined(job=job, trainer=msg.sender, stake=stake)
    extcall TOKEN.lockStake(
        job,
        (life >> jobs.TRAINERS) & 255,
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
    life: uint256 = jobs._life_in(job, jobs.TRAINING, refusals.NOT_IN_TRAINING)
    jobs._require_in_time(life)
    seat: uint256 = staticcall TOKEN.seatOf(job, msg.sender)
    refusals._require(seat > 0, refusals.NOT_A_TRAINER)
    place: uint256 = (life >> jobs.MODEL_COUNT) & 255
    life += 1 << jobs.MODEL_COUNT
    log events.ModelSubmitted(job=job, trainer=msg.sender, model=model, keyCommitment=keyCommitment)
    extcall MODELS.mint(job, place, msg.sender, seat - 1, model, keyCommitment)
    if place + 1 == ((life >> jobs.TRAINERS) & 255):
        life = self._close(job, life)
    jobs.lives[job] = life


# What committee members do


@external
def commitScores(job: uint256, commitment: bytes32):
    """
    @notice Commits to one score per model: keccak256(abi_encode(job, member, scores, salt)).
    """
    jobs._life(job)
    log events.ScoresCommitted(job=job, member=msg.sender, commitment=commitment)
    extcall VOTES.commitScores(job, msg.sender, commitment)


@external
def refrain(job: uint256):
    """
    @notice Flags the evaluation job as malicious, in place of scores.
    """
    jobs._life(job)
    log events.Refrained(job=job, member=msg.sender)
    extcall VOTES.refrain(job, msg.sender)


@external
def revealScores(job: uint256, member: address, scores: DynArray[uint256, 64], salt: bytes32):
    """
    @notice Opens a member's commitment; anybody may send it.
    @param scores One per model, in the order of submission, in basis points.
    """
    jobs._life(job)
    log events.ScoresRevealed(job=job, member=member, scores=scores)
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
    jobs._life_in(job, jobs.SCORING, refusals.ACCUSATIONS_CLOSED)
    log events.Accused(job=job, accuser=msg.sender, target=target)
    extcall VOTES.accuse(job, msg.sender, target)


@external
def vote(job: uint256, target: address, guilty: bool):
    """
    @notice Votes on an accusation; two thirds of the whole electorate uphold it at once.
    """
    life: uint256 = jobs._life(job)
    log events.Voted(job=job, voter=msg.sender, target=target, guilty=guilty)
    accusation: uint256 = extcall VOTES.vote(
        job, msg.sender, target, guilty, (jobs.terms[job] >> 152) & 65_535
    )
    if accusation == 0:
        return

    accuser: address = convert(accusation >> 96, address)
    part: uint256 = (accusation >> 40) & 255
    winner: address = accuser if (accusation >> 33) & 1 == 1 else empty(address)
    log events.Condemned(job=job, target=target, accuser=accuser)
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
    life: uint256 = jobs._life_in(job, jobs.OPEN, refusals.NOT_OPEN)
    refusals._require((life >> jobs.TRAINERS) & 255 > 0, refusals.NOBODY_JOINED)
    refusals._require(
        msg.sender == convert(life >> jobs.REQUESTER, address) or jobs._is_due(life),
        refusals.ONLY_THE_REQUESTER,
    )
    jobs._move_on(job, life, jobs.TRAINING, (jobs.terms[job] >> 96) & (2**40 - 1))
    log events.TrainingStarted(job=job, actor=msg.sender)


@external
def cancelJob(job: uint256):
    """
    @notice Ends a job that nobody joined; the escrow goes back, the tax stays.
    """
    life: uint256 = jobs._life_in(job, jobs.OPEN, refusals.NOT_OPEN)
    refusals._require((life >> jobs.TRAINERS) & 255 == 0, refusals.SOMEBODY_JOINED)
    jobs._require_due(life)
    jobs._move_on(job, life, jobs.CANCELLED, 0)
    log events.JobCancelled(job=job, actor=msg.sender)
    extcall TOKEN.settle(
        job, convert(life >> jobs.REQUESTER, address), empty(verdicts.Settlement)
    )


@external
def closeTraining(job: uint256):
    """
    @notice Ends the training at its deadline; a job without any model is settled at once.
    """
    life: uint256 = jobs._life_in(job, jobs.TRAINING, refusals.NOT_IN_TRAINING)
    jobs._require_due(life)
    if (life >> jobs.MODEL_COUNT) & 255 == 0:
        self._settle(job, life)
    else:
        jobs.lives[job] = self._close(job, life)


@external
def drawCommittee(job: uint256):
    """
    @notice Draws the committee, or fixes a new seed block when the hash is gone.
    """
    life: uint256 = jobs._life_in(job, jobs.DATASET, refusals.NOT_AWAITING_THE_DATASET)
    refusals._require((life >> jobs.DRAWN) & 1 == 0, refusals.ALREADY_DRAWN)
    jobs._require_in_time(life)
    self._score_when_ready(job, self._draw(job, life, True))


@external
def settle(job: uint256):
    """
    @notice Pays everybody and ends the job.
    """
    life: uint256 = jobs._life(job)
    phase: uint256 = life & 255
    refusals._require(phase < jobs.SETTLED, refusals.ALREADY_OVER)
    deadline: uint256 = (life >> jobs.DEADLINE) & (2**40 - 1)
    if phase == jobs.SCORING:
        phase, deadline = staticcall VOTES.phase(job)
    refusals._require(
        (phase == jobs.DATASET or phase == jobs.CHALLENGE) and block.timestamp >= deadline,
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
    log events.KeyRequested(job=job, trainer=trainer, asker=msg.sender, publicKey=publicKey)


@external
def answerKey(job: uint256, asker: address, sealedKey: Bytes[256]):
    """
    @notice Answers a request with the key, sealed for the asker.
    """
    refusals._require(self._may_ask_key(job, msg.sender, asker), refusals.NOT_ENTITLED)
    log events.KeyAnswered(job=job, trainer=msg.sender, asker=asker, sealedKey=sealedKey)


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
    life: uint256 = jobs.lives[job]
    if life & 255 == jobs.SCORING:
        return staticcall VOTES.phase(job)
    return life & 255, (life >> jobs.DEADLINE) & (2**40 - 1)


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
    return convert(jobs.lives[job] >> jobs.REQUESTER, address)


# The steps that calls share


@internal
def _close(job: uint256, life: uint256) -> uint256:
    """
    @notice Ends the training of a job with models; returns its life.
    """
    seedBlock: uint256 = 0
    electorate: uint256 = 0
    validators: uint256 = 0
    seedBlock, electorate, validators = extcall VOTES.close(
        job, (life >> jobs.MODEL_COUNT) & 255
    )
    log events.TrainingClosed(
        job=job,
        actor=msg.sender,
        seedBlock=seedBlock,
        electorate=electorate,
        eligibleValidators=validators,
    )
    return jobs._moved(life, jobs.DATASET, P.datasetWindow)


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
        log events.SeedRenewed(job=job, actor=msg.sender, seedBlock=seedBlock)
    if drawn[0] == 0:
        return life
    members: DynArray[address, 16] = []
    stakes: DynArray[uint256, 16] = []
    for member: uint256 in drawn:
        if member == 0:
            break
        members.append(words._account(member))
        stakes.append(member >> 160)
    log events.CommitteeDrawn(job=job, actor=msg.sender, members=members, stakes=stakes)
    return life | (1 << jobs.DRAWN)


@internal
def _score_when_ready(job: uint256, life: uint256):
    """
    @notice Keeps the job's life; opens the scoring once dataset and committee are there.
    """
    if (life >> jobs.PUBLISHED) & 3 == 3:
        jobs._move_on(job, life, jobs.SCORING, 0)
        extcall VOTES.open(job)
    else:
        jobs.lives[job] = life


@view
@internal
def _may_ask_key(job: uint256, trainer: address, asker: address) -> bool:
    """
    @notice Members from the draw on, electors during the challenge, and the requester once
            the model was paid as accepted.
    """
    life: uint256 = jobs._life(job)
    seat: uint256 = staticcall TOKEN.seatOf(job, trainer)
    if seat == 0 or (staticcall MODELS.submitted(job) >> (seat - 1)) & 1 == 0:
        return False
    if asker == convert(life >> jobs.REQUESTER, address):
        return (staticcall REPUTATION.marks(job) >> (95 + seat)) & 1 == 1
    return (staticcall VOTES.mayAskKey(job, asker, life & 255 == jobs.SCORING)) == 1


@internal
def _settle(job: uint256, life: uint256):
    terms: uint256 = jobs.terms[job]
    s: verdicts.Settlement = staticcall VOTES.judge(
        job,
        (life >> jobs.TRAINERS) & 255,
        (terms >> 136) & 65_535,
        (terms >> 152) & 65_535,
        (life >> jobs.PUBLISHED) & 1 == 1,
    )
    jobs._move_on(job, life, jobs.SETTLED, 0)
    log events.JobSettled(job=job, actor=msg.sender, verdict=s.verdict)
    extcall REPUTATION.conclude(
        job, s.malicious, s.accepted, s.verdict == verdicts.REQUESTER_MALICIOUS
    )
    extcall TOKEN.settle(job, convert(life >> jobs.REQUESTER, address), s)
