"""Writes a `node.toml` that says everything, with a line on each key.

What is written here and read back (`scatter.node.config`) is the same configuration.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from scatter.mechanism.units import Score
from scatter.node.amounts import write_score, write_tokens
from scatter.node.config import Config, TopicSettings
from scatter.unixfs.cid import folder_text


def render(config: Config, folder: Path) -> str:
    """The text of a `node.toml` that stands in `folder` and means `config`."""
    return "\n".join(_lines(config, folder.absolute())) + "\n"


def _lines(config: Config, folder: Path) -> Iterator[str]:
    http, gateway, peers, timing = config.http, config.gateway, config.peers, config.timing
    password_file = _path(config.password_file, folder) if config.password_file else _text("")
    yield from (
        "# One Scatter node. Paths are relative to this file; secrets do not belong here.",
        "",
        "[node]",
        f"name = {_text(config.name)}",
        "# The node's own folder: database, content, results.",
        f"data = {_path(config.data, folder)}",
        '# "requester" and "trainer" may stand together; "validator" and "challenger" stand alone.',
        f"roles = {_list(sorted(config.roles))}",
        "# The contracts, as `scatter deploy` or `scatter devnet` wrote them.",
        f"deployment = {_path(config.deployment, folder)}",
        "# The chain's RPC endpoint; empty takes the one in the deployment file.",
        f"rpc = {_text(config.rpc)}",
        "# The account's key, encrypted. The password comes from the file named here,",
        "# else from the environment variable SCATTER_PASSWORD, else it is asked for.",
        f"keystore = {_path(config.keystore, folder)}",
        f"password_file = {password_file}",
        "# Blocks on top of an event before it counts: 0 on a local chain, 2 or more elsewhere.",
        f"confirmations = {config.confirmations}",
        '# "console" or "json", to stderr.',
        f"log = {_text(config.log)}",
        "",
        "[http]",
        "# The operator's interface; only this machine reaches a loopback address.",
        f"listen = {_text(str(http.listen))}",
        f"allow_remote = {_boolean(http.allow_remote)}",
        f"token_file = {_path(http.token_file, folder)}",
        "",
        "[gateway]",
        "# Where others fetch what this node published, and the address by which they reach it.",
        f"listen = {_text(str(gateway.listen))}",
        f"public = {_text(gateway.public)}",
        "",
        "[peers]",
        "# Where keys are exchanged (libp2p); where others dial, if that is elsewhere; and peers",
        "# that are already there, /ip4/.../tcp/.../p2p/16Uiu2...",
        f"listen = {_text(peers.listen)}",
        f"announce = {_list(peers.announce)}",
        f"bootstrap = {_list(peers.bootstrap)}",
        f"exchange_seconds = {peers.exchange_seconds!r}",
        "",
    )
    yield from _sandbox_lines(config, folder)
    yield from (
        "[store]",
        "# A database URL without its password, or empty for SQLite in the data folder.",
        f"url = {_text(config.store)}",
        "",
        "[content]",
        "# Disk for the blocks of others, in GiB; the least recently used folder goes first.",
        f"quota_gigabytes = {config.quota_bytes >> 30}",
        "",
        "[queue]",
        "# Jobs in the sandbox at once; the others wait in line, also across restarts.",
        f"concurrency = {config.concurrency}",
        '# Who goes first: "fifo", who came first, or "reward", whose job offers more.',
        f"order = {_text(config.order)}",
        "",
        "[timing]",
        "# How often the chain is asked; how long others are waited for before doing their part;",
        "# pauses between attempts; the share of a window after which a withheld key is given up.",
        f"poll_seconds = {timing.poll_seconds!r}",
        f"turn_seconds = {timing.turn}",
        f"retry_seconds = {timing.retry}",
        f"keys_share = {_text(write_score(Score(timing.keys)))}",
        "# How long a challenger waits before it accuses.",
        f"accuse_after_seconds = {timing.accuse}",
    )
    for topic in config.topics:
        yield from _topic_lines(topic, folder)


def _sandbox_lines(config: Config, folder: Path) -> Iterator[str]:
    pins = [f"{_inside(one.folder, folder)}@{one.digest}" for one in config.sandbox.runtimes]
    caps = config.sandbox.caps
    minimum = config.sandbox.minimum.name.lower().replace("_", "-")
    yield from (
        "[sandbox]",
        '# The weakest place in which strangers\' jobs may run: "guest-kernel" (gVisor),',
        '# "namespaces" (bubblewrap) or "none". Jobs trusted by content run on anything.',
        f"minimum = {_text(minimum)}",
        f"trusted_jobs = {_list([folder_text(job) for job in config.sandbox.trusted_jobs])}",
        '# "docker-gvisor", "gvisor", "docker-runc", "bubblewrap"; empty takes the strongest.',
        f"backend = {_text(config.sandbox.backend)}",
        '# Which jobs wait for `scatter job approve`: "never", "suspicious" or "always".',
        f"approve = {_text(config.sandbox.approve)}",
        "# Runtimes that jobs may name beside numpy, as `scatter runtime build` prints them; and",
        "# whether jobs see the machine's GPUs (Docker only, untested).",
        f"runtimes = {_list(pins)}",
        f"gpus = {_boolean(config.sandbox.gpus)}",
        "# What one run may use at most, whatever its author asks for.",
        f"wall_seconds = {caps.wall_seconds}",
        f"cpus = {caps.cpus}",
        f"memory_megabytes = {caps.memory_bytes >> 20}",
        f"processes = {caps.processes}",
        f"open_files = {caps.open_files}",
        f"scratch_megabytes = {caps.scratch_bytes >> 20}",
        f"output_megabytes = {caps.output_bytes >> 20}",
        f"output_files = {caps.output_files}",
        "",
    )


def _topic_lines(topic: TopicSettings, folder: Path) -> Iterator[str]:
    yield from (
        "",
        "[[trainer.topics]]",
        "# Data that never leaves this machine, and the terms on which it trains for others.",
        f"topic = {_text(topic.topic)}",
        f"data = {_path(topic.data, folder)}",
        f"stake = {_text(write_tokens(topic.stake))}",
        f"least_reward = {_text(write_tokens(topic.least_reward))}",
        f"longest_training_hours = {topic.longest_training / 3_600!r}",
        '# "unasked" joins by itself; "asked" waits for `scatter job join`.',
        f"join = {_text(topic.join)}",
    )


def _text(text: str) -> str:
    return json.dumps(str(text), ensure_ascii=False)


def _list(texts: Iterable[str]) -> str:
    return json.dumps([str(text) for text in texts], ensure_ascii=False)


def _path(path: Path, folder: Path) -> str:
    return _text(_inside(path, folder))


def _inside(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _boolean(value: bool) -> str:
    return "true" if value else "false"
