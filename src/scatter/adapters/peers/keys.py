"""`/scatter/key/1`: asks the holder of a model's key for it.

    asker   {"job": number, "trainer": 20 bytes, "record": the asker's own}
    holder  {"reply": [model, key commitment, key, signature]}
            {"refused": code, "sentence": text}

The channel proves the asker's peer identifier, and its record, signed by the account, ties that to
the account. The holder's keeper decides who may have which key. No key is ever logged.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from scatter.adapters.peers.book import RecordBook
from scatter.adapters.peers.host import Host
from scatter.adapters.peers.streams import Stream, StreamBroken, receive, send
from scatter.adapters.peers.wire import (
    read_account,
    read_number,
    read_record,
    read_reply,
    write_record,
    write_reply,
)
from scatter.mechanism.units import Address, JobId
from scatter.ports.peers import KeyRefused, KeyReply, PeerRecord, PeerUnreachable
from scatter.ports.statements import BadStatement, Deployment, verify_key_reply

log = logging.getLogger("scatter.peers")

KEY_PROTOCOL: Final = "/scatter/key/1"
KEY_SECONDS: Final = 15.0
MOST_SENTENCE: Final = 200

REFUSED: Final = "refused"
"""The keeper says no."""
NOT_PROVEN: Final = "asker-not-proven"
"""The record does not verify, or is not that of the peer on this channel."""
NOT_SERVING: Final = "not-serving"
"""This node hands out no keys (now)."""
FAILED: Final = "failed"
"""The holder could not look: its own fault, worth another try."""

AskKeeper = Callable[[JobId, Address, Address], Awaitable[KeyReply | None]]
"""The keeper, called from trio; None when there is none. Raises KeyRefused or OSError."""


class KeyServer:
    """The holder's side."""

    def __init__(self, book: RecordBook, account: Address, ask_keeper: AskKeeper) -> None:
        self._book = book
        self._account = account
        self._ask_keeper = ask_keeper

    async def answer(self, stream: Stream, peer_id: str) -> None:
        request = await receive(stream)
        job = JobId(read_number(request, "job"))
        trainer = read_account(request.get("trainer"))
        record = read_record(request.get("record"))
        try:
            self._prove(record, peer_id)
        except BadStatement as error:
            await _refuse(stream, NOT_PROVEN, str(error))
            return
        try:
            reply = await self._ask_keeper(job, trainer, record.account)
        except KeyRefused as refusal:
            await _refuse(stream, REFUSED, str(refusal))
        except (OSError, TimeoutError) as error:
            log.warning("a key request could not be answered: %s", type(error).__name__)
            await _refuse(stream, FAILED, "the holder cannot answer now")
        else:
            if reply is None:
                await _refuse(stream, NOT_SERVING, "this node hands out no keys")
            elif self._is_about(reply, job, trainer, record.account):
                await send(stream, {"reply": write_reply(reply)})
            else:
                log.error("the keeper's reply is about something else; it was not sent")
                await _refuse(stream, FAILED, "the holder cannot answer now")

    def _prove(self, record: PeerRecord, peer_id: str) -> None:
        """Raises BadStatement unless the account of `record` is behind this channel, now."""
        if record.peer_id != peer_id:
            raise BadStatement("the record is that of another peer")
        self._book.check(record)
        self._book.add(record)

    def _is_about(self, reply: KeyReply, job: JobId, trainer: Address, asker: Address) -> bool:
        about = (reply.job, reply.trainer, reply.asker, reply.holder)
        return about == (job, trainer, asker, self._account)


async def ask_key(
    host: Host,
    deployment: Deployment,
    own: PeerRecord,
    holder: PeerRecord,
    *,
    job: JobId,
    trainer: Address,
) -> KeyReply:
    """The asker's side. The reply is verified to be the holder's, about this and for this asker.

    Raises KeyRefused, PeerUnreachable, or StreamBroken when the peer broke off.
    """
    request = {
        "job": job,
        "trainer": bytes.fromhex(trainer.removeprefix("0x")),
        "record": write_record(own),
    }
    async with host.ask(
        holder.peer_id, holder.addresses, KEY_PROTOCOL, request, seconds=KEY_SECONDS
    ) as stream:
        message = await receive(stream)
    if "refused" in message:
        code, sentence = _clean(message["refused"]), _clean(message.get("sentence"))
        if code == FAILED:
            raise PeerUnreachable(f"{holder.account}: {sentence}; try again")
        raise KeyRefused(
            f"{holder.account} refuses the key of {trainer} in job {job}: {sentence} ({code})"
        )
    try:
        reply = read_reply(
            message.get("reply"),
            job=job,
            trainer=trainer,
            asker=own.account,
            holder=holder.account,
        )
        verify_key_reply(reply, deployment)
    except (BadStatement, StreamBroken) as error:
        raise KeyRefused(
            f"{holder.account} answers for job {job}, but not validly: {error}"
        ) from error
    return reply


async def _refuse(stream: Stream, code: str, sentence: str) -> None:
    await send(stream, {"refused": code, "sentence": sentence[:MOST_SENTENCE]})


def _clean(text: object) -> str:
    """A stranger's words, fit to be shown."""
    if not isinstance(text, str):
        return "no reason given"
    return "".join(c if c.isprintable() else " " for c in text[:MOST_SENTENCE])
