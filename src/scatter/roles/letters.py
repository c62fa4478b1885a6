"""Keys by letter: the way over the chain when a trainer does not answer in private.

What is said there everybody sees, so it decides whose fault a missing key is (`docs/protocol.md`,
section 8): a member's 0 for a model is no lie if it asked in time and had no right answer in time.
"""

import hmac

import structlog

from scatter.lifecycle.job import Job, Member, Trainer
from scatter.lifecycle.keys import KeyAnswered, Letters, Post, post
from scatter.mechanism.units import Address, BlockNumber
from scatter.ports.store import Kind
from scatter.roles.duty import Surroundings
from scatter.sealing import Key, SealBroken, context, key_commitment, new_key
from scatter.sealing.letters import (
    Disclosure,
    LetterKey,
    Request,
    encode_disclosure,
    encode_request,
    new_letter_key,
    open_letter,
    public_half,
    read_request,
    seal_letter,
)

log = structlog.get_logger()


def model_context(surroundings: Surroundings, job: Job, trainer: Address) -> bytes:
    """What a sealed model is bound to: chain, contract, job and trainer."""
    chain_id, contract = surroundings.sealing_context
    return context(chain_id, contract, job.number, trainer)


async def key_by_letter(surroundings: Surroundings, job: Job, trainer: Trainer) -> Key | None:
    """A member's next step on this way: asks, reads the answer, or shows that it is wrong.

    None while there is no right answer, and for whoever is no member.
    """
    chain = surroundings.chain
    if chain.account not in job.committee or job.scoring_opened_at is None:
        return None
    hours, now = post(job), (await chain.head()).time
    if now < hours.ask_from:
        return None
    letters = await _letters(surroundings, job, trainer.account, chain.account)
    private = await _own_letter_key(surroundings, job, trainer.account)
    asked = any(letter.public_key == encode_request(private) for letter in letters.requests)
    if not asked:
        if now < hours.ask_by:
            log.info("asks for a key over the chain", job=job.number, trainer=trainer.account)
            await chain.request_key(job.number, trainer.account, encode_request(private))
        return None
    if not letters.answers:
        return None
    sealed_to = model_context(surroundings, job, trainer.account)
    key = _open(letters.answers[0], private, trainer, sealed_to)
    disclosure = encode_disclosure(private)
    if key is None and all(letter.public_key != disclosure for letter in letters.requests):
        log.warning("was sent a wrong key", job=job.number, trainer=trainer.account)
        await chain.request_key(job.number, trainer.account, disclosure)
    return key


async def answer_letters(surroundings: Surroundings, job: Job) -> None:
    """A trainer's part: every member that asked has one answer, as long as it counts."""
    chain = surroundings.chain
    own = job.trainers.get(chain.account)
    if own is None or own.model is None or job.scoring_opened_at is None:
        return
    if (await chain.head()).time > post(job).answer_by:
        return
    key = await surroundings.store.recall(Kind.MODEL_KEY, job.number, chain.account)
    if key is None:
        return
    for member in job.committee:
        letters = await _letters(surroundings, job, chain.account, member)
        request = _request(letters, post(job))
        if request is None or letters.answers:
            continue
        sealed_to = model_context(surroundings, job, chain.account)
        await chain.answer_key(
            job.number, member, seal_letter(Key(key), request, sealed_to, member)
        )
        log.info("answered over the chain", job=job.number, member=member)


async def was_kept_from(
    surroundings: Surroundings, job: Job, trainer: Trainer, member: Member
) -> bool:
    """Whether everybody can see that this member did not get the key, through no fault of its own.

    Only what was said before it committed counts, and only if it waited for the answer: so the
    same holds for whoever looks, whenever he looks.
    """
    hours, committed_at = post(job), member.committed_at
    if committed_at is None or committed_at < hours.answer_by:
        return False
    letters = await _letters(surroundings, job, trainer.account, member.account)
    request = _request(letters, hours)
    if request is None:
        return False
    if not letters.answers or letters.answers[0].time > hours.answer_by:
        return True
    for letter in letters.requests:
        match read_request(letter.public_key):
            case Disclosure(private) if public_half(private) == request.public:
                sealed_to = model_context(surroundings, job, trainer.account)
                wrong = _open(letters.answers[0], private, trainer, sealed_to) is None
                return wrong and letter.time <= committed_at
    return False


async def _letters(
    surroundings: Surroundings, job: Job, trainer: Address, member: Address
) -> Letters:
    since = BlockNumber(job.seed_block or 0)
    return await surroundings.chain.letters(job.number, trainer, member, since)


async def _own_letter_key(surroundings: Surroundings, job: Job, trainer: Address) -> LetterKey:
    """The pair for this letter, on disk before anybody is asked to seal to it."""
    store = surroundings.store
    kept = await store.recall(Kind.LETTER_KEY, job.number, trainer)
    if kept is None:
        kept = new_letter_key()
        await store.keep(Kind.LETTER_KEY, job.number, trainer, kept)
    return LetterKey(kept)


def _request(letters: Letters, hours: Post) -> Request | None:
    """The first that came in time and can be answered; no later one counts."""
    for letter in letters.requests:
        if letter.time > hours.ask_by:
            return None
        request = read_request(letter.public_key)
        if isinstance(request, Request) and _can_be_answered(request):
            return request
    return None


def _can_be_answered(request: Request) -> bool:
    try:
        seal_letter(new_key(), request, bytes(32), Address("0x" + "00" * 20))
    except SealBroken:
        return False
    return True


def _open(
    letter: KeyAnswered, private: LetterKey, trainer: Trainer, sealed_to: bytes
) -> Key | None:
    """The key inside, if it is the one that the trainer committed to."""
    try:
        key = open_letter(letter.sealed_key, private, sealed_to, letter.asker)
    except SealBroken:
        return None
    right = hmac.compare_digest(key_commitment(key, sealed_to), trainer.key_commitment or b"")
    return key if right else None
