"""A submitted model, on this node's disk: key obtained, seal opened, schema and numbers checked."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from scatter.learning.model_file import check_model
from scatter.learning.model_schema import ModelSchema
from scatter.lifecycle.job import Trainer
from scatter.mechanism.units import Address
from scatter.ports.content import ContentRefused
from scatter.roles.keys import obtain_key
from scatter.roles.letters import model_context
from scatter.roles.workplace import SEAL_SLACK, SEALED_MODEL, Workplace
from scatter.sealing import open_sealed


async def open_model(
    workplace: Workplace, trainer: Trainer, schema: ModelSchema, holders: Sequence[Address]
) -> Path:
    """The model's file; what was opened before is not opened again.

    Raises KeyRefused, PeerUnreachable or ContentNotFound when asking again may help;
    ContentRefused, SealBroken, WrongKey or ModelRefused when it never will.
    """
    path = workplace.folder / f"{trainer.account}.safetensors"
    if path.exists():
        return path
    surroundings, job = workplace.surroundings, workplace.job
    commitment = trainer.key_commitment
    assert commitment is not None, "only submitted models are opened"
    most = schema.size + SEAL_SLACK
    key = await obtain_key(surroundings, job, trainer, holders)
    sealed = await workplace.sealed_model(trainer, most)
    if not sealed.is_file():
        raise ContentRefused(f"The folder of {trainer.account} has no file {SEALED_MODEL}.")
    context = model_context(surroundings, job, trainer.account)
    opened = workplace.fresh(f"{trainer.account}.unchecked")
    await asyncio.to_thread(open_sealed, sealed, opened, key, context, commitment, most_bytes=most)
    await asyncio.to_thread(check_model, opened, schema)
    opened.rename(path)
    return path
