# pragma version 0.4.3
"""
@title Committees
@license Apache-2.0
@notice The committee of each job (paper 3.4): who is eligible, the draw, the
        windows of scoring, commitments and reveals, refrains, averages.
@dev A member commits or refrains once, and reveals once, what it committed to.
"""

import front_door
import refusals
import rules
import words

uses: front_door


interface Roles:
    def sizesBefore() -> (uint256, uint256): view
    def validatorAt(index: uint256, number: uint256) -> uint256: view


NOBODY: constant(uint256) = 16  # no member's place
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

ROLES: immutable(Roles)
PROPORTION: immutable(uint256)
LEAST: immutable(uint256)
MOST: immutable(uint256)
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


@deploy
def __init__(token: address, p: rules.Parameters):
    """
    @param p Checked by the front door's constructor.
    """
    ROLES = Roles(token)
    PROPORTION = p.committeeProportion
    LEAST = p.leastCommittee
    MOST = p.mostCommittee
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
    front_door._only()
    validators: uint256 = 0
    challengers: uint256 = 0
    validators, challengers = staticcall ROLES.sizesBefore()
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
    front_door._only()
    word: uint256 = self.draws[job]
    eligible: uint256 = (word >> 80) & (2**32 - 1)
    seed_block: uint256 = word & (2**40 - 1)
    drawn: uint256[16] = empty(uint256[16])
    enough: bool = eligible >= LEAST
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
    size: uint256 = max(eligible * PROPORTION // 10_000, LEAST)
    size = min(min(size, MOST), eligible)
    drawn = self._shuffle(seed, eligible, size)
    for place: uint256 in range(size, bound=16):
        member: uint256 = staticcall ROLES.validatorAt(
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
    front_door._only()
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
    front_door._only()
    place: uint256 = self._decide(job, member, COMMITTED)
    refusals._require(commitment != empty(bytes32), refusals.EMPTY_COMMITMENT)
    self.slips[job][place][0] = convert(commitment, uint256)


@external
def refrain(job: uint256, member: address):
    """
    @notice Flags the evaluation job as malicious, in place of scores.
    """
    front_door._only()
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
    front_door._only()
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


# What the verdict is made of


@view
@internal
def _models(job: uint256) -> uint256:
    return self.draws[job] >> 144


@view
@internal
def _eligible(job: uint256) -> uint256:
    return (self.draws[job] >> 80) & (2**32 - 1)


@view
@internal
def _electorate(job: uint256) -> uint256:
    return (self.draws[job] >> 112) & (2**32 - 1)


@view
@internal
def _closing(job: uint256) -> uint256:
    """
    @notice The block that closed the training.
    """
    return (self.draws[job] >> 40) & (2**40 - 1)


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
