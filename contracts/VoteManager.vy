# pragma version 0.4.3
# pragma optimize codesize
"""
@title VoteManager
@license Apache-2.0
@notice The committee and the electorate of each job (paper 3.4): the draw, the
        windows of scoring, commitments and reveals, refrains, averages,
        accusations and votes.
@dev Invariant: a member commits or refrains once, and reveals once, what it
     committed to; an elector votes once per accusation; there is one accusation
     per job and target.
     Trusts: the ScatterProtocol named at construction, which alone acts; asks
     ScatterToken who holds which role, ModelToken who submitted, and
     ReputationManager who is condemned.
"""

import committees
import front_door
import refusals
import rules
import verdicts
import words

initializes: front_door
initializes: committees[front_door := front_door]

exports: (
    committees.close,
    committees.draw,
    committees.open,
    committees.commitScores,
    committees.refrain,
    committees.revealScores,
    committees.phase,
)

# What is read as a number although it is a bool is 0 or 1: all answer by the same rules.


interface Stakes:
    def seatOf(job: uint256, account: address) -> uint256: view
    def isElector(account: address, closing: uint256) -> uint256: view


interface Models:
    def submitted(job: uint256) -> uint256: view
    def seats(job: uint256, models: uint256) -> uint256[64]: view


interface Reputation:
    def condemned(job: uint256, account: address) -> uint256: view
    def marks(job: uint256) -> uint256: view


CHALLENGER: constant(uint256) = 255  # no seat and no member's place

TOKEN: immutable(Stakes)
MODELS: immutable(Models)
REPUTATION: immutable(Reputation)
LEAST_ELECTORATE: immutable(uint256)

# Per job and target: votes for 32 | upheld 1 | accuser wins 1 | 6 free | part 8: a trainer's
# seat, 64 plus a member's place, or CHALLENGER | 48 free | accuser 160
accusations: HashMap[uint256, HashMap[address, uint256]]
outspoken: HashMap[uint256, HashMap[address, bool]]  # per job: accused or voted
votes: HashMap[uint256, HashMap[address, HashMap[address, bool]]]  # per job and target: has voted


@deploy
def __init__(
    protocol: address,
    token: address,
    models: address,
    reputation: address,
    p: rules.Parameters,
):
    """
    @param protocol The front door, at an address known beforehand.
    @param p Checked by the front door's constructor.
    """
    front_door.__init__(protocol)
    committees.__init__(token, p)
    TOKEN = Stakes(token)
    MODELS = Models(models)
    REPUTATION = Reputation(reputation)
    LEAST_ELECTORATE = p.leastElectorate


# What the protocol does


@external
def accuse(job: uint256, accuser: address, target: address):
    """
    @notice Records an accusation, and the accuser's own vote for it.
    """
    front_door._only()
    session: uint256 = committees.sessions[job]
    part: uint256 = self._part(job, session, target)
    start: uint256 = committees._reveal_end(session)
    deadline: uint256 = start + committees.CHALLENGE_WINDOW
    if part == CHALLENGER:
        deadline += committees.VOTE_WINDOW
    refusals._require(
        start <= block.timestamp and block.timestamp < deadline, refusals.ACCUSATIONS_CLOSED
    )
    electorate: uint256 = committees._electorate(job)
    refusals._require(electorate >= LEAST_ELECTORATE, refusals.ELECTORATE_TOO_SMALL)
    refusals._require(self._is_elector(job, accuser), refusals.NOT_AN_ELECTOR)
    refusals._require(accuser != target, refusals.ACCUSING_ONESELF)
    refusals._require(self.accusations[job][target] == 0, refusals.ALREADY_ACCUSED)
    if part < 64:
        submitted: uint256 = staticcall MODELS.submitted(job)
        refusals._require((submitted >> part) & 1 == 1, refusals.NOT_ACCUSABLE)
    elif part == CHALLENGER:
        refusals._require(self.outspoken[job][target], refusals.NOT_ACCUSABLE)
        session |= 2
    else:
        refusals._require(
            (committees._acted(session) >> (part - 64)) & 1 == 1, refusals.ALREADY_CONDEMNED
        )

    self.accusations[job][target] = (convert(accuser, uint256) << 96) | (part << 40) | 1
    self.votes[job][target][accuser] = True
    self.outspoken[job][accuser] = True
    committees.sessions[job] = session | 1


@external
def vote(
    job: uint256, voter: address, target: address, guilty: bool, lowest: uint256
) -> uint256:
    """
    @notice Counts a vote.
    @param lowest The job's floor.
    @return The accusation, if this vote upholds it; else 0.
    """
    front_door._only()
    accusation: uint256 = self.accusations[job][target]
    refusals._require(accusation != 0, refusals.NO_ACCUSATION)
    part: uint256 = (accusation >> 40) & 255
    deadline: uint256 = committees._reveal_end(committees.sessions[job]) + committees.CHALLENGE_WINDOW + committees.VOTE_WINDOW
    if part == CHALLENGER:
        deadline += committees.VOTE_WINDOW
    refusals._require(
        (accusation >> 32) & 1 == 0 and block.timestamp < deadline,
        refusals.VOTE_CLOSED,
    )
    refusals._require(self._is_elector(job, voter), refusals.NOT_AN_ELECTOR)
    refusals._require(voter != target, refusals.TARGET_CANNOT_VOTE)
    refusals._require(not self.votes[job][target][voter], refusals.ALREADY_VOTED)

    self.votes[job][target][voter] = True
    self.outspoken[job][voter] = True
    if not guilty:
        return 0
    accusation += 1
    votes: uint256 = accusation & (2**32 - 1)
    upheld: bool = votes >= self._two_thirds(committees._electorate(job))
    if upheld:
        accusation |= 1 << 32
        # A trainer who fails by its scores would have lost its stake without the accuser.
        s: verdicts.Settlement = self._judge(job, 0, 0, lowest, True)
        fails: bool = (s.malicious >> part) & 1 == 1
        if not fails and not self._is_condemned(job, convert(accusation >> 96, address)):
            accusation |= 1 << 33
    self.accusations[job][target] = accusation
    return accusation if upheld else 0


# What the protocol reads


@view
@external
def judge(
    job: uint256, trainers: uint256, threshold: uint256, lowest: uint256, published: bool
) -> verdicts.Settlement:
    """
    @notice The verdict if nothing more happened, and whom it pays.
    @param trainers How many joined.
    @param lowest The job's floor.
    @param published Whether the dataset is there.
    """
    return self._judge(job, trainers, threshold, lowest, published)


@view
@internal
def _judge(
    job: uint256, trainers: uint256, threshold: uint256, lowest: uint256, published: bool
) -> verdicts.Settlement:
    s: verdicts.Settlement = empty(verdicts.Settlement)
    s.trainers = trainers
    marks: uint256 = staticcall REPUTATION.marks(job)
    models: uint256 = committees._models(job)
    s.malicious = (((1 << trainers) - 1) & ~(staticcall MODELS.submitted(job))) | (
        marks & (2**64 - 1)
    )
    if models == 0:
        s.verdict = verdicts.NOBODY_SUBMITTED
        return s

    session: uint256 = committees.sessions[job]
    size: uint256 = (session >> 8) & 255
    for place: uint256 in range(size, bound=16):
        s.members[place] = committees.members[job][place]
    scored: bool = False
    scored, s.receivers = self._receivers(session, marks)
    if published:
        s.silent = ((1 << size) - 1) & ~committees._acted(session)
    if not published and (size > 0 or committees._eligible(job) >= committees.LEAST):
        s.verdict = verdicts.REQUESTER_MALICIOUS
    elif size == 0:
        s.verdict = verdicts.NO_COMMITTEE
    elif s.receivers == 0 and scored:
        s.verdict = verdicts.VALIDATORS_FAILED
    elif not scored:
        s.verdict = verdicts.REQUESTER_MALICIOUS
    else:
        s.verdict = verdicts.NO_MODEL_ACCEPTED

    by_score: bool = s.verdict == verdicts.NO_MODEL_ACCEPTED
    if not by_score and s.verdict != verdicts.REQUESTER_MALICIOUS:
        return s
    seats: uint256[64] = staticcall MODELS.seats(job, models)
    for i: uint256 in range(models, bound=64):
        seat: uint256 = seats[i]
        score: uint256 = 10_000
        if by_score:
            score = committees._average(job, i, s.receivers)
            if score < max(lowest, 1):
                s.malicious |= 1 << seat
        if score >= threshold and (s.malicious >> seat) & 1 == 0:
            s.paid[i] = seat | (score << 8)
            if by_score:
                s.accepted |= 1 << seat
                s.verdict = verdicts.NORMAL
    return s


@view
@internal
def _receivers(session: uint256, marks: uint256) -> (bool, uint256):
    """
    @notice Whom equation 6 pays, one bit per place. False: enough members refrained to make
            the requester malicious. True: those whose scores count, or nobody when scores do
            not exist.
    """
    condemned: uint256 = (marks >> 64) & 65_535
    quorum: uint256 = self._two_thirds((session >> 8) & 255)
    acted: uint256 = committees._acted(session)
    if quorum > 0 and words._count((session >> committees.REFRAINED) & 65_535 & ~condemned) >= quorum:
        return False, acted & ~condemned
    if words._count(acted) < quorum:
        return True, 0
    return True, (session >> committees.REVEALED) & 65_535 & ~condemned


# What anybody reads


@view
@external
def isElector(job: uint256, account: address) -> uint256:
    """
    @notice Whether an account may accuse and vote in a job, as 1 or 0.
    """
    return convert(self._is_elector(job, account), uint256)


@view
@external
def mayAskKey(job: uint256, account: address, scoring: bool) -> uint256:
    """
    @notice Whether it may see the models, as 1 or 0: a member; while scoring, an elector in
            the challenge.
    """
    session: uint256 = committees.sessions[job]
    allowed: bool = committees._place(job, session, account) != committees.NOBODY or (
        scoring
        and block.timestamp >= committees._reveal_end(session)
        and self._is_elector(job, account)
    )
    return convert(allowed, uint256)


@view
@external
def conductOf(job: uint256, account: address) -> uint256:
    """
    @notice 1: a member that let the scoring pass in silence. 2: any other member, once the
            scoring is open, and whoever accused or voted. 0: everybody else.
    """
    session: uint256 = committees.sessions[job]
    place: uint256 = committees._place(job, session, account)
    if place == committees.NOBODY:
        return 2 if self.outspoken[job][account] else 0
    if (session >> committees.OPENED) & (2**40 - 1) == 0:
        return 0
    if (committees._acted(session) >> place) & 1 == 1:
        return 2
    return 1 if block.timestamp >= committees._reveal_end(session) else 2


# Readings shared


@view
@internal
def _part(job: uint256, session: uint256, account: address) -> uint256:
    seat: uint256 = staticcall TOKEN.seatOf(job, account)
    if seat > 0:
        return seat - 1
    place: uint256 = committees._place(job, session, account)
    return CHALLENGER if place == committees.NOBODY else 64 + place


@view
@internal
def _is_elector(job: uint256, account: address) -> bool:
    return staticcall TOKEN.isElector(
        account, committees._closing(job)
    ) == 1 and not self._is_condemned(job, account)


@view
@internal
def _is_condemned(job: uint256, account: address) -> bool:
    return staticcall REPUTATION.condemned(job, account) == 1


@pure
@internal
def _two_thirds(number: uint256) -> uint256:
    return (2 * number + 2) // 3
