"""What is wrong around a real node on a real chain, and the one sentence that says so.

The chain is what `scatter devnet` runs, one node is what `scatter node run` runs; the others are
set up, spoilt in one way, and must end with code 1.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from scatter.cli.application import run
from scatter.devnet.free_port import find_free_port

ROOT = Path(__file__).parents[2]
SCATTER = [sys.executable, "-m", "scatter.cli"]
TINY = 192 << 10
"""Bytes of a disk on which no node has room."""


@dataclass(frozen=True)
class Network:
    """A folder with a running devnet in it, and a running node `ready`."""

    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("network")
    with contextlib.ExitStack() as stack:
        devnet = ["devnet", "--out", folder, "--accounts", "2", "--port", find_free_port()]
        stack.enter_context(running([*devnet, "--engine", "embedded"], "Ctrl-C ends", "stdout"))
        known = Network(folder)
        node = set_up(known, "ready", account=1)
        stack.enter_context(running(["node", "run", "--config", node], " ready ", "stderr"))
        yield known


@contextlib.contextmanager
def running(arguments: list[object], word: str, stream: str) -> Iterator[None]:
    """Runs `scatter` beside the test, from the line with `word` on."""
    process = subprocess.Popen(
        [*SCATTER, *map(str, arguments)],
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        **{stream: subprocess.PIPE},  # type: ignore[call-overload]
    )
    try:
        lines: list[str] = []
        for line in getattr(process, stream):
            lines.append(line)
            if word in line:
                break
        else:
            pytest.fail("it ended early: " + "".join(lines))
        yield
    finally:
        process.terminate()
        process.communicate()


def set_up(network: Network, name: str, *, account: int = 2) -> Path:
    """A node of a funded account; its ports are the system's choice."""
    made = ["node", "init", network.file(name), "--deployment", network.file("deployment.json")]
    made += ["--keystore", network.file(f"accounts/account-{account}.json"), "--port", 0]
    code = run([str(a) for a in [*made, "--password-file", network.file("password")]])
    assert code == 0
    return network.file(name) / "node.toml"


Spoil = Callable[[Path], contextlib.AbstractContextManager[None]]
"""Does one thing wrong to the node whose node.toml is given."""


def in_config(written: str, instead: str) -> Spoil:
    @contextlib.contextmanager
    def spoil(config: Path) -> Iterator[None]:
        text = config.read_text()
        assert re.search(written, text, re.M), text
        config.write_text(re.sub(written, instead, text, flags=re.M))
        yield

    return spoil


def in_deployment(change: Callable[[dict[str, Any]], None]) -> Spoil:
    @contextlib.contextmanager
    def spoil(config: Path) -> Iterator[None]:
        content = json.loads((config.parents[1] / "deployment.json").read_text())
        change(content)
        own = config.with_name("spoilt.json")
        own.write_text(json.dumps(content))
        with in_config('^deployment = ".*"', f'deployment = "{own}"')(config):
            yield

    return spoil


def on_disk(name: str, content: bytes) -> Spoil:
    @contextlib.contextmanager
    def spoil(config: Path) -> Iterator[None]:
        file = config.parent / "data" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        yield

    return spoil


@contextlib.contextmanager
def port_taken(config: Path) -> Iterator[None]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with in_config(r'(\[http\]\n#.*\nlisten = "127.0.0.1):0"', rf'\1:{port}"')(config):
            yield


@contextlib.contextmanager
def no_rpc(config: Path) -> Iterator[None]:
    """A web server where the chain's endpoint should be."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with rpc_at(f"http://127.0.0.1:{server.server_port}")(config):
            yield
        server.shutdown()


def rpc_at(url: str) -> Spoil:
    return in_deployment(lambda content: content.update(rpc_url=url))


@contextlib.contextmanager
def disk_full(config: Path) -> Iterator[None]:
    data = config.parent / "data"
    data.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TINY}", "tmpfs", data],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", data], check=True)


def other_contract(name: str) -> Spoil:
    return in_deployment(lambda d: d["contracts"].update({name: "0x" + "11" * 20}))


START = [
    # what is wrong                  how                                            sentence
    ("another chain", in_deployment(lambda d: d.update(genesis="0x" + "ab" * 32)), "another chain"),
    ("another chain id", in_deployment(lambda d: d.update(chain_id=5)), "chain"),
    ("no contract", other_contract("ScatterToken"), "no code at 0x1111.*ScatterToken"),
    ("another contract", other_contract("ScatterProtocol"), "with another ScatterProtocol"),
    ("an endpoint that is a web page", no_rpc, "did not answer with JSON"),
    ("no endpoint", rpc_at("http://127.0.0.1:1"), "http://127.0.0.1:1 does not answer"),
    ("a taken port", port_taken, "cannot listen on 127.0.0.1:.*change http.listen"),
    ("a damaged store", on_disk("scatter.sqlite", b"mud" * 5000), "scatter.sqlite.*backup"),
    ("a damaged line", on_disk("queue.sqlite", b"mud" * 5000), "queue.sqlite.*Delete it"),
    ("a damaged peer key", on_disk("peer.key", b"mud"), "peer.key is no peer key; delete it"),
    ("a full disk", disk_full, "disk|full|space"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "sentence"), [s[1:] for s in START], ids=[s[0] for s in START])
def test_a_node_that_cannot_start_says_why(
    network: Network,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
    spoil: Spoil,
    sentence: str,
) -> None:
    name = re.sub(r"\W+", "-", request.node.callspec.id)
    config = set_up(network, name)
    capfd.readouterr()

    with spoil(config):
        code = run(["node", "run", "--config", str(config)])

    err = capfd.readouterr().err
    assert code == 1
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert re.fullmatch(f"scatter: .*({sentence}).*", last), err


def test_a_second_node_in_the_same_folder_is_refused(
    network: Network, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run(["node", "run", "--config", str(network.file("ready/node.toml"))])

    assert code == 1
    assert "used by another process" in capfd.readouterr().err.splitlines()[-1]


ACTS = [
    # what is wrong                     the call                                      sentence
    ("too small a role stake", "stake validator 24999", "25000|least|requirement|stake"),
    ("more than the account has", "stake validator 99999999", "balance|funds|tokens"),
    ("an unknown role", "stake king 25000",
     "role: Input should be 'validator' or 'challenger'"),
    ("an amount that is none", "stake validator plenty", "plenty"),
    ("no role to give back", "unstake", "role|stake"),
    ("no such job", "job show 99", "job 99 does not exist"),
    ("no such phase", "job list --phase later", "phase: Input should be 'open'"),
    ("no address", "balance 0x12", "0x12"),
    ("a reward above the balance", "job publish T E D --reward 99999999 --threshold 0.5",
     "balance|funds|tokens"),
    ("a reward that is none", "job publish T E D --reward lots --threshold 0.5", "lots"),
    ("a threshold above one", "job publish T E D --reward 9 --threshold 1.5", "1.5"),
    ("a threshold below zero", "job publish T E D --reward 10 --threshold -0.1", "-0.1"),
    ("no job.toml", "job publish D E D --reward 10 --threshold 0.5", "job.toml does not exist"),
    ("no function", "job publish bare E D --reward 10 --threshold 0.5", "train.py does not exist"),
    ("the folders swapped", "job publish E T D --reward 10 --threshold 0.5", "kind is"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "sentence"), [a[1:] for a in ACTS], ids=[a[0] for a in ACTS])
def test_a_running_node_refuses_with_a_sentence(
    network: Network, capfd: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    job = network.file("job")
    if not job.exists():
        assert run(["job", "new", str(job)]) == 0
        (network.file("bare")).mkdir()
        (network.file("bare") / "job.toml").write_text((job / "training/job.toml").read_text())
    places = {"T": job / "training", "E": job / "evaluation", "D": job / "data/eval"}
    places["bare"] = network.file("bare")
    words = [str(places.get(word, word)) for word in line.split()]
    capfd.readouterr()

    code = run([*words, "--config", str(network.file("ready/node.toml"))])

    said = capfd.readouterr()
    assert (code, said.out) == (1, "")
    assert re.fullmatch(f"scatter: .*({sentence}).*\n", said.err), said.err
