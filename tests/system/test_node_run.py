"""A real `scatter node run` on a local chain: it answers, guards its token, and ends with 0."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from scatter.adapters.deployment import deploy, write_deployment
from scatter.adapters.keystore import LIGHT_SCRYPT_WORK, create_key
from scatter.adapters.rpc import Rpc
from scatter.devnet.local import open_local_chain
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import Address
from scatter.node.config import read_config
from scatter.node.running import find_http

ROOT = Path(__file__).parents[2]
SCATTER = [sys.executable, "-m", "scatter.cli"]
MOST_SECONDS_TO_END = 5.0
MOST_SECONDS = 240.0
"""For a command, on a machine that does other things too."""


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SCATTER, *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


def finish(*arguments: object) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=MOST_SECONDS)
    return process.returncode, out, err


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if " ready " in line:
            return
    pytest.fail("the node ended early: " + "".join(lines))


def set_up(folder: Path, deployment: Path, keystore: Path, password: Path) -> Path:
    code, _, err = finish(
        *("node", "init", folder, "--deployment", deployment, "--keystore", keystore),
        *("--password-file", password, "--port", "0"),
    )
    assert code == 0, err
    return folder / "node.toml"


def test_a_node_answers_guards_its_token_and_ends_with_zero(tmp_path):
    password = tmp_path / "password"
    password.write_text("correct horse")
    keystore = tmp_path / "key.json"
    account = create_key(keystore, "correct horse", work=LIGHT_SCRYPT_WORK)

    async def main():
        me = Address(account.address)
        async with open_local_chain(engine="embedded", funded=[me]) as chain:
            async with Rpc(chain.rpc_url) as rpc:
                made = await deploy(rpc, account, me, local(PAPER), profile="paper")
            write_deployment(tmp_path / "deployment.json", made)
            await asyncio.to_thread(play)

    def play():
        config = set_up(tmp_path / "n", tmp_path / "deployment.json", keystore, password)
        node = start("node", "run", "--config", config)
        try:
            wait_until_ready(node)
            look_around(config)
            node.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            _, err = node.communicate(timeout=30)
            assert node.returncode == 0, err
            assert time.monotonic() - asked < MOST_SECONDS_TO_END
        finally:
            node.kill()

    def look_around(config: Path):
        address = f"http://{find_http(read_config(config))}"
        assert httpx.get(f"{address}/health").json() == {"ok": True}
        assert httpx.get(f"{address}/status").status_code == 401
        code, out, err = finish("status", "--config", config, "--json")
        assert code == 0, err
        assert account.address in out
        code, out, err = finish("status", "--config", config)
        assert code == 0, err
        assert "too few challengers" in out
        second = finish("node", "run", "--config", config)
        assert second[0] == 1
        assert "used by another process" in second[2]
        assert second[2].count("\n") == 1

    asyncio.run(main())
