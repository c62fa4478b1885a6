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

import rules
import words


interface Stakes:
    def seatOf(job: uint256, account: address) -> uint256: view
    def sizesBefore() -> (uint256, uint256): view
    def validatorAt(index: uint256, number: uint256) -> uint256: view
    def isElector(account: address, closing: uint256) -> bool: view


interface Models:
    def submitted(job: uint256) -> uint256: view


interface Reputation:
    def condemned(job: uint256, account: address) -> bool: view


struct Tally:
    committee: uint256  # members drawn
    requesterMalicious: bool
    averages: DynArray[uint256, 64]  # one per model; empty when no scores exist
    paid: DynArray[uint256, 16]  # the receivers of eq. 6: account, and stake * 2^160
    silent: DynArray[address, 16]  # to fine


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
    eligible: uint256 = words._get(word, 80, 32)
    assert eligible >= LEAST_COMMITTEE, "job: too few validators"
    seed_block: uint256 = words._get(word, 0, 40)
    assert block.number > seed_block, "job: too early"
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
        member: uint256 = staticcall TOKEN.validatorAt(index, words._get(word, 40, 40) - 1)
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
    assert commitment != empty(bytes32), "scores: empty commitment"
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
    assert (
        commit_end <= block.timestamp and block.timestamp < reveal_end
    ), "scores: not in the reveal window"
    place: uint256 = self._place(job, session, member)
    assert place != NOBODY, "scores: not a committee member"
    assert (session >> (COMMITTED + place)) & 1 == 1, "scores: nothing committed"
    assert (session >> (REVEALED + place)) & 1 == 0, "scores: already revealed"
    assert len(scores) == self.draws[job] >> 144, "scores: one per model"
    for score: uint256 in scores:
        assert score <= 10_000, "scores: above 10000"
    commitment: bytes32 = keccak256(abi_encode(job, member, scores, salt))
    assert (
        convert(commitment, uint256) == self.slips[job][place][0]
    ), "scores: not as committed"

    packed: uint256 = 0
    for i: uint256 in range(len(scores), bound=64):
        packed |= scores[i] << (16 * (i % 16))
        if i % 16 == 15 or i + 1 == len(scores):
            self.slips[job][place][i // 16] = packed
            packed = 0
    session |= 1 << (REVEALED + place)
    if words._get(session, REVEALED, 16) == words._get(session, COMMITTED, 16):
        session = words._put(session, 80, 40, block.timestamp)
    self.sessions[job] = session


@internal
def _decide(job: uint256, member: address, flags: uint256) -> uint256:
    """
    @notice Sets a member's flag; the last member to decide ends the commit window.
    @return The member's place.
    """
    session: uint256 = self.sessions[job]
    assert block.timestamp < words._get(session, 40, 40), "scores: not in the commit window"
    place: uint256 = self._place(job, session, member)
    assert place != NOBODY, "scores: not a committee member"
    decided: uint256 = words._get(session, COMMITTED, 16) | words._get(session, REFRAINED, 16)
    assert (decided >> place) & 1 == 0, "scores: already acted"
    session |= 1 << (flags + place)
    if decided | (1 << place) == (1 << words._get(session, 120, 8)) - 1:
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
    assert start <= block.timestamp and block.timestamp < deadline, "accusation: closed"
    electorate: uint256 = words._get(self.draws[job], 112, 32)
    assert electorate >= LEAST_ELECTORATE, "accusation: too few electors"
    assert self._is_elector(job, accuser), "accusation: not an elector"
    assert accuser != target, "accusation: against oneself"
    assert self.accusations[job][target] == 0, "accusation: already made"
    if part < 64:
        submitted: uint256 = staticcall MODELS.submitted(job)
        assert (submitted >> part) & 1 == 1, "accusation: not accusable"
    elif part == CHALLENGER:
        assert self.outspoken[job][target], "accusation: not accusable"
        session |= 1 << 177
    else:
        assert (self._acted(session) >> (part - 64)) & 1 == 1, "accusation: already condemned"

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
    assert accusation != 0, "vote: no accusation"
    part: uint256 = accusation >> 200
    deadline: uint256 = self._windows(self.sessions[job])[1] + CHALLENGE_WINDOW + VOTE_WINDOW
    if part == CHALLENGER:
        deadline += VOTE_WINDOW
    assert (
        words._get(accusation, 192, 1) == 0 and block.timestamp < deadline
    ), "vote: closed"
    assert self._is_elector(job, voter), "accusation: not an elector"
    assert voter != target, "vote: by the accused"
    assert not self.votes[job][target][voter], "vote: already cast"

    self.votes[job][target][voter] = True
    self.outspoken[job][voter] = True
    if not guilty:
        return empty(address), 0
    accusation += 1 << 160
    votes: uint256 = words._get(accusation, 160, 32)
    upheld: bool = votes >= self._two_thirds(words._get(self.draws[job], 112, 32))
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
    seed_block: uint256 = words._get(word, 0, 40)
    return (
        words._get(word, 80, 32) >= LEAST_COMMITTEE
        and block.number > seed_block
        and block.number <= seed_block + 256
    )


@view
@external
def tally(job: uint256, published: bool, condemned: uint256) -> Tally:
    """
    @notice What the committee says of the requester and of each model, everybody that has
            not acted being silent.
    @param published Whether the dataset is there.
    @param condemned The condemned members, one bit per place.
    """
    word: uint256 = self.draws[job]
    session: uint256 = self.sessions[job]
    size: uint256 = words._get(session, 120, 8)
    found: Tally = empty(Tally)
    found.committee = size
    if not published:
        found.requesterMalicious = size > 0 or words._get(word, 80, 32) >= LEAST_COMMITTEE
        return found
    if size == 0:
        return found

    quorum: uint256 = self._two_thirds(size)
    acted: uint256 = self._acted(session)
    refrained: uint256 = words._get(session, REFRAINED, 16) & ~condemned
    receivers: uint256 = words._get(session, REVEALED, 16) & ~condemned  # the valid
    if words._count(refrained) >= quorum:
        found.requesterMalicious = True
        receivers = acted & ~condemned
    elif words._count(acted) < quorum:
        receivers = 0
    for place: uint256 in range(size, bound=16):
        member: uint256 = self.members[job][place]
        if (receivers >> place) & 1 == 1:
            found.paid.append(member)
        if (acted >> place) & 1 == 0:
            found.silent.append(words._account(member))
    if receivers != 0 and not found.requesterMalicious:
        found.averages = self._averages(job, word >> 144, size, receivers)
    return found


@view
@internal
def _averages(
    job: uint256, models: uint256, size: uint256, valid: uint256
) -> DynArray[uint256, 64]:
    sums: uint256[64] = empty(uint256[64])
    for place: uint256 in range(size, bound=16):
        if (valid >> place) & 1 == 0:
            continue
        packed: uint256 = 0
        for i: uint256 in range(models, bound=64):
            if i % 16 == 0:
                packed = self.slips[job][place][i // 16]
            sums[i] += packed & 65_535
            packed >>= 16
    count: uint256 = words._count(valid)
    averages: DynArray[uint256, 64] = []
    for i: uint256 in range(models, bound=64):
        averages.append(sums[i] // count)
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
    extra: uint256 = words._get(session, 176, 1) + words._get(session, 177, 1)
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
    commit_end: uint256 = words._get(session, 40, 40)
    if words._get(session, COMMITTED, 16) == 0:
        return commit_end, commit_end
    return commit_end, words._get(session, 80, 40)


@view
@internal
def _acted(session: uint256) -> uint256:
    return words._get(session, REFRAINED, 16) | words._get(session, REVEALED, 16)


@view
@internal
def _place(job: uint256, session: uint256, account: address) -> uint256:
    for place: uint256 in range(words._get(session, 120, 8), bound=16):
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
        staticcall TOKEN.isElector(account, words._get(self.draws[job], 40, 40))
        and not staticcall REPUTATION.condemned(job, account)
    )


@pure
@internal
def _two_thirds(number: uint256) -> uint256:
    return (2 * number + 2) // 3


@view
@internal
def _only_the_protocol():
    assert msg.sender == PROTOCOL, "protocol: only by its front door"
