# pragma version 0.4.3
# pragma optimize codesize
"""
@title ScatterToken
@license Apache-2.0
@notice The protocol's money (paper 3.2 and 3.3): an ERC-20 with permits; rewards
        in escrow, stakes of trainers, stakes of validators and challengers with
        their unbonding; equations 1 to 8; the lottery.
@dev Invariant: balances add up to the supply, which never changes; this
     contract's own balance is the lottery, the rewards in escrow, the trainers'
     stakes and the role stakes of others.
     Trusts: the ScatterProtocol named at construction, which alone moves what is
     locked, and only by the rules below. Calls nobody.
"""

from ethereum.ercs import IERC20

import refusals
import rules
import verdicts
import words

implements: IERC20

# Payments, each with its cause


event TaxPaid:
    job: indexed(uint256)
    requester: indexed(address)
    amount: uint256


event RewardEscrowed:
    job: indexed(uint256)
    requester: indexed(address)
    trainersPart: uint256
    validatorsPart: uint256


event StakeLocked:
    job: indexed(uint256)
    trainer: indexed(address)
    stake: uint256


event TrainerPaid:
    job: indexed(uint256)
    trainer: indexed(address)
    amount: uint256
    stake: uint256
    score: uint256
    weight: uint256
    totalWeight: uint256
    pool: uint256


event ValidatorPaid:
    job: indexed(uint256)
    member: indexed(address)
    amount: uint256
    stake: uint256
    totalStake: uint256
    pool: uint256


event RewardReturned:
    job: indexed(uint256)
    requester: indexed(address)
    trainersPart: uint256
    validatorsPart: uint256


event StakeReturned:
    job: indexed(uint256)
    trainer: indexed(address)
    amount: uint256


event StakeForfeited:
    job: indexed(uint256)
    trainer: indexed(address)
    amount: uint256


event Penalised:
    job: indexed(uint256)
    account: indexed(address)
    role: uint256
    amount: uint256
    offences: uint256
    stakeLeft: uint256


event LotteryWon:
    job: indexed(uint256)
    accuser: indexed(address)
    amount: uint256
    pool: uint256


event LotteryFed:
    job: indexed(uint256)
    amount: uint256


event RoleRegistered:
    account: indexed(address)
    role: uint256
    stake: uint256


event UnstakeRequested:
    account: indexed(address)
    role: uint256
    until: uint256


event RoleWithdrawn:
    account: indexed(address)
    role: uint256
    stake: uint256


name: public(constant(String[32])) = "Scatter"
symbol: public(constant(String[8])) = "SCT"
decimals: public(constant(uint8)) = 18

VALIDATOR: constant(uint256) = 1
CHALLENGER: constant(uint256) = 2
PERMIT: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
# Half of the order of secp256k1: of the two signatures with the same meaning, the lower counts.
HALF_ORDER: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)

PROTOCOL: immutable(address)
TRAINER_RATE: immutable(uint256)
VALIDATOR_RATE: immutable(uint256)
STAKES: immutable(uint256[2])
UNBONDING: immutable(uint256[2])
BASE_PENALTY: immutable(uint256)
PENALTY_MULTIPLIER: immutable(uint256)
HALF_OF_THE_FINE: immutable(bool)

totalSupply: public(immutable(uint256))

accounts: HashMap[address, uint256]  # running jobs 128 | balance 128
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])

lottery: public(uint256)
rewards: HashMap[uint256, uint256]  # per job, the whole reward
seats: HashMap[uint256, HashMap[address, uint256]]  # per job and trainer: its seat, from 1
stakes: HashMap[uint256, HashMap[uint256, uint256]]  # per job and seat: trainer 160 | stake 96

# role 8 | since block 40 | until block 40 | index 32 | free at 40 | stake 96
roles: HashMap[address, uint256]
offences: HashMap[address, uint256]  # as validator 128 | as challenger 128; never falls
sizes: HashMap[uint256, uint256]  # per role: now 32 | before the last block 32 | last block 40
# Per role and index: account 160 | since block 40 | entries in its history 56
holders: HashMap[uint256, HashMap[uint256, uint256]]
history: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]


@deploy
def __init__(protocol: address, treasury: address, p: rules.Parameters):
    """
    @param protocol The front door, at an address known beforehand.
    @param treasury Receives the whole supply.
    @param p Checked by the front door's constructor.
    """
    PROTOCOL = protocol
    TRAINER_RATE = p.trainerRate
    VALIDATOR_RATE = p.validatorRate
    STAKES = [p.validatorStake, p.challengerStake]
    UNBONDING = [p.validatorUnbonding, p.challengerUnbonding]
    BASE_PENALTY = p.basePenalty
    PENALTY_MULTIPLIER = p.penaltyMultiplier
    HALF_OF_THE_FINE = p.lotteryShare == 1
    totalSupply = p.supply
    self.accounts[treasury] = words._put(0, 128, 128, p.supply)
    log IERC20.Transfer(sender=empty(address), receiver=treasury, value=p.supply)


# What the protocol does with a job's money


@external
def escrow(job: uint256, requester: address, reward: uint256):
    """
    @notice Takes a reward: its tax to the lottery, the rest into escrow (eqs. 2, 3, 5, 7).
    """
    self._only_the_protocol()
    self._engage(requester)
    trainersPart: uint256 = 0
    validatorsPart: uint256 = 0
    trainersPart, validatorsPart = self._divide(reward)
    tax: uint256 = reward - trainersPart - validatorsPart
    self.rewards[job] = reward
    self.lottery += tax
    self._move(requester, self, reward)
    log TaxPaid(job=job, requester=requester, amount=tax)
    log RewardEscrowed(
        job=job, requester=requester, trainersPart=trainersPart, validatorsPart=validatorsPart
    )


@external
def lockStake(
    job: uint256, seat: uint256, seats: uint256, trainer: address, stake: uint256, least: uint256
):
    """
    @notice Locks a trainer's stake for one job.
    @param seat The trainer's place in the order of joining, from 0.
    @param seats How many trainers the job takes.
    """
    self._only_the_protocol()
    refusals._require(self.seats[job][trainer] == 0, refusals.ALREADY_JOINED)
    refusals._require(seat < seats, refusals.FULL)
    refusals._require(stake >= least, refusals.STAKE_BELOW_THE_LEAST)
    refusals._require(stake >> 96 == 0, refusals.STAKE_TOO_LARGE)
    self._engage(trainer)
    self.seats[job][trainer] = seat + 1
    self.stakes[job][seat] = words._pair(trainer, stake)
    self._move(trainer, self, stake)
    log StakeLocked(job=job, trainer=trainer, stake=stake)


@external
def punish(job: uint256, account: address, part: uint256, accuser: address):
    """
    @notice Takes the stake of a condemned trainer, or fines a condemned validator or
            challenger (eq. 8); the accuser wins, unless it is nobody.
    @param part The trainer's seat, or 64 plus the member's place; above 79 a challenger.
    """
    self._only_the_protocol()
    fine: uint256 = 0
    if part < 64:
        fine = self._forfeit(job, part)
    else:
        fine = self._penalise(job, account, VALIDATOR if part < 80 else CHALLENGER)
    self._win(job, accuser, fine)


@external
def settle(job: uint256, requester: address, s: verdicts.Settlement):
    """
    @notice Pays everybody at the end of a job. What no payment takes goes to the lottery.
            Without any verdict, for a job that nobody joined, the escrow goes back.
    """
    self._only_the_protocol()
    for place: uint256 in range(16):
        if (s.silent >> place) & 1 == 1:
            self._penalise(job, words._account(s.members[place]), VALIDATOR)
    for seat: uint256 in range(s.trainers, bound=64):
        stake: uint256 = self.stakes[job][seat]
        trainer: address = words._account(stake)
        self._release(trainer)
        if (s.malicious >> seat) & 1 == 1:
            self._forfeit(job, seat)
        else:
            self._move(self, trainer, stake >> 160)
            log StakeReturned(job=job, trainer=trainer, amount=stake >> 160)

    trainersPart: uint256 = 0
    validatorsPart: uint256 = 0
    trainersPart, validatorsPart = self._divide(self.rewards[job])
    self.rewards[job] = 0
    left: uint256 = trainersPart + validatorsPart
    if s.verdict == verdicts.REQUESTER_MALICIOUS or s.verdict == verdicts.NORMAL:
        left -= self._pay_trainers(job, s.paid, trainersPart)
        trainersPart = 0
    if s.verdict >= verdicts.NO_MODEL_ACCEPTED or s.verdict == verdicts.REQUESTER_MALICIOUS:
        left -= self._pay_members(job, s.members, s.receivers, validatorsPart)
        validatorsPart = 0
    left -= trainersPart + validatorsPart
    self._return(job, requester, trainersPart, validatorsPart)
    if left > 0:
        self.lottery += left
        log LotteryFed(job=job, amount=left)
    self._release(requester)


@internal
def _pay_trainers(job: uint256, paid: uint256[64], pool: uint256) -> uint256:
    """
    @notice Equation 4: root of the stake times the square of the score. The square is
            in the paper's prose, not in its formula.
    @return What was paid.
    """
    total: uint256 = 0
    for entry: uint256 in paid:
        if entry > 0:
            total += self._weight(job, entry)

    spent: uint256 = 0
    for entry: uint256 in paid:
        if entry == 0:
            continue
        stake: uint256 = self.stakes[job][entry & 255]
        trainer: address = words._account(stake)
        weight: uint256 = self._weight(job, entry)
        amount: uint256 = weight * pool // total
        spent += amount
        self._move(self, trainer, amount)
        log TrainerPaid(
            job=job,
            trainer=trainer,
            amount=amount,
            stake=stake >> 160,
            score=entry >> 8,
            weight=weight,
            totalWeight=total,
            pool=pool,
        )
    return spent


@view
@internal
def _weight(job: uint256, entry: uint256) -> uint256:
    score: uint256 = entry >> 8
    return self._root(self.stakes[job][entry & 255] >> 160) * score * score


@pure
@internal
def _root(stake: uint256) -> uint256:
    """
    @notice The root of a number below 2^96, rounded down.
    @dev Newton's method from above; the first value that does not fall is the root. The
         compiler's own root takes any number, and three times the code.
    """
    root: uint256 = 2**48
    for i: uint256 in range(64):
        better: uint256 = unsafe_add(root, unsafe_div(stake, root)) >> 1
        if better >= root:
            break
        root = better
    return root


@internal
def _pay_members(
    job: uint256, members: uint256[16], receivers: uint256, pool: uint256
) -> uint256:
    """
    @notice Equation 6, with the stakes recorded at the draw. If all receivers had been
            fined to nothing before it, there is nothing to divide by, and nobody is paid.
    @return What was paid.
    """
    total: uint256 = 0
    for place: uint256 in range(16):
        if (receivers >> place) & 1 == 1:
            total += members[place] >> 160
    if total == 0:
        return 0

    spent: uint256 = 0
    for place: uint256 in range(16):
        if (receivers >> place) & 1 == 0:
            continue
        member: address = words._account(members[place])
        stake: uint256 = members[place] >> 160
        amount: uint256 = stake * pool // total
        spent += amount
        self._move(self, member, amount)
        log ValidatorPaid(
            job=job,
            member=member,
            amount=amount,
            stake=stake,
            totalStake=total,
            pool=pool,
        )
    return spent


@internal
def _return(job: uint256, requester: address, trainersPart: uint256, validatorsPart: uint256):
    if trainersPart + validatorsPart == 0:
        return
    self._move(self, requester, trainersPart + validatorsPart)
    log RewardReturned(
        job=job, requester=requester, trainersPart=trainersPart, validatorsPart=validatorsPart
    )


@internal
def _forfeit(job: uint256, seat: uint256) -> uint256:
    """
    @notice Moves a trainer's stake into the lottery; 0 if that happened before.
    """
    place: uint256 = self.stakes[job][seat]
    amount: uint256 = (place >> 160)
    if amount == 0:
        return 0
    self.stakes[job][seat] = place ^ (amount << 160)
    self.lottery += amount
    log StakeForfeited(job=job, trainer=words._account(place), amount=amount)
    return amount


@internal
def _penalise(job: uint256, account: address, role: uint256) -> uint256:
    """
    @notice Equation 8 on the stake of one role. A role given up has no stake left
            to take; the offence counts all the same.
    """
    record: uint256 = self.roles[account]
    holds: bool = record & 255 == role
    stake: uint256 = (record >> 160) if holds else 0
    low: uint256 = 128 * (role - 1)
    before: uint256 = (self.offences[account] >> low) & (2**128 - 1)
    fine: uint256 = self._penalty(before, stake)
    self.offences[account] += 1 << low
    log Penalised(
        job=job,
        account=account,
        role=role,
        amount=fine,
        offences=before,
        stakeLeft=stake - fine,
    )
    if fine > 0:
        self.lottery += fine
        record -= fine << 160
        if fine == stake and (record >> 48) & (2**40 - 1) == 0:
            record = self._leave(account, record)
        self.roles[account] = record
    return fine


@view
@internal
def _penalty(before: uint256, stake: uint256) -> uint256:
    """
    @dev Stops once the stake is exceeded: the power itself would overflow, and
         the offender could never be fined again.
    """
    price: uint256 = BASE_PENALTY
    if PENALTY_MULTIPLIER > 1:
        for i: uint256 in range(min(before, 96), bound=96):
            if price >= stake:
                break
            price *= PENALTY_MULTIPLIER
    return min(price, stake)


@internal
def _win(job: uint256, accuser: address, fine: uint256):
    if accuser == empty(address):
        return
    pool: uint256 = self.lottery
    amount: uint256 = min(fine // 2, pool) if HALF_OF_THE_FINE else pool
    if amount == 0:
        return
    self.lottery = pool - amount
    self._move(self, accuser, amount)
    log LotteryWon(job=job, accuser=accuser, amount=amount, pool=pool)


@view
@internal
def _divide(reward: uint256) -> (uint256, uint256):
    return reward * TRAINER_RATE // 10_000, reward * VALIDATOR_RATE // 10_000


# What the protocol does with role stakes


@external
def register(account: address, role: uint256, amount: uint256):
    """
    @notice Makes an account validator or challenger; the amount is fixed for the role's life.
    """
    self._only_the_protocol()
    refusals._require(role == VALIDATOR or role == CHALLENGER, refusals.NO_SUCH_ROLE)
    refusals._require(self.roles[account] == 0, refusals.HAS_A_ROLE)
    refusals._require(self.accounts[account] << 128 == 0, refusals.IN_A_RUNNING_JOB)
    refusals._require(
        amount >= STAKES[role - 1] and amount >> 96 == 0, refusals.ROLE_STAKE_OUT_OF_BOUNDS
    )
    index: uint256 = self.sizes[role] & (2**32 - 1)
    self._resize(role, index + 1)
    self._seat(role, index, account)
    self.roles[account] = role | (block.number << 8) | (index << 88) | (amount << 160)
    self._move(account, self, amount)
    log RoleRegistered(account=account, role=role, stake=amount)


@external
def requestUnstake(account: address):
    """
    @notice Takes an account out of all later committees and electorates, for good.
    """
    self._only_the_protocol()
    record: uint256 = self.roles[account]
    refusals._require(record != 0, refusals.NO_ROLE)
    refusals._require((record >> 48) & (2**40 - 1) == 0, refusals.ALREADY_LEAVING)
    self.roles[account] = self._leave(account, record)


@external
def withdraw(account: address):
    """
    @notice Pays out what is left of a role stake after unbonding.
    """
    self._only_the_protocol()
    record: uint256 = self.roles[account]
    refusals._require(record != 0, refusals.NO_ROLE)
    refusals._require((record >> 48) & (2**40 - 1) != 0, refusals.NOT_LEAVING)
    refusals._require(block.timestamp >= (record >> 120) & (2**40 - 1), refusals.STILL_UNBONDING)
    self.roles[account] = 0
    self._move(self, account, (record >> 160))
    log RoleWithdrawn(account=account, role=record & 255, stake=(record >> 160))


@internal
def _leave(account: address, record: uint256) -> uint256:
    """
    @notice Swaps an account out of its role's array; returns its record, now leaving.
    """
    role: uint256 = record & 255
    index: uint256 = (record >> 88) & (2**32 - 1)
    last: uint256 = (self.sizes[role] & (2**32 - 1)) - 1
    if index != last:
        moved: address = words._account(self.holders[role][last])
        self._seat(role, index, moved)
        self.roles[moved] ^= (last ^ index) << 88  # its index was the last
    self._resize(role, last)
    until: uint256 = block.timestamp + UNBONDING[role - 1]
    log UnstakeRequested(account=account, role=role, until=until)
    return record | (block.number << 48) | (until << 120)  # both fields were empty


@internal
def _seat(role: uint256, index: uint256, account: address):
    """
    @notice Gives an index of a role's array to an account, and keeps who held it before.
    @dev Within one block the last holder counts: lookups are as of the end of a block.
    """
    holder: uint256 = self.holders[role][index]
    entries: uint256 = holder >> 200
    if holder != 0 and (holder >> 160) & (2**40 - 1) != block.number:
        self.history[role][index][entries] = holder
        entries += 1
    self.holders[role][index] = (
        convert(account, uint256) | (block.number << 160) | (entries << 200)
    )


@internal
def _resize(role: uint256, size: uint256):
    packed: uint256 = self.sizes[role]
    before: uint256 = self._size_before(packed)
    self.sizes[role] = size | (before << 32) | (block.number << 64)


@view
@internal
def _size_before(packed: uint256) -> uint256:
    low: uint256 = 32 if packed >> 64 == block.number else 0
    return (packed >> low) & (2**32 - 1)


# What the protocol reads


@view
@external
def seatOf(job: uint256, account: address) -> uint256:
    """
    @notice A trainer's place in the order of joining, from 1; 0 for everybody else.
    """
    return self.seats[job][account]


@view
@external
def sizesBefore() -> (uint256, uint256):
    """
    @notice How many validators and challengers were active at the end of the previous block.
    """
    return self._size_before(self.sizes[VALIDATOR]), self._size_before(self.sizes[CHALLENGER])


@view
@external
def validatorAt(index: uint256, number: uint256) -> uint256:
    """
    @notice Who held an index of the validators' array at the end of block `number`, which the
            array then had, and its stake now.
    @return The account, and its stake times 2^160.
    """
    account: address = self._holder_at(VALIDATOR, index, number)
    record: uint256 = self.roles[account]
    stake: uint256 = (record >> 160) if record & 255 == VALIDATOR else 0
    return words._pair(account, stake)


@view
@internal
def _holder_at(role: uint256, index: uint256, number: uint256) -> address:
    holder: uint256 = self.holders[role][index]
    if (holder >> 160) & (2**40 - 1) > number:
        # The first entry later than `number`; the one before it was in force.
        low: uint256 = 0
        high: uint256 = holder >> 200
        for i: uint256 in range(56):
            if low == high:
                break
            middle: uint256 = (low + high) // 2
            if (self.history[role][index][middle] >> 160) & (2**40 - 1) > number:
                high = middle
            else:
                low = middle + 1
        holder = self.history[role][index][low - 1]
    return words._account(holder)


@view
@external
def isElector(account: address, closing: uint256) -> bool:
    """
    @notice Whether an account was an active challenger when block `closing` began, and
            still holds that stake, or some of it.
    """
    record: uint256 = self.roles[account]
    until: uint256 = (record >> 48) & (2**40 - 1)
    return (
        record & 255 == CHALLENGER
        and (record >> 160) > 0
        and (record >> 8) & (2**40 - 1) < closing
        and (until == 0 or until >= closing)
    )


@view
@external
def holdings(account: address) -> (uint256, uint256, uint256, uint256, uint256):
    """
    @notice Balance, role, role stake, when a stake asked back is free (0 while active),
            penalties so far in this role.
    """
    record: uint256 = self.roles[account]
    role: uint256 = record & 255
    offences: uint256 = 0
    if role != 0:
        offences = (self.offences[account] >> (128 * (role - 1))) & (2**128 - 1)
    return (
        self.accounts[account] >> 128,
        role,
        (record >> 160),
        (record >> 120) & (2**40 - 1),
        offences,
    )


# What holders of tokens do (ERC-20, EIP-2612)


@external
def transfer(to: address, amount: uint256) -> bool:
    self._send(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice An allowance of 2^256 - 1 is without limit, and stays.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    refusals._require(allowed >= amount, refusals.ALLOWANCE_TOO_LOW)
    if allowed != max_value(uint256):
        self.allowance[owner][msg.sender] = allowed - amount
    self._send(owner, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    self._approve(msg.sender, spender, amount)
    return True


@external
def permit(
    owner: address,
    spender: address,
    amount: uint256,
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice An approval signed by its owner and sent by anybody (EIP-2612).
    """
    refusals._require(block.timestamp <= deadline, refusals.PERMIT_EXPIRED)
    nonce: uint256 = self.nonces[owner]
    message: bytes32 = keccak256(abi_encode(PERMIT, owner, spender, amount, nonce, deadline))
    digest: bytes32 = keccak256(concat(b"\x19\x01", self._domain(), message))
    signer: address = ecrecover(digest, v, r, s)
    refusals._require(
        signer == owner and owner != empty(address) and convert(s, uint256) <= HALF_ORDER,
        refusals.WRONG_SIGNATURE,
    )
    self.nonces[owner] = nonce + 1
    self._approve(owner, spender, amount)


@view
@external
def DOMAIN_SEPARATOR() -> bytes32:
    return self._domain()


@view
@external
def balanceOf(owner: address) -> uint256:
    return self.accounts[owner] >> 128


@view
@internal
def _domain() -> bytes32:
    return keccak256(
        abi_encode(DOMAIN, keccak256("Scatter"), keccak256("1"), chain.id, self)
    )


@internal
def _approve(owner: address, spender: address, amount: uint256):
    self.allowance[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)


@internal
def _send(sender: address, receiver: address, amount: uint256):
    """
    @dev A gift to this contract would belong to nobody for ever.
    """
    refusals._require(receiver != empty(address) and receiver != self, refusals.TO_NOBODY)
    self._move(sender, receiver, amount)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    """
    @dev The count of running jobs shares the word, below the balance. Balances cannot
         overflow: together they are the supply, below 2^128.
    """
    purse: uint256 = self.accounts[sender]
    refusals._require(purse >> 128 >= amount, refusals.BALANCE_TOO_LOW)
    self.accounts[sender] = purse - (amount << 128)
    self.accounts[receiver] += amount << 128
    log IERC20.Transfer(sender=sender, receiver=receiver, value=amount)


# Who may call, and who is busy


@view
@internal
def _only_the_protocol():
    refusals._require(msg.sender == PROTOCOL, refusals.ONLY_BY_THE_FRONT_DOOR)


@internal
def _engage(account: address):
    """
    @notice Counts one more running job; an account with a role stake has none.
    """
    refusals._require(self.roles[account] == 0, refusals.HAS_A_ROLE)
    self.accounts[account] += 1


@internal
def _release(account: address):
    self.accounts[account] -= 1
