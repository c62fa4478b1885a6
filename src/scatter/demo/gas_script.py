"""A job, call by call, by accounts of its own: what `scatter gas` measures.

No nodes and no sandbox: the models are names only, since their content never touches the chain.
An honest job is played twice and the second one counts, because the first also pays for storage
that every later job finds in place. In a third a member lies, is accused and condemned.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from scatter.adapters.deployment import deploy
from scatter.adapters.evm import EvmChain
from scatter.adapters.rpc import Rpc, quantity
from scatter.adapters.transactions import Patience, Sender, load_signer
from scatter.demo.cast import INITIAL_SUPPLY, MOST_OF_A_PART
from scatter.demo.gas import GasBill, add_up_deployment, add_up_gas
from scatter.devnet.local import Engine, open_local_chain
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.job import fold, settleable_at
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import (
    UNIT,
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Seconds,
    Timestamp,
    Tokens,
)
from scatter.ports.chain import JobOrder

TARGETS = {"deployment": 8_000_000, "transactions": 24, "job": 2_800_000, "settlement": 16_700_000}
"""The most that a deployment, an honest job of 6 trainers, 3 validators and 2 challengers, and the
settlement of any job should cost; the last is the cap of one transaction (EIP-7825)."""

PARAMETERS = local(
    PAPER, join=3_600, dataset=3_600, commit=3_600, reveal=3_600, challenge=60, vote=30
)
STAKE = Tokens(1_000 * UNIT)
_QUICK = Patience(poll=0.02)
_SALT = keccak(text="a salt for measuring")
_DATASET = Digest(keccak(text="a dataset"))


@dataclass(frozen=True)
class GasMeasured:
    """What a deployment, an honest job, and one with an accusation cost."""

    chain: str
    deployment: GasBill
    """By contract."""
    job: GasBill
    """The honest job, by call."""
    accused: GasBill | None
    """One in which the electorate condemns a member; None where one challenger has nobody to
    vote with it."""


@dataclass(frozen=True)
class _Players:
    requester: EvmChain
    trainers: Sequence[EvmChain]
    validators: Sequence[EvmChain]
    challengers: Sequence[EvmChain]


async def measure_gas(
    trainers: int, validators: int, challengers: int, *, engine: Engine = "any"
) -> GasMeasured:
    """Plays the script on a local chain of its own and reads the receipts. Raises BadInput."""
    counts = {"trainer": trainers, "validator": validators, "challenger": challengers}
    for part, count in counts.items():
        if not 1 <= count <= MOST_OF_A_PART[part]:
            raise BadInput(f"--{part}s is {count}; it must be from 1 to {MOST_OF_A_PART[part]}.")
    names = [f"{part} {number}" for part, count in counts.items() for number in range(count)]
    keys = {name: keccak(text=f"scatter gas {name}") for name in ["treasury", "requester", *names]}
    funded = [Address(load_signer(key).address) for key in keys.values()]
    async with open_local_chain(engine=engine, funded=funded) as chain, Rpc(chain.rpc_url) as rpc:
        treasury = load_signer(keys["treasury"])
        deployment = await deploy(
            rpc, treasury, Address(treasury.address), PARAMETERS, patience=_QUICK
        )
        last = await _height(rpc)
        of_deployment = await add_up_deployment(rpc, deployment, last)

        def access(name: str) -> EvmChain:
            sender = Sender(rpc, load_signer(keys[name]), deployment.chain_id, _QUICK)
            return EvmChain(rpc, deployment, sender)

        players = _Players(
            access("requester"),
            *([access(name) for name in names if name.startswith(part)] for part in counts),
        )
        await _equip(access("treasury"), players)
        await _play(rpc, players, JobId(1))
        first = BlockNumber(await _height(rpc) + 1)
        await _play(rpc, players, JobId(2))
        of_job = await add_up_gas(rpc, deployment, first, await _height(rpc))
        of_accused = None
        if challengers >= PARAMETERS.least_electorate:
            first = BlockNumber(await _height(rpc) + 1)
            await _play(rpc, players, JobId(3), lies=True)
            of_accused = await add_up_gas(rpc, deployment, first, await _height(rpc))
    return GasMeasured(chain.name, of_deployment, of_job, of_accused)


async def _equip(treasury: EvmChain, players: _Players) -> None:
    everybody = [players.requester, *players.trainers, *players.validators, *players.challengers]
    await asyncio.gather(*(treasury.transfer(p.account, INITIAL_SUPPLY) for p in everybody))
    p = PARAMETERS
    await asyncio.gather(
        *(v.register(Role.VALIDATOR, p.validator_stake) for v in players.validators),
        *(c.register(Role.CHALLENGER, p.challenger_stake) for c in players.challengers),
    )


async def _play(rpc: Rpc, players: _Players, job: JobId, *, lies: bool = False) -> None:
    """From the offer to the settlement. While nobody lies the challengers have nothing to send."""
    requester = players.requester
    await requester.create(_order(len(players.trainers)))
    await asyncio.gather(*(trainer.join(job, STAKE) for trainer in players.trainers))
    await requester.start(job)
    await asyncio.gather(
        *(
            trainer.submit_model(job, _digest("model", job, trainer), _digest("key", job, trainer))
            for trainer in players.trainers
        )
    )
    await _pass_time(rpc, 1, blocks=PARAMETERS.seed_delay + 1)
    await requester.publish_dataset(job, _DATASET, _SALT)
    honest = [Score(9_000 + place) for place in range(len(players.trainers))]
    cards = [(v, honest) for v in players.validators]
    if lies:
        cards[0] = players.validators[0], honest[::-1]
    await asyncio.gather(
        *(
            v.commit_scores(job, commit_to_scores(job, v.account, scores, _SALT))
            for v, scores in cards
        )
    )
    await asyncio.gather(*(v.reveal_scores(job, v.account, scores, _SALT) for v, scores in cards))
    if lies:
        await _condemn(players.challengers, job, players.validators[0].account)
    due = settleable_at(fold(await requester.history(job), PARAMETERS)) or Timestamp(0)
    await _pass_time(rpc, due - (await requester.head()).time, blocks=1)
    await requester.settle(job)


async def _condemn(challengers: Sequence[EvmChain], job: JobId, member: Address) -> None:
    """One accuses, and the others vote until the accusation is upheld."""
    first, *others = challengers
    await first.accuse(job, member)
    for voter in others:
        view = fold(await first.history(job), PARAMETERS)
        if view.accusations[member].upheld:
            return
        await voter.vote(job, member, True)


def _order(trainers: int) -> JobOrder:
    return JobOrder(
        training_job=Digest(keccak(text="a training job")),
        evaluation_job=Digest(keccak(text="an evaluation job")),
        dataset_commitment=commit_to_dataset(_DATASET, _SALT),
        topic="handwritten-digits",
        reward=Tokens(1_000 * UNIT),
        threshold=Score(4_000),
        floor=Score(4_000),
        most_trainers=trainers,
        least_stake=STAKE,
        training_time=Seconds(600),
    )


def _digest(what: str, job: JobId, trainer: EvmChain) -> Digest:
    return Digest(keccak(text=f"{what} {job} {trainer.account}"))


async def _pass_time(rpc: Rpc, seconds: int, *, blocks: int) -> None:
    await rpc.ask("evm_increaseTime", seconds)
    for _ in range(blocks):
        await rpc.ask("evm_mine")


async def _height(rpc: Rpc) -> BlockNumber:
    return BlockNumber(quantity(await rpc.ask("eth_blockNumber")))
