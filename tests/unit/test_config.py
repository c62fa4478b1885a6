"""`node.toml` is read strictly, and every mistake is one sentence that says what to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from scatter.adapters.sandbox.built_runtime import PinnedRuntime
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import UNIT, Digest
from scatter.node.amounts import (
    HostPort,
    read_host_port,
    read_score,
    read_tokens,
    write_score,
    write_tokens,
)
from scatter.node.config import (
    JoinPolicy,
    Order,
    RoleName,
    SandboxSettings,
    read_config,
)
from scatter.node.config_text import render
from scatter.ports.sandbox import Isolation, Limits
from scatter.roles.duty import Approval

LEAST = """
[node]
name = "trainer-1"
roles = ["trainer"]
deployment = "deployment.json"
"""
TOPIC = """
[[trainer.topics]]
topic = "digits"
data = "shares/1"
stake = "1000.5"
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "node.toml"
        file.write_text(text)
        return file

    return write


def test_the_least_configuration_listens_on_this_machine_only(written):
    config = read_config(written(LEAST))

    assert config.http.listen == HostPort("127.0.0.1", 8460)
    assert config.gateway.listen.is_loopback
    assert "/127.0.0.1/" in config.peers.listen
    assert config.sandbox.minimum is Isolation.GUEST_KERNEL
    assert config.concurrency == 1
    assert config.order is Order.FIFO


def test_paths_are_relative_to_the_file(written, tmp_path):
    config = read_config(written(LEAST + TOPIC))

    assert config.deployment == tmp_path / "deployment.json"
    assert config.topics[0].data == tmp_path / "shares" / "1"


def test_money_becomes_integer_units(written):
    assert read_config(written(LEAST + TOPIC)).topics[0].stake == 1000 * UNIT + UNIT // 2


def test_what_is_rendered_reads_back_the_same(written, tmp_path):
    config = replace(
        read_config(written(LEAST + TOPIC)),
        roles=frozenset({RoleName.TRAINER, RoleName.REQUESTER}),
        password_file=Path("/run/secrets/scatter"),
        sandbox=SandboxSettings(
            Isolation.NAMESPACES,
            (Digest(bytes(32)),),
            Limits(
                wall_seconds=1800,
                cpus=2,
                memory_bytes=2 << 30,
                processes=9,
                open_files=99,
                scratch_bytes=3 << 20,
                output_bytes=5 << 20,
                output_files=7,
            ),
            backend="gvisor",
            approve=Approval.SUSPICIOUS,
            runtimes=(
                PinnedRuntime(tmp_path / "runtimes" / "torch", f"sha256:{'a' * 64}"),
                PinnedRuntime(Path("/srv/numpy"), f"sha256:{'b' * 64}"),
            ),
            gpus=True,
        ),
        store="postgresql://scatter@localhost/scatter",
    )
    asked = replace(config.topics[0], topic="faces", join=JoinPolicy.ASKED)
    config = replace(config, topics=(*config.topics, asked))

    assert read_config(written(render(config, tmp_path))) == config


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LEAST + 'keystor = "k"', 'node.keystor is not a known key; did you mean "keystore"?'),
        (LEAST + "[htp]\n", 'htp is not a known key; did you mean "http"?'),
        (LEAST + "[http]\nport = 1", "http.port is not a known key; known here: allow_remote"),
        (LEAST.replace("trainer-1", "Trainer 1"), "use lower-case letters"),
        (LEAST.replace('["trainer"]', "[]"), "node.roles is empty; name at least one role"),
        (LEAST.replace('"trainer"]', '"trainr"]'), 'did you mean "trainer"?'),
        (LEAST.replace('"trainer"]', '"trainer", "validator"]'), "run one node for each"),
        (LEAST.replace('deployment = "deployment.json"', ""), "node.deployment is missing"),
        (LEAST.replace('name = "trainer-1"', "name = 1"), "node.name must be a text in quotes"),
        (LEAST + 'rpc = "ftp://x"', "node.rpc must be an http:// or https:// address"),
        (LEAST + 'rpc = "http://[x"', "node.rpc must be an http:// or https:// address"),
        (LEAST + "confirmations = true", "confirmations must be a whole number from 0 to 64"),
        (LEAST + '[http]\nlisten = "0.0.0.0:80"', "set allow_remote = true behind a proxy"),
        (LEAST + '[http]\nlisten = "localhost"', "is not host:port; write it as 127.0.0.1:8000"),
        (LEAST + '[peers]\nbootstrap = ["host:1"]', "peers.bootstrap address 'host:1'"),
        (LEAST + '[peers]\nlisten = "host:1"', "peers.listen address 'host:1'"),
        (LEAST + '[gateway]\npublic = "x"', "gateway.public gateway x: must be http://"),
        (LEAST + '[sandbox]\nminimum = "gvisor"', "must be one of guest-kernel, namespaces, none"),
        (LEAST + '[sandbox]\nruntimes = ["torch"]', "'torch' is not FOLDER@sha256:DIGEST"),
        (
            LEAST + f'[sandbox]\nruntimes = ["a/x@sha256:{"0" * 64}", "b/x@sha256:{"0" * 64}"]',
            'sandbox.runtimes names "x" twice',
        ),
        (LEAST + "[sandbox]\ngpus = 1", "sandbox.gpus must be true or false"),
        (LEAST + '[sandbox]\napprove = "allways"', 'did you mean "always"?'),
        (LEAST + '[sandbox]\ntrusted_jobs = ["Qm"]', "sandbox.trusted_jobs has 'Qm'"),
        (LEAST + '[store]\nurl = "postgresql://me:pw@db/x"', "set PGPASSWORD instead"),
        (LEAST + '[store]\nurl = "mysql://db"', "must begin with postgresql:// or sqlite:"),
        (LEAST + "[content]\nquota_gigabytes = 0", "content.quota_gigabytes must be a whole"),
        (LEAST + "[queue]\nconcurrency = 0", "must be a whole number from 1 to 64"),
        (LEAST + '[queue]\norder = "size"', "order"),
        (LEAST + TOPIC + TOPIC, 'trainer.topics names "digits" twice'),
        (
            LEAST + TOPIC.replace('"1000.5"', "1000.5"),
            'must be a number in quotes, such as "1000.5"',
        ),
        (
            LEAST + TOPIC.replace('"1000.5"', '"1e3"'),
            "trainer.topics[1].stake '1e3' is not an amount",
        ),
        (LEAST + TOPIC.replace('"1000.5"', '"0"'), "trainer.topics[1].stake is 0"),
        (LEAST + TOPIC.replace('"digits"', '"Digits"'), "use lower-case letters"),
        (LEAST + TOPIC + 'join = "always"', 'which is none of "unasked", "asked"'),
        ((LEAST + TOPIC).replace('["trainer"]', '["requester"]'), 'node.roles lacks "trainer"'),
        ("[node", "is not TOML"),
        ("[trainer]\ntopics = 1\n" + LEAST, "write [[trainer.topics]] before each"),
        (LEAST + '[timing]\nkeys_share = "half"', 'must be a share from "0" to "1"'),
        (LEAST + "[timing]\npoll_seconds = nan", "must be a number from 0.1 to 60"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_key_and_remedy(written, text, sentence):
    file = written(text)

    with pytest.raises(BadInput) as refused:
        read_config(file)

    assert sentence in str(refused.value)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


def test_an_absent_file_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(BadInput, match="scatter node init"):
        read_config(tmp_path / "node.toml")


@pytest.mark.parametrize("text", ["0", "1", "1000.5", "0.000000000000000001"])
def test_amounts_are_written_as_they_were_read(text):
    assert write_tokens(read_tokens(text)) == text


@pytest.mark.parametrize(
    "text", ["", "-1", "1,000", "1e3", ".5", "1.", "٣", "0.0000000000000000001", "99999999999"]
)
def test_other_amounts_are_refused(text):
    with pytest.raises(BadInput):
        read_tokens(text)


@pytest.mark.parametrize("text", ["0", "1", "0.85", "0.0001"])
def test_scores_are_written_as_they_were_read(text):
    assert write_score(read_score(text)) == text


@pytest.mark.parametrize("text", ["1.1", "85", "0.00001", "-0.5", "nan"])
def test_other_scores_are_refused(text):
    with pytest.raises(BadInput):
        read_score(text)


@pytest.mark.parametrize("text", ["127.evil.example:1", "0.0.0.0:1", "[::]:1", "192.168.0.1:1"])
def test_only_this_machine_counts_as_loopback(text):
    assert not read_host_port(text).is_loopback
