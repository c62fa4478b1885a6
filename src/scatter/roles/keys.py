"""The keys of models: who may ask for one, and how one is got and kept.

`docs/protocol.md`, section 8. Committee members may ask from the draw on, the electorate while a
job is in CHALLENGE, the requester once the trainer was paid as accepted. The trainer answers, and
so does everybody that verified the key: whoever hands it to some cannot keep it from the others.
"""

import hmac
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_account.signers.local import LocalAccount

from scatter.lifecycle.job import Job, Trainer, fold
from scatter.lifecycle.keys import may_ask_for_key
from scatter.mechanism.units import Address, JobId
from scatter.ports.peers import KeyRefused, KeyReply, PeerUnreachable
from scatter.ports.statements import Deployment, sign_key_reply
from scatter.ports.store import Kind
from scatter.roles.duty import Surroundings
from scatter.roles.letters import key_by_letter, model_context
from scatter.sealing import Key, key_commitment

MOST_MEMBERS: Final = 3
"""Of the committee, asked in one attempt when the trainer has not answered."""


@dataclass(frozen=True)
class KeyKeeping:
    """Hands over the keys that this node has, to whom the chain entitles; a `KeyKeeper`."""

    surroundings: Surroundings
    signer: LocalAccount

    async def __call__(self, job: JobId, trainer: Address, asker: Address) -> KeyReply:
        chain, store = self.surroundings.chain, self.surroundings.store
        history = await chain.history(job)
        if not history:
            raise KeyRefused(f"There is no job {job}.")
        view = fold(history, chain.parameters)
        owner = view.trainers.get(trainer)
        if owner is None or owner.model is None or owner.key_commitment is None:
            raise KeyRefused(f"{trainer} has no model in job {job}.")
        head, is_elector = await chain.head(), await chain.is_elector(job, asker)
        if not may_ask_for_key(view, trainer, asker, head.time, is_elector=is_elector):
            raise KeyRefused(f"{asker} may not have the key of {trainer} in job {job} now.")
        key = await store.recall(Kind.MODEL_KEY, job, trainer)
        if key is None:
            raise KeyRefused(f"The key of {trainer} in job {job} is not here.")
        chain_id, contract = self.surroundings.sealing_context
        return sign_key_reply(
            self.signer,
            Deployment(chain_id, contract),
            job=job,
            trainer=trainer,
            model=owner.model,
            key_commitment=owner.key_commitment,
            key=key,
            asker=asker,
        )


def likely_holders(job: Job, trainer: Address, own: Address) -> list[Address]:
    """Whom to ask: the trainer, then a few of the committee, others every time."""
    members = [member for member in job.committee if member != own]
    few = min(MOST_MEMBERS, len(members))
    return [trainer, *random.sample(members, few)]


async def obtain_key(
    surroundings: Surroundings, job: Job, trainer: Trainer, holders: Sequence[Address]
) -> Key:
    """The key that opens `trainer`'s model: from the store, else from the first holder with it,
    else, for a member of the committee, over the chain.

    A key is believed only if it matches the commitment on chain, and is kept then. Raises
    KeyRefused or PeerUnreachable with what the first holder said.
    """
    store, peers = surroundings.store, surroundings.peers
    known = await store.recall(Kind.MODEL_KEY, job.number, trainer.account)
    if known is not None:
        return Key(known)
    sealed_to = model_context(surroundings, job, trainer.account)
    problem: KeyRefused | PeerUnreachable | None = None
    for holder in holders:
        try:
            reply = await peers.request_key(job.number, trainer.account, holder)
        except (KeyRefused, PeerUnreachable) as refusal:
            problem = problem or refusal
            continue
        commitment = key_commitment(Key(reply.key), sealed_to)
        if hmac.compare_digest(commitment, trainer.key_commitment or b""):
            await store.keep(Kind.MODEL_KEY, job.number, trainer.account, reply.key)
            return Key(reply.key)
        problem = problem or KeyRefused(
            f"{holder} handed over a key that does not match its commitment."
        )
    key = await key_by_letter(surroundings, job, trainer)
    if key is not None:
        await store.keep(Kind.MODEL_KEY, job.number, trainer.account, key)
        return key
    raise problem or KeyRefused(
        f"Nobody is known to hold the key of {trainer.account} in job {job.number}."
    )
