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

import bonds
import erc20
import front_door
import payments
import refusals
import rules
import verdicts
import words

implements: IERC20

initializes: front_door
initializes: erc20
initializes: bonds[erc20 := erc20, front_door := front_door]

exports: (
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.permit,
    erc20.balanceOf,
    erc20.allowance,
    erc20.totalSupply,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    bonds.register,
    bonds.requestUnstake,
    bonds.withdraw,
    bonds.sizesBefore,
    bonds.validatorAt,
    bonds.isElector,
    bonds.holdings,
)

name: public(constant(String[32])) = "Scatter"
symbol: public(constant(String[8])) = "SCT"
decimals: public(constant(uint8)) = 18

TRAINER_RATE: immutable(uint256)
VALIDATOR_RATE: immutable(uint256)
HALF_OF_THE_FINE: immutable(bool)

lottery: public(uint256)
rewards: HashMap[uint256, uint256]  # per job, the whole reward
seats: HashMap[uint256, HashMap[address, uint256]]  # per job and trainer: its seat, from 1
stakes: HashMap[uint256, HashMap[uint256, uint256]]  # per job and seat: trainer 160 | stake 96


@deploy
def __init__(protocol: address, treasury: address, p: rules.Parameters):
    """
    @param protocol The front door, at an address known beforehand.
    @param treasury Receives the whole supply.
    @param p Checked by the front door's constructor.
    """
    front_door.__init__(protocol)
    erc20.__init__(treasury, p.supply)
    bonds.__init__(p)
    TRAINER_RATE = p.trainerRate
    VALIDATOR_RATE = p.validatorRate
    HALF_OF_THE_FINE = p.lotteryShare == 1


# What the protocol does with a job's money


@external
def escrow(job: uint256, requester: address, reward: uint256):
    """
    @notice Takes a reward: its tax to the lottery, the rest into escrow (eqs. 2, 3, 5, 7).
    """
    front_door._only()
    self._engage(requester)
    trainersPart: uint256 = 0
    validatorsPart: uint256 = 0
    trainersPart, validatorsPart = self._divide(reward)
    tax: uint256 = reward - trainersPart - validatorsPart
    self.rewards[job] = reward
    self.lottery += tax
    erc20._move(requester, self, reward)
    log payments.TaxPaid(job=job, requester=requester, amount=tax)
    log payments.RewardEscrowed(
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
    front_door._only()
    refusals._require(self.seats[job][trainer] == 0, refusals.ALREADY_JOINED)
    refusals._require(seat < seats, refusals.FULL)
    refusals._require(stake >= least, refusals.STAKE_BELOW_THE_LEAST)
    refusals._require(stake >> 96 == 0, refusals.STAKE_TOO_LARGE)
    self._engage(trainer)
    self.seats[job][trainer] = seat + 1
    self.stakes[job][seat] = words._pair(trainer, stake)
    erc20._move(trainer, self, stake)
    log payments.StakeLocked(job=job, trainer=trainer, stake=stake)


@external
def punish(job: uint256, account: address, part: uint256, accuser: address):
    """
    @notice Takes the stake of a condemned trainer, or fines a condemned validator or
            challenger (eq. 8); the accuser wins, unless it is nobody.
    @param part The trainer's seat, or 64 plus the member's place; above 79 a challenger.
    """
    front_door._only()
    fine: uint256 = 0
    if part < 64:
        fine = self._forfeit(job, part)
    else:
        fine = bonds._penalise(job, account, bonds.VALIDATOR if part < 80 else bonds.CHALLENGER)
        self.lottery += fine
    self._win(job, accuser, fine)


@external
def settle(job: uint256, requester: address, s: verdicts.Settlement):
    """
    @notice Pays everybody at the end of a job. What no payment takes goes to the lottery.
            Without any verdict, for a job that nobody joined, the escrow goes back.
    """
    front_door._only()
    for place: uint256 in range(16):
        if (s.silent >> place) & 1 == 1:
            self.lottery += bonds._penalise(job, words._account(s.members[place]), bonds.VALIDATOR)
    for seat: uint256 in range(s.trainers, bound=64):
        stake: uint256 = self.stakes[job][seat]
        trainer: address = words._account(stake)
        erc20._release(trainer)
        if (s.malicious >> seat) & 1 == 1:
            self._forfeit(job, seat)
        else:
            erc20._move(self, trainer, stake >> 160)
            log payments.StakeReturned(job=job, trainer=trainer, amount=stake >> 160)

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
        log payments.LotteryFed(job=job, amount=left)
    erc20._release(requester)


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
        erc20._move(self, trainer, amount)
        log payments.TrainerPaid(
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
        erc20._move(self, member, amount)
        log payments.ValidatorPaid(
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
    erc20._move(self, requester, trainersPart + validatorsPart)
    log payments.RewardReturned(
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
    log payments.StakeForfeited(job=job, trainer=words._account(place), amount=amount)
    return amount


@internal
def _win(job: uint256, accuser: address, fine: uint256):
    if accuser == empty(address):
        return
    pool: uint256 = self.lottery
    amount: uint256 = min(fine // 2, pool) if HALF_OF_THE_FINE else pool
    if amount == 0:
        return
    self.lottery = pool - amount
    erc20._move(self, accuser, amount)
    log payments.LotteryWon(job=job, accuser=accuser, amount=amount, pool=pool)


@view
@internal
def _divide(reward: uint256) -> (uint256, uint256):
    return reward * TRAINER_RATE // 10_000, reward * VALIDATOR_RATE // 10_000


# What the protocol reads


@view
@external
def seatOf(job: uint256, account: address) -> uint256:
    """
    @notice A trainer's place in the order of joining, from 1; 0 for everybody else.
    """
    return self.seats[job][account]


@internal
def _engage(account: address):
    """
    @notice Counts one more running job; an account with a role stake has none.
    """
    refusals._require(not bonds._has_role(account), refusals.HAS_A_ROLE)
    erc20._engage(account)
