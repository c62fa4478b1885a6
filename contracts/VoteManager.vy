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

import refusals
import rules
import verdicts
import words

# What is read as a number although it is a bool is 0 or 1: all answer by the same rules.


interface Stakes:
    def seatOf(job: uint256, account: address) -> uint256: view
    def sizesBefore() -> (uint256, uint256): view
    def validatorAt(index: uint256, number: uint256) -> uint256: view
    def isElector(account: address, closing: uint256) -> uint256: view


interface Models:
    def submitted(job: uint256) -> uint256: view
    def seats(job: uint256, models: uint256) -> uint256[64]: view


interface Reputation:
    def condemned(job: uint256, account: address) -> uint256: view
    def marks(job: uint256) -> uint256: view


NOBODY: constant(uint256) = 16  # no member's place
CHALLENGER: constant(uint256) = 255  # no seat and no member's place
COMMIT: constant(uint256) = 4  # phases, as the front door numbers them
REVEAL: constant(uint256) = 5
CHALLENGE: constant(uint256) = 6

# Bits of a session at which the members' flags begin, one bit per place
COMMITTED: constant(uint256) = 16
REFRAINED: constant(uint256) = 32
REVEALED: constant(uint256) = 48
# and the times
OPENED: constant(uint256) = 64
COMMIT_END: constant(uint256) = 104
REVEAL_END: constant(uint256) = 144

PROTOCOL: immutable(address)
TOKEN: immutable(Stakes)
MODELS: immutable(Models)
REPUTATION: immutable(Reputation)
PROPORTION: immutable(uint256)
LEAST_COMMITTEE: immutable(uint256)
MOST_COMMITTEE: immutable(uint256)
LEAST_ELECTORATE: immutable(uint256)
COMMIT_WINDOW: immutable(uint256)
REVEAL_WINDOW: immutable(uint256)
CHALLENGE_WINDOW: immutable(uint256)
VOTE_WINDOW: immutable(uint256)
SEED_DELAY: immutable(uint256)

# Per job: seed block 40 | block that closed training 40 | eligible validators 32 | electorate 32
# | models 8
draws: HashMap[uint256, uint256]
# Per job: somebody accused 1 | a challenger accused 1 | 6 free | members 8 | committed 16
# | refrained 16 | revealed 16 | opened 40 | commit window ends 40 | reveal window ends 40
sessions: HashMap[uint256, uint256]
members: HashMap[uint256, HashMap[uint256, uint256]]  # per job and place: account 160 | stake 96
# Per job and place: the commitment, then in its stead the scores, sixteen to a word
slips: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]
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
    PROTOCOL = protocol
    TOKEN = Stakes(token)
    MODELS = Models(models)
    REPUTATION = Reputation(reputation)
    PROPORTION = p.committeeProportion
    LEAST_COMMITTEE = p.leastCommittee
    MOST_COMMITTEE = p.mostCommittee
    LEAST_ELECTORATE = p.leastElectorate
    COMMIT_WINDOW = p.commitWindow
    REVEAL_WINDOW = p.revealWindow
    CHALLENGE_WINDOW = p.challengeWindow
    VOTE_WINDOW = p.voteWindow
    SEED_DELAY = p.seedDelay


# What the protocol does: the committee


@external
def close(job: uint256, models: uint256) -> (uint256, uint256, uint256):
    """
    @notice Fixes who is eligible, before the seed of the draw exists.
    @return The seed block, the number of challengers, the number of validators.
    """
    self._only_the_protocol()
    validators: uint256 = 0
    challengers: uint256 = 0
    validators, challengers = staticcall TOKEN.sizesBefore()
    seed: uint256 = block.number + SEED_DELAY
    self.draws[job] = (
        seed | (block.number << 40) | (validators << 80) | (challengers << 112) | (models << 144)
    )
    return seed, challengers, validators


@external
def draw(job: uint256, insisting: bool) -> (uint256[16], uint256):
    """
    @notice Draws the committee from the seed block's hash; fixes a new seed block if the
            chain no longer knows that hash.
    @param insisting Whether to refuse, or renew, when the draw cannot be made now.
    @return The members (account, and stake * 2^160; then 0), or none; the new seed block, or 0.
    """
    self._only_the_protocol()
    word: uint256 = self.draws[job]
    eligible: uint256 = (word >> 80) & (2**32 - 1)
    seed_block: uint256 = word & (2**40 - 1)
    drawn: uint256[16] = empty(uint256[16])
    enough: bool = eligible >= LEAST_COMMITTEE
    past: bool = block.number > seed_block
    gone: bool = block.number > seed_block + 256
    if not insisting and (not enough or not past or gone):
        return drawn, 0
    refusals._require(enough, refusals.TOO_FEW_VALIDATORS)
    refusals._require(past, refusals.TOO_EARLY)
    if gone:
        renewed: uint256 = block.number + SEED_DELAY
        self.draws[job] = words._put(word, 0, 40, renewed)
        return drawn, renewed

    seed: bytes32 = keccak256(concat(blockhash(seed_block), convert(job, bytes32)))
    size: uint256 = max(eligible * PROPORTION // 10_000, LEAST_COMMITTEE)
    size = min(min(size, MOST_COMMITTEE), eligible)
    drawn = self._shuffle(seed, eligible, size)
    for place: uint256 in range(size, bound=16):
        member: uint256 = staticcall TOKEN.validatorAt(
            drawn[place], ((word >> 40) & (2**40 - 1)) - 1
        )
        self.members[job][place] = member
        drawn[place] = member
    self.sessions[job] = size << 8
    return drawn, 0


@external
def open(job: uint256):
    """
    @notice Opens the scoring: dataset and committee are there.
    """
    self._only_the_protocol()
    commit_end: uint256 = block.timestamp + COMMIT_WINDOW
    self.sessions[job] |= (
        (block.timestamp << OPENED)
        | (commit_end << COMMIT_END)
        | ((commit_end + REVEAL_WINDOW) << REVEAL_END)
    )


@pure
@internal
def _shuffle(seed: bytes32, eligible: uint256, size: uint256) -> uint256[16]:
    """
    @notice The first `size` places of a Fisher-Yates shuffle of 0 .. eligible - 1.
    @dev Step i swaps places i and j >= i. Place i is not looked at again, so what step i
         moved to j is kept as a note; a later note on the same place replaces it.
    """
    chosen: uint256[16] = empty(uint256[16])
    places: uint256[16] = empty(uint256[16])
    moved: uint256[16] = empty(uint256[16])
    for i: uint256 in range(size, bound=16):
        j: uint256 = i + convert(
            keccak256(concat(seed, convert(i, bytes32))), uint256
        ) % (eligible - i)
        at_i: uint256 = i
        at_j: uint256 = j
        for k: uint256 in range(i, bound=16):
            if places[k] == i:
                at_i = moved[k]
            if places[k] == j:
                at_j = moved[k]
        chosen[i] = at_j
        places[i] = j
        moved[i] = at_i
    return chosen


# What the protocol does: scores


@external
def commitScores(job: uint256, member: address, commitment: bytes32):
    """
    @notice Keeps a member's commitment.
    """
    self._only_the_protocol()
    place: uint256 = self._decide(job, member, COMMITTED)
    refusals._require(commitment != empty(bytes32), refusals.EMPTY_COMMITMENT)
    self.slips[job][place][0] = convert(commitment, uint256)


@external
def refrain(job: uint256, member: address):
    """
    @notice Flags the evaluation job as malicious, in place of scores.
    """
    self._only_the_protocol()
    self._decide(job, member, REFRAINED)


@external
def revealScores(
    job: uint256,
    member: address,
    models: uint256,
    highest: uint256,
    packed: uint256[4],
    commitment: bytes32,
):
    """
    @notice Opens a commitment.
    @param models How many scores there are.
    @param highest The highest of them.
    @param packed Sixteen to a word, if none is too high.
    @param commitment keccak256(abi_encode(job, member, scores, salt)).
    """
    self._only_the_protocol()
    session: uint256 = self.sessions[job]
    refusals._require(
        (session >> COMMIT_END) & (2**40 - 1) <= block.timestamp
        and block.timestamp < self._reveal_end(session),
        refusals.NOT_IN_THE_REVEAL_WINDOW,
    )
    place: uint256 = self._member(job, session, member)
    refusals._require((session >> (COMMITTED + place)) & 1 == 1, refusals.NOTHING_COMMITTED)
    refusals._require((session >> (REVEALED + place)) & 1 == 0, refusals.ALREADY_REVEALED)
    refusals._require(models == self.draws[job] >> 144, refusals.WRONG_NUMBER_OF_SCORES)
    refusals._require(highest <= 10_000, refusals.SCORE_TOO_HIGH)
    refusals._require(
        convert(commitment, uint256) == self.slips[job][place][0],
        refusals.SCORES_NOT_AS_COMMITTED,
    )

    for i: uint256 in range((models + 15) >> 4, bound=4):
        self.slips[job][place][i] = packed[i]
    session |= 1 << (REVEALED + place)
    if (session >> REVEALED) & 65_535 == ((session >> COMMITTED) & 65_535):
        session = words._put(session, REVEAL_END, 40, block.timestamp)
    self.sessions[job] = session


@internal
def _decide(job: uint256, member: address, flags: uint256) -> uint256:
    """
    @notice Sets a member's flag; the last member to decide ends the commit window.
    @return The member's place.
    """
    session: uint256 = self.sessions[job]
    refusals._require(
        block.timestamp < ((session >> COMMIT_END) & (2**40 - 1)), refusals.NOT_IN_THE_COMMIT_WINDOW
    )
    place: uint256 = self._member(job, session, member)
    decided: uint256 = ((session >> COMMITTED) & 65_535) | ((session >> REFRAINED) & 65_535)
    refusals._require((decided >> place) & 1 == 0, refusals.ALREADY_ACTED)
    session |= 1 << (flags + place)
    if decided | (1 << place) == (1 << ((session >> 8) & 255)) - 1:
        reveal_end: uint256 = block.timestamp + REVEAL_WINDOW
        session = words._put(session, COMMIT_END, 80, block.timestamp | (reveal_end << 40))
    self.sessions[job] = session
    return place


# What the protocol does: accusations


@external
def accuse(job: uint256, accuser: address, target: address):
    """
    @notice Records an accusation, and the accuser's own vote for it.
    """
    self._only_the_protocol()
    session: uint256 = self.sessions[job]
    part: uint256 = self._part(job, session, target)
    start: uint256 = self._reveal_end(session)
    deadline: uint256 = start + CHALLENGE_WINDOW
    if part == CHALLENGER:
        deadline += VOTE_WINDOW
    refusals._require(
        start <= block.timestamp and block.timestamp < deadline, refusals.ACCUSATIONS_CLOSED
    )
    electorate: uint256 = (self.draws[job] >> 112) & (2**32 - 1)
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
            (self._acted(session) >> (part - 64)) & 1 == 1, refusals.ALREADY_CONDEMNED
        )

    self.accusations[job][target] = (convert(accuser, uint256) << 96) | (part << 40) | 1
    self.votes[job][target][accuser] = True
    self.outspoken[job][accuser] = True
    self.sessions[job] = session | 1


@external
def vote(
    job: uint256, voter: address, target: address, guilty: bool, lowest: uint256
) -> uint256:
    """
    @notice Counts a vote.
    @param lowest The job's floor.
    @return The accusation, if this vote upholds it; else 0.
    """
    self._only_the_protocol()
    accusation: uint256 = self.accusations[job][target]
    refusals._require(accusation != 0, refusals.NO_ACCUSATION)
    part: uint256 = (accusation >> 40) & 255
    deadline: uint256 = self._reveal_end(self.sessions[job]) + CHALLENGE_WINDOW + VOTE_WINDOW
    if part == CHALLENGER:
        deadline += VOTE_WINDOW
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
    upheld: bool = votes >= self._two_thirds((self.draws[job] >> 112) & (2**32 - 1))
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
    models: uint256 = self.draws[job] >> 144
    s.malicious = (((1 << trainers) - 1) & ~(staticcall MODELS.submitted(job))) | (
        marks & (2**64 - 1)
    )
    if models == 0:
        s.verdict = verdicts.NOBODY_SUBMITTED
        return s

    session: uint256 = self.sessions[job]
    size: uint256 = (session >> 8) & 255
    for place: uint256 in range(size, bound=16):
        s.members[place] = self.members[job][place]
    scored: bool = False
    scored, s.receivers = self._receivers(session, marks)
    if published:
        s.silent = ((1 << size) - 1) & ~self._acted(session)
    if not published and (size > 0 or (self.draws[job] >> 80) & (2**32 - 1) >= LEAST_COMMITTEE):
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
            score = self._average(job, i, s.receivers)
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
    acted: uint256 = self._acted(session)
    if quorum > 0 and words._count((session >> REFRAINED) & 65_535 & ~condemned) >= quorum:
        return False, acted & ~condemned
    if words._count(acted) < quorum:
        return True, 0
    return True, (session >> REVEALED) & 65_535 & ~condemned


@view
@internal
def _average(job: uint256, model: uint256, valid: uint256) -> uint256:
    """
    @notice The average of the valid members' scores for one model, by its place.
    """
    sum: uint256 = 0
    for place: uint256 in range(16):
        if (valid >> place) & 1 == 1:
            packed: uint256 = self.slips[job][place][model >> 4]
            sum += (packed >> ((model & 15) << 4)) & 65_535
    return sum // words._count(valid)


# What anybody reads


@view
@external
def phase(job: uint256) -> (uint256, uint256):
    """
    @notice Of a job whose scoring was opened: its phase now, and when that ends; for the
            challenge phase, when the job can be settled.
    """
    session: uint256 = self.sessions[job]
    commit_end: uint256 = (session >> COMMIT_END) & (2**40 - 1)
    reveal_end: uint256 = self._reveal_end(session)
    if block.timestamp < commit_end:
        return COMMIT, commit_end
    if block.timestamp < reveal_end:
        return REVEAL, reveal_end
    extra: uint256 = (session & 1) + ((session >> 1) & 1)
    return CHALLENGE, reveal_end + CHALLENGE_WINDOW + extra * VOTE_WINDOW


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
    session: uint256 = self.sessions[job]
    allowed: bool = self._place(job, session, account) != NOBODY or (
        scoring
        and block.timestamp >= self._reveal_end(session)
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
    session: uint256 = self.sessions[job]
    place: uint256 = self._place(job, session, account)
    if place == NOBODY:
        return 2 if self.outspoken[job][account] else 0
    if (session >> OPENED) & (2**40 - 1) == 0:
        return 0
    if (self._acted(session) >> place) & 1 == 1:
        return 2
    return 1 if block.timestamp >= self._reveal_end(session) else 2


# Readings shared


@view
@internal
def _reveal_end(session: uint256) -> uint256:
    """
    @notice When the reveal window ends, if nothing more happens; 0 before the scoring is open.
    @dev Without commitments there is nothing to reveal: it ends with the commit window.
    """
    low: uint256 = REVEAL_END if (session >> COMMITTED) & 65_535 > 0 else COMMIT_END
    return (session >> low) & (2**40 - 1)


@view
@internal
def _acted(session: uint256) -> uint256:
    return ((session >> REFRAINED) & 65_535) | ((session >> REVEALED) & 65_535)


@view
@internal
def _place(job: uint256, session: uint256, account: address) -> uint256:
    for place: uint256 in range((session >> 8) & 255, bound=16):
        if words._account(self.members[job][place]) == account:
            return place
    return NOBODY


@view
@internal
def _member(job: uint256, session: uint256, account: address) -> uint256:
    place: uint256 = self._place(job, session, account)
    refusals._require(place != NOBODY, refusals.NOT_A_MEMBER)
    return place


@view
@internal
def _part(job: uint256, session: uint256, account: address) -> uint256:
    seat: uint256 = staticcall TOKEN.seatOf(job, account)
    if seat > 0:
        return seat - 1
    place: uint256 = self._place(job, session, account)
    return CHALLENGER if place == NOBODY else 64 + place


@view
@internal
def _is_elector(job: uint256, account: address) -> bool:
    return staticcall TOKEN.isElector(
        account, (self.draws[job] >> 40) & (2**40 - 1)
    ) == 1 and not self._is_condemned(job, account)


@view
@internal
def _is_condemned(job: uint256, account: address) -> bool:
    return staticcall REPUTATION.condemned(job, account) == 1


@pure
@internal
def _two_thirds(number: uint256) -> uint256:
    return (2 * number + 2) // 3


@view
@internal
def _only_the_protocol():
    refusals._require(msg.sender == PROTOCOL, refusals.ONLY_BY_THE_FRONT_DOOR)
