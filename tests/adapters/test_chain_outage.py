"""The endpoint is gone for a minute: a node waits, says so once, and goes on where it was."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.adapters.chain_networks import RealNetwork
from tests.adapters.hostile_endpoint import HostileEndpoint
from tests.adapters.test_chain import ORDER, STAKE
from tests.unit.test_api import TOKEN, Alone, Bench

from scatter.fakes.store import FakeStore
from scatter.mechanism.units import JobId
from scatter.node.api import operator_api
from scatter.node.follower import follow
from scatter.node.operator import Identity, Operator
from scatter.ports.sandbox import Isolation

pytestmark = pytest.mark.anyio

MOST_SECONDS = 30


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Outage:
    """Cuts the line when told to, for a minute of the follower's own time."""

    def __init__(self, endpoint: HostileEndpoint) -> None:
        self._endpoint = endpoint
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if self._endpoint.is_down:
            self.pauses.append(seconds)
            self._endpoint.is_down = sum(self.pauses) < 60
        await asyncio.sleep(0)


async def test_the_follower_waits_says_so_once_and_misses_nothing(
    real_network: RealNetwork,
) -> None:
    endpoint = HostileEndpoint(real_network)
    requester, trainer = await real_network.join(), await real_network.join()
    chain = real_network.through(endpoint.rpc(), trainer)
    first = await requester.create(ORDER)
    outage, store = Outage(endpoint), FakeStore()
    delivered: list[JobId] = []

    async def handle(job: JobId) -> None:
        delivered.append(job)

    async def until_delivered(job: JobId) -> None:
        while job not in delivered:
            assert not following.done()
            await asyncio.sleep(0)

    with capture_logs() as said:
        following = asyncio.create_task(
            follow(
                chain,
                store,
                handle,
                start=real_network.deployment.block,
                poll_seconds=1.0,
                sleep=outage.sleep,
            )
        )
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await until_delivered(first)
                before = len(delivered)
                endpoint.is_down = True
                second = await requester.create(ORDER)
                await trainer.join(second, STAKE)
                await until_delivered(second)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    assert outage.pauses == [2.0, 4.0, 8.0, 16.0, 30.0]
    assert set(delivered[before:]) == {second}
    assert [line["event"] for line in said] == [
        "the chain is out of reach, waiting for it",
        "the chain is back",
    ]
    assert "does not answer (ConnectError)" in said[0]["reason"]


async def test_the_interface_answers_503_meanwhile(real_network: RealNetwork) -> None:
    endpoint = HostileEndpoint(real_network)
    chain = real_network.through(endpoint.rpc(), await real_network.join())
    job = await chain.create(ORDER)
    identity = Identity(
        name="node-1",
        roles=("requester",),
        chain_name="test",
        chain_id=real_network.deployment.chain_id,
        protocol=chain._protocol,
        http="127.0.0.1:1",
        peer_addresses=(),
        gateway="http://127.0.0.1:2",
        minimum=Isolation.GUEST_KERNEL,
    )
    alone: Any = Alone()
    bench: Any = Bench()
    operator = Operator(identity, chain, alone, alone, bench, review=alone)
    transport = httpx.ASGITransport(operator_api(operator, TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://node", headers=headers
    ) as client:

        async def statuses() -> list[int]:
            reads = ["/status", "/balance", "/jobs", f"/jobs/{job}"]
            answers = [await client.get(path) for path in reads]
            answers.append(await client.post(f"/jobs/{job}/start"))
            for answer in answers:
                if answer.status_code == 503:
                    sentence = answer.json()["error"]
                    assert 0 < len(sentence) < 200
                    assert "Traceback" not in sentence
            return [answer.status_code for answer in answers]

        endpoint.is_down = True
        assert await statuses() == [503] * 5
        assert (await client.get("/health")).status_code == 200
        endpoint.is_down, endpoint.body = False, b"[" * 100
        assert await statuses() == [503] * 5
        endpoint.body = None
        assert await statuses() == [200, 200, 200, 200, 409]
