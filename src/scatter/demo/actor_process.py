"""The process of one node of a demo: `scatter node run`, forked instead of started."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing import connection, parent_process
from pathlib import Path

from scatter.adapters.keystore import load_key
from scatter.node.app import Casting, Secrets, run
from scatter.node.config import Config, read_config
from scatter.node.logs import open_log
from scatter.node.signals import stop_on_signals
from scatter.node.token import read_token


def play(config_file: Path, log: Path, casting: Casting, environ: Mapping[str, str]) -> None:
    """Runs the node until it is told to end; its output goes to `log`.

    `environ` is that of the demo: the server from which this process was forked may be older.
    """
    os.environ.clear()
    os.environ.update(environ)
    _write_to(log)
    threading.Thread(target=_end_with_the_demo, daemon=True).start()
    config = read_config(config_file)
    assert config.password_file is not None, "every node of a demo has its own"
    account = load_key(config.keystore, config.password_file.read_text().strip())
    open_log(config.log)
    known = Secrets(account, read_token(config.http.token_file))
    asyncio.run(_run(config, known, casting))


async def _run(config: Config, known: Secrets, casting: Casting) -> None:
    await run(config, known, casting=casting, stop=stop_on_signals([signal.SIGTERM]))


def _write_to(log: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _end_with_the_demo() -> None:
    """A node must not outlive a demo that was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
