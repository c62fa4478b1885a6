"""A node refuses contracts that are not those of its package, made as the deployment file says."""

from dataclasses import replace
from typing import Any

import pytest
from tests.adapters.chain_networks import (
    PARAMETERS,
    QUICK,
    RealNetwork,
    deploy_on,
    give_gas_money,
    new_account,
)
from tests.adapters.hostile_endpoint import HostileEndpoint

from scatter.adapters.contracts import (
    DEPLOYMENT_ORDER,
    EVALUATION_JOBS,
    PROTOCOL,
    TOKEN,
    TRAINING_JOBS,
    VOTES,
    immutables,
    load_contract,
    plan_deployment,
)
from scatter.adapters.deployment import Deployment, OtherContracts, check_deployment
from scatter.adapters.evm import open_chain
from scatter.adapters.rpc import WORD, Rpc
from scatter.adapters.transactions import Sender
from scatter.devnet.local import open_local_chain
from scatter.mechanism.units import UNIT, Address, BlockNumber, Tokens

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def network(real_network: RealNetwork) -> RealNetwork:
    return real_network


async def deploy_like(network: RealNetwork, name: str, change: Any) -> Deployment:
    """The seven, one of them changed by a liar, and a file that says that all is well."""
    liar = new_account()
    await give_gas_money(network.rpc, Address(liar.address))
    sender = Sender(network.rpc, liar, 31_337, QUICK)
    plan = plan_deployment(sender.address, 0, sender.address, PARAMETERS)
    for step in plan:
        code = change(step.init_code) if step.name == name else step.init_code
        await sender.send(None, code)
    return replace(network.deployment, contracts={step.name: step.address for step in plan})


async def test_what_this_package_deployed_is_accepted(network: RealNetwork) -> None:
    await check_deployment(network.rpc, network.deployment)


async def test_one_byte_of_other_code_is_refused(network: RealNetwork) -> None:
    runtime = load_contract(TOKEN).runtime
    other = _flip(runtime, len(runtime) // 2)

    lying = await deploy_like(network, TOKEN, lambda code: code.replace(runtime, other))

    with pytest.raises(OtherContracts, match=f"^{TOKEN} at 0x.* is not the contract that"):
        await check_deployment(network.rpc, lying)


@pytest.mark.parametrize(
    ("name", "told"),
    [(TOKEN, "base_penalty"), (PROTOCOL, "least_reward"), (PROTOCOL, "floor_allowed")],
)
async def test_another_parameter_than_the_file_says_is_refused(
    network: RealNetwork, name: str, told: str
) -> None:
    value = getattr(PARAMETERS, told)
    shown = replace(PARAMETERS, **{told: not value if told == "floor_allowed" else value + 1})
    file = replace(network.deployment, parameters=shown)

    with pytest.raises(OtherContracts, match=f"^{name} at 0x.* with another {told} than"):
        await check_deployment(network.rpc, file)


async def test_one_of_the_seven_with_other_parameters_is_refused(network: RealNetwork) -> None:
    short = replace(PARAMETERS, seed_delay=BlockNumber(PARAMETERS.seed_delay + 1))

    def make_anew(code: bytes) -> bytes:
        return code[:-WORD] + short.seed_delay.to_bytes(WORD, "big")

    lying = await deploy_like(network, VOTES, make_anew)

    with pytest.raises(OtherContracts, match=f"^{VOTES} at 0x.* with another seed_delay than"):
        await check_deployment(network.rpc, lying)


async def test_contracts_that_know_other_contracts_are_refused(network: RealNetwork) -> None:
    stranger = bytes.fromhex(new_account().address[2:])

    lying = await deploy_like(network, TRAINING_JOBS, lambda code: code[:-20] + stranger)

    with pytest.raises(OtherContracts, match=f"^{TRAINING_JOBS} at 0x.* another {PROTOCOL} than"):
        await check_deployment(network.rpc, lying)


@pytest.mark.parametrize("name", DEPLOYMENT_ORDER)
async def test_all_of_the_code_and_every_word_behind_it_count(
    network: RealNetwork, name: str
) -> None:
    end = len(load_contract(name).runtime)
    told = immutables(name, network.deployment.contracts, PARAMETERS)
    wrong = {0: "is not the contract", end - 1: "is not the contract"}
    wrong |= {end + place * WORD - 1: f"another {key} than" for place, key in enumerate(told, 1)}
    endpoint = HostileEndpoint(network)
    for place, words in wrong.items():

        def lie(asked: list[Any], code: str, place: int = place) -> str:
            mine = asked[0] == network.deployment.contracts[name]
            return "0x" + _flip(bytes.fromhex(code[2:]), place).hex() if mine else code

        endpoint.lies["eth_getCode"] = lie
        async with endpoint.rpc() as rpc:
            with pytest.raises(OtherContracts, match=f"^{name} at 0x.* {words}"):
                await check_deployment(rpc, network.deployment)


async def test_more_than_the_code_is_refused(network: RealNetwork) -> None:
    endpoint = HostileEndpoint(network)
    endpoint.lies["eth_getCode"] = lambda _, code: code + "00"
    async with endpoint.rpc() as rpc:
        with pytest.raises(OtherContracts, match="is not the contract"):
            await check_deployment(rpc, network.deployment)


async def test_two_contracts_in_each_others_places_are_refused(network: RealNetwork) -> None:
    at = dict(network.deployment.contracts)
    at[TRAINING_JOBS], at[EVALUATION_JOBS] = at[EVALUATION_JOBS], at[TRAINING_JOBS]

    with pytest.raises(OtherContracts, match=TRAINING_JOBS):
        await check_deployment(network.rpc, replace(network.deployment, contracts=at))


async def test_a_node_does_not_join_a_network_of_other_contracts() -> None:
    async with open_local_chain(engine="embedded") as chain, Rpc(chain.rpc_url) as rpc:
        network = await deploy_on(rpc)
        file = replace(
            network.deployment, parameters=replace(PARAMETERS, base_penalty=Tokens(UNIT))
        )
        with pytest.raises(OtherContracts, match="get the file from somebody you trust"):
            async with open_chain(file, new_account()):
                pass


def _flip(code: bytes, place: int) -> bytes:
    return code[:place] + bytes([code[place] ^ 1]) + code[place + 1 :]
