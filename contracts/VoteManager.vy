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


interface Stakes:
    def seatOf(job: uint256, account: address) -> uint256: view
    def sizesBefore() -> (uint256, uint256): view
    def validatorAt(index: uint256, number: uint256) -> uint256: view
    def isElector(account: address, closing: uint256) -> bool: view


interface Models:
    def submitted(job: uint256) -> uint256: view
    def seats(job: uint256) -> DynArray[uint256, 64]: view


interface Reputation:
    def condemned(job: uint256, account: address) -> bool: view
    def marks(job: uint256) -> uint256: view


NOBODY: constant(uint256) = 16  # no member's place
CHALLENGER: constant(uint256) = 255  # no seat and no member's place
COMMIT: constant(uint256) = 4  # phases, as the front door numbers them
REVEAL: constant(uint256) = 5
CHALLENGE: constant(uint256) = 6

# Bits of a session at which the members' flags begin, one bit per place
COMMITTED: constant(uint256) = 128
REFRAINED: constant(uint256) = 144
REVEALED: constant(uint256) = 160

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
# Per job: opened 40 | commit window ends 40 | reveal window ends 40 | members 8 | committed 16
# | refrained 16 | revealed 16 | somebody accused 1 | a challenger accused 1
sessions: HashMap[uint256, uint256]
members: HashMap[uint256, HashMap[uint256, uint256]]  # per job and place: account 160 | stake 96
# Per job and place: the commitment, then in its stead the scores, sixteen to a word
slips: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]
# Per job and target: accuser 160 | votes for 32 | upheld 1 | 7 free | part 8: a trainer's seat,
# 64 plus a member's place, or CHALLENGER
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
def draw(job: uint256) -> (DynArray[uint256, 16], uint256):
    """
    @notice Draws the committee from the seed block's hash; fixes a new seed block if the
            chain no longer knows that hash.
    @return The members (account, and stake * 2^160), or none and the new seed block.
    """
    self._only_the_protocol()
    word: uint256 = self.draws[job]
    eligible: uint256 = (word >> 80) & (2**32 - 1)
    refusals._require(eligible >= LEAST_COMMITTEE, "job: too few validators")
    seed_block: uint256 = (word & (2**40 - 1))
    refusals._require(block.number > seed_block, "job: too early")
    drawn: DynArray[uint256, 16] = []
    if block.number > seed_block + 256:
        renewed: uint256 = block.number + SEED_DELAY
        self.draws[job] = words._put(word, 0, 40, renewed)
        return drawn, renewed

    seed: bytes32 = keccak256(concat(blockhash(seed_block), convert(job, bytes32)))
    size: uint256 = max(eligible * PROPORTION // 10_000, LEAST_COMMITTEE)
    size = min(min(size, MOST_COMMITTEE), eligible)
    chosen: DynArray[uint256, 16] = self._shuffle(seed, eligible, size)
    for index: uint256 in chosen:
        member: uint256 = staticcall TOKEN.validatorAt(index, ((word >> 40) & (2**40 - 1)) - 1)
        self.members[job][len(drawn)] = member
        drawn.append(member)
    self.sessions[job] = size << 120
    return drawn, 0


@external
def open(job: uint256):
    """
    @notice Opens the scoring: dataset and committee are there.
    """
    self._only_the_protocol()
    commit_end: uint256 = block.timestamp + COMMIT_WINDOW
    self.sessions[job] |= (
        block.timestamp | (commit_end << 40) | ((commit_end + REVEAL_WINDOW) << 80)
    )


@pure
@internal
def _shuffle(seed: bytes32, eligible: uint256, size: uint256) -> DynArray[uint256, 16]:
    """
    @notice The first `size` places of a Fisher-Yates shuffle of 0 .. eligible - 1.
    @dev Step i swaps places i and j >= i. Place i is not looked at again, so what step i
         moved to j is kept as a note; a later note on the same place replaces it.
    """
    chosen: DynArray[uint256, 16] = []
    places: DynArray[uint256, 16] = []
    moved: DynArray[uint256, 16] = []
    for i: uint256 in range(size, bound=16):
        j: uint256 = i + convert(
            keccak256(concat(seed, convert(i, bytes32))), uint256
        ) % (eligible - i)
        at_i: uint256 = i
        at_j: uint256 = j
        for k: uint256 in range(len(places), bound=16):
            if places[k] == i:
                at_i = moved[k]
            if places[k] == j:
                at_j = moved[k]
        chosen.append(at_j)
        places.append(j)
        moved.append(at_i)
    return chosen


# What the protocol does: scores


@external
def commitScores(job: uint256, member: address, commitment: bytes32):
    """
    @notice Keeps a member's commitment.
    """
    self._only_the_protocol()
    place: uint256 = self._decide(job, member, COMMITTED)
    refusals._require(commitment != empty(bytes32), "scores: empty commitment")
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
    job: uint256, member: address, scores: DynArray[uint256, 64], salt: bytes32
):
    """
    @notice Opens a commitment: keccak256(abi_encode(job, member, scores, salt)).
    """
    self._only_the_protocol()
    session: uint256 = self.sessions[job]
    commit_end: uint256 = 0
    reveal_end: uint256 = 0
    commit_end, reveal_end = self._windows(session)
    refusals._require(
        commit_end <= block.timestamp and block.timestamp < reveal_end,
        "scores: not in the reveal window",
    )
    place: uint256 = self._place(job, session, member)
    refusals._require(place != NOBODY, "scores: not a committee member")
    refusals._require((session >> (COMMITTED + place)) & 1 == 1, "scores: nothing committed")
    refusals._require((session >> (REVEALED + place)) & 1 == 0, "scores: already revealed")
    refusals._require(len(scores) == self.draws[job] >> 144, "scores: one per model")
    for score: uint256 in scores:
        refusals._require(score <= 10_000, "scores: above 10000")
    commitment: bytes32 = keccak256(abi_encode(job, member, scores, salt))
    refusals._require(
        convert(commitment, uint256) == self.slips[job][place][0],
        "scores: not as committed",
    )

    packed: uint256 = 0
    for i: uint256 in range(len(scores), bound=64):
        packed |= scores[i] << (16 * (i % 16))
        if i % 16 == 15 or i + 1 == len(scores):
            self.slips[job][place][i // 16] = packed
            packed = 0
    session |= 1 << (REVEALED + place)
    if (session >> REVEALED) & 65_535 == ((session >> COMMITTED) & 65_535):
        session = words._put(session, 80, 40, block.timestamp)
    self.sessions[job] = session


@internal
def _decide(job: uint256, member: address, flags: uint256) -> uint256:
    """
    @notice Sets a member's flag; the last member to decide ends the commit window.
    @return The member's place.
    """
    session: uint256 = self.sessions[job]
    refusals._require(
        block.timestamp < ((session >> 40) & (2**40 - 1)), "scores: not in the commit window"
    )
    place: uint256 = self._place(job, session, member)
    refusals._require(place != NOBODY, "scores: not a committee member")
    decided: uint256 = ((session >> COMMITTED) & 65_535) | ((session >> REFRAINED) & 65_535)
    refusals._require((decided >> place) & 1 == 0, "scores: already acted")
    session |= 1 << (flags + place)
    if decided | (1 << place) == (1 << ((session >> 120) & 255)) - 1:
        session = words._put(session, 40, 40, block.timestamp)
        session = words._put(session, 80, 40, block.timestamp + REVEAL_WINDOW)
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
    start: uint256 = self._windows(session)[1]
    deadline: uint256 = start + CHALLENGE_WINDOW
    if part == CHALLENGER:
        deadline += VOTE_WINDOW
    refusals._require(start <= block.timestamp and block.timestamp < deadline, "accusation: closed")
    electorate: uint256 = (self.draws[job] >> 112) & (2**32 - 1)
    refusals._require(electorate >= LEAST_ELECTORATE, "accusation: too few electors")
    refusals._require(self._is_elector(job, accuser), "accusation: not an elector")
    refusals._require(accuser != target, "accusation: against oneself")
    refusals._require(self.accusations[job][target] == 0, "accusation: already made")
    if part < 64:
        submitted: uint256 = staticcall MODELS.submitted(job)
        refusals._require((submitted >> part) & 1 == 1, "accusation: not accusable")
    elif part == CHALLENGER:
        refusals._require(self.outspoken[job][target], "accusation: not accusable")
        session |= 1 << 177
    else:
        refusals._require(
            (self._acted(session) >> (part - 64)) & 1 == 1, "accusation: already condemned"
        )

    self.accusations[job][target] = words._pair(accuser, 1) | (part << 200)
    self.votes[job][target][accuser] = True
    self.outspoken[job][accuser] = True
    self.sessions[job] = session | (1 << 176)


@external
def vote(job: uint256, voter: address, target: address, guilty: bool) -> (address, uint256):
    """
    @notice Counts a vote.
    @return The accuser and the target's part, if this vote upholds the accusation; else nobody.
    """
    self._only_the_protocol()
    accusation: uint256 = self.accusations[job][target]
    refusals._require(accusation != 0, "vote: no accusation")
    part: uint256 = accusation >> 200
    deadline: uint256 = self._windows(self.sessions[job])[1] + CHALLENGE_WINDOW + VOTE_WINDOW
    if part == CHALLENGER:
        deadline += VOTE_WINDOW
    refusals._require(
        (accusation >> 192) & 1 == 0 and block.timestamp < deadline,
        "vote: closed",
    )
    refusals._require(self._is_elector(job, voter), "accusation: not an elector")
    refusals._require(voter != target, "vote: by the accused")
    refusals._require(not self.votes[job][target][voter], "vote: already cast")

    self.votes[job][target][voter] = True
    self.outspoken[job][voter] = True
    if not guilty:
        return empty(address), 0
    accusation += 1 << 160
    votes: uint256 = (accusation >> 160) & (2**32 - 1)
    upheld: bool = votes >= self._two_thirds((self.draws[job] >> 112) & (2**32 - 1))
    if upheld:
        accusation |= 1 << 192
    self.accusations[job][target] = accusation
    if not upheld:
        return empty(address), 0
    return words._account(accusation), part


# What the protocol reads


@view
@external
def canDraw(job: uint256) -> bool:
    """
    @notice Whether enough validators are eligible and the seed block's hash is there.
    """
    word: uint256 = self.draws[job]
    seed_block: uint256 = (word & (2**40 - 1))
    return (
        (word >> 80) & (2**32 - 1) >= LEAST_COMMITTEE
        and block.number > seed_block
        and block.number <= seed_block + 256
    )


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
    s: verdicts.Settlement = empty(verdicts.Settlement)
    s.trainers = trainers
    marks: uint256 = staticcall REPUTATION.marks(job)
    seats: DynArray[uint256, 64] = staticcall MODELS.seats(job)
    s.malicious = (1 << trainers) - 1
    for seat: uint256 in seats:
        s.malicious ^= 1 << seat
    s.malicious |= marks & (2**64 - 1)
    if len(seats) == 0:
        s.verdict = verdicts.NOBODY_SUBMITTED
        return s

    session: uint256 = self.sessions[job]
    size: uint256 = (session >> 120) & 255
    for place: uint256 in range(size, bound=16):
        s.members.append(self.members[job][place])
    scored: bool = False
    scored, s.receivers = self._receivers(session, marks)
    if published:
        s.silent = ((1 << size) - 1) & ~self._acted(session)
    averages: DynArray[uint256, 64] = []
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
        averages = self._averages(job, len(seats), s.receivers)

    for i: uint256 in range(len(seats), bound=64):
        score: uint256 = 10_000
        if len(averages) > 0:
            score = averages[i]
            if score < max(lowest, 1):
                s.malicious |= 1 << seats[i]
            if score < threshold:
                continue
        elif s.verdict != verdicts.REQUESTER_MALICIOUS:
            break
        if (s.malicious >> seats[i]) & 1 == 0:
            s.paid.append(seats[i] | (score << 8))
    if len(averages) > 0 and len(s.paid) > 0:
        s.verdict = verdicts.NORMAL
    return s


@view
@external
def averageOf(job: uint256, place: uint256) -> uint256:
    """
    @notice The score of a model as it stands now; 10,000 when no scores exist.
    @param place In the order of submission.
    """
    session: uint256 = self.sessions[job]
    scored: bool = False
    receivers: uint256 = 0
    scored, receivers = self._receivers(session, staticcall REPUTATION.marks(job))
    if not scored or receivers == 0:
        return 10_000
    return self._averages(job, place + 1, receivers)[place]


@view
@internal
def _receivers(session: uint256, marks: uint256) -> (bool, uint256):
    """
    @notice Whom equation 6 pays, one bit per place. False: enough members refrained to make
            the requester malicious. True: those whose scores count, or nobody when scores do
            not exist.
    """
    condemned: uint256 = (marks >> 64) & 65_535
    quorum: uint256 = self._two_thirds((session >> 120) & 255)
    acted: uint256 = self._acted(session)
    if quorum > 0 and words._count((session >> REFRAINED) & 65_535 & ~condemned) >= quorum:
        return False, acted & ~condemned
    if words._count(acted) < quorum:
        return True, 0
    return True, (session >> REVEALED) & 65_535 & ~condemned


@view
@internal
def _averages(job: uint256, models: uint256, valid: uint256) -> DynArray[uint256, 64]:
    """
    @notice The average of the valid members' scores, for the first `models` models.
    """
    averages: DynArray[uint256, 64] = []
    count: uint256 = words._count(valid)
    packed: uint256[16] = empty(uint256[16])
    for i: uint256 in range(models, bound=64):
        sum: uint256 = 0
        for place: uint256 in range(16):
            if (valid >> place) & 1 == 1:
                if i % 16 == 0:
                    packed[place] = self.slips[job][place][i // 16]
                sum += packed[place] & 65_535
                packed[place] >>= 16
        averages.append(sum // count)
    return averages


# What anybody reads


@view
@external
def phase(job: uint256) -> (uint256, uint256):
    """
    @notice Of a job whose scoring was opened: its phase now, and when that ends; for the
            challenge phase, when the job can be settled.
    """
    session: uint256 = self.sessions[job]
    commit_end: uint256 = 0
    reveal_end: uint256 = 0
    commit_end, reveal_end = self._windows(session)
    if block.timestamp < commit_end:
        return COMMIT, commit_end
    if block.timestamp < reveal_end:
        return REVEAL, reveal_end
    extra: uint256 = ((session >> 176) & 1) + ((session >> 177) & 1)
    return CHALLENGE, reveal_end + CHALLENGE_WINDOW + extra * VOTE_WINDOW


@view
@external
def isElector(job: uint256, account: address) -> bool:
    """
    @notice Whether an account may accuse and vote in a job.
    """
    return self._is_elector(job, account)


@view
@external
def isMember(job: uint256, account: address) -> bool:
    return self._place(job, self.sessions[job], account) != NOBODY


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
    if session & (2**40 - 1) == 0:
        return 0
    if (self._acted(session) >> place) & 1 == 1:
        return 2
    return 1 if block.timestamp >= self._windows(session)[1] else 2


# Readings shared


@view
@internal
def _windows(session: uint256) -> (uint256, uint256):
    """
    @notice When the commit window and the reveal window end, if nothing more happens.
    @dev Without commitments there is nothing to reveal. Before the scoring is open no
         window may seem to have begun, hence the far end.
    """
    if session & (2**40 - 1) == 0:
        return 2**40, 2**40
    commit_end: uint256 = (session >> 40) & (2**40 - 1)
    if (session >> COMMITTED) & 65_535 == 0:
        return commit_end, commit_end
    return commit_end, (session >> 80) & (2**40 - 1)


@view
@internal
def _acted(session: uint256) -> uint256:
    return ((session >> REFRAINED) & 65_535) | ((session >> REVEALED) & 65_535)


@view
@internal
def _place(job: uint256, session: uint256, account: address) -> uint256:
    for place: uint256 in range((session >> 120) & 255, bound=16):
        if words._account(self.members[job][place]) == account:
            return place
    return NOBODY


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
    return (
        staticcall TOKEN.isElector(account, (self.draws[job] >> 40) & (2**40 - 1))
        and not staticcall REPUTATION.condemned(job, account)
    )


@pure
@internal
def _two_thirds(number: uint256) -> uint256:
    return (2 * number + 2) // 3


@view
@internal
def _only_the_protocol():
    refusals._require(msg.sender == PROTOCOL, "protocol: only by its front door")
