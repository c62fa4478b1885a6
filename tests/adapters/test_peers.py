"""The peers port: one suite for libp2p on loopback and for its fake."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from scatter.adapters.peers import LibP2PPeers
from scatter.fakes.peers import FakeNetwork, FakePeers
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.peers import KeyKeeper, KeyRefused, KeyReply, PeerUnreachable
from scatter.ports.statements import Deployment, sign_key_reply, verify_key_reply

pytestmark = pytest.mark.anyio

DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
JOB = JobId(7)
KEY = b"k" * 32

AnyPeers = LibP2PPeers | FakePeers
Join = Callable[..., Awaitable[AnyPeers]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["fake", "libp2p"])
async def join(request: pytest.FixtureRequest) -> AsyncIterator[Join]:
    """Lets an account join a network of its own."""
    if request.param == "fake":
        network = FakeNetwork(DEPLOYMENT)

        async def join_fake(signer: LocalAccount, gateway: str = "") -> AnyPeers:
            return network.join(signer, gateway)

        yield join_fake
        return
    numbers = itertools.count(1)
    async with AsyncExitStack() as stack:
        first: list[LibP2PPeers] = []

        async def join_libp2p(signer: LocalAccount, gateway: str = "") -> AnyPeers:
            peers = await stack.enter_async_context(
                LibP2PPeers.open(
                    bytes([next(numbers)]) * 32,
                    ["/ip4/127.0.0.1/tcp/0"],
                    signer,
                    DEPLOYMENT.chain_id,
                    DEPLOYMENT.protocol,
                    gateway=gateway,
                    bootstrap=first[0].addresses if first else (),
                    interval=0.2,
                )
            )
            first.append(peers)
            return peers

        yield join_libp2p


@pytest.fixture
def trainer() -> LocalAccount:
    return Account.create()


@pytest.fixture
def validator() -> LocalAccount:
    return Account.create()


def keeper_of(holder: LocalAccount, trainer: Address | None = None) -> KeyKeeper:
    async def keep(job: JobId, of: Address, asker: Address) -> KeyReply:
        return sign_key_reply(
            holder,
            DEPLOYMENT,
            job=job,
            trainer=trainer or of,
            model=Digest(b"m" * 32),
            key_commitment=Digest(b"c" * 32),
            key=KEY,
            asker=asker,
        )

    return keep


async def until(condition: Callable[[], object]) -> None:
    """Waits for what the network brings about; fails after 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the port has no event for it
            await asyncio.sleep(0.01)


async def test_hands_over_a_key_with_the_holders_signature(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    holder, asker = await join(trainer), await join(validator)
    holder.serve_keys(keeper_of(trainer))

    reply = await asker.request_key(JOB, holder.account, holder.account)

    assert (reply.key, reply.job, reply.asker) == (KEY, JOB, asker.account)
    verify_key_reply(reply, DEPLOYMENT)


async def test_a_validator_may_hold_the_key_of_another(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    holder, requester = await join(validator), await join(Account.create())
    holder.serve_keys(keeper_of(validator))

    reply = await requester.request_key(JOB, Address(trainer.address), holder.account)

    assert (reply.trainer, reply.holder) == (trainer.address, validator.address)


async def test_the_keepers_refusal_reaches_the_asker(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    async def keep(job: JobId, of: Address, asker: Address) -> KeyReply:
        raise KeyRefused(f"{asker} is not on the committee")

    holder, asker = await join(trainer), await join(validator)
    holder.serve_keys(keep)

    with pytest.raises(KeyRefused, match=f"{validator.address} is not on the committee"):
        await asker.request_key(JOB, holder.account, holder.account)


async def test_a_node_without_a_keeper_refuses(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    holder, asker = await join(trainer), await join(validator)

    with pytest.raises(KeyRefused, match="hands out no keys"):
        await asker.request_key(JOB, holder.account, holder.account)


async def test_a_forged_reply_is_refused(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    honest = keeper_of(trainer)

    async def forge(job: JobId, of: Address, asker: Address) -> KeyReply:
        return replace(await honest(job, of, asker), key=b"x" * 32)

    holder, asker = await join(trainer), await join(validator)
    holder.serve_keys(forge)

    with pytest.raises(KeyRefused, match="not validly"):
        await asker.request_key(JOB, holder.account, holder.account)


async def test_a_reply_about_another_model_is_not_taken(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    holder, asker = await join(trainer), await join(validator)
    holder.serve_keys(keeper_of(trainer, trainer=Address(validator.address)))

    with pytest.raises(PeerUnreachable, match="cannot answer now"):
        await asker.request_key(JOB, holder.account, holder.account)


async def test_an_account_that_nobody_knows_is_unreachable(
    join: Join, trainer: LocalAccount
) -> None:
    asker = await join(trainer)

    with pytest.raises(PeerUnreachable, match="no peer knows"):
        await asker.request_key(JOB, asker.account, Address(Account.create().address))


async def test_knows_the_others_and_prefers_the_gateways_asked_for(
    join: Join, trainer: LocalAccount, validator: LocalAccount
) -> None:
    first = await join(trainer, "http://127.0.0.1:8001")
    second = await join(validator, "http://127.0.0.1:8002")
    third = await join(Account.create())

    await until(lambda: len(third.records()) == 2)

    assert {one.account for one in third.records()} == {first.account, second.account}
    for wanted, other in ((first, second), (second, first)):
        assert list(third.gateways([wanted.account])) == [
            wanted.record.gateway,
            other.record.gateway,
        ]
