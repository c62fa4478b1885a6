"""Where a running node answers, written into its data folder for those who use it."""

import json
import os
from pathlib import Path

from scatter.mechanism.errors import BadInput
from scatter.node.amounts import HostPort, read_host_port
from scatter.node.config import Config
from scatter.node.operator import Identity

RUNNING_FILE = "running.json"
MOST_RUNNING_BYTES = 16 << 10


def note_running(data: Path, identity: Identity) -> None:
    """Writes where the node answers, ports chosen by the system included."""
    content = {
        "pid": os.getpid(),
        "http": identity.http,
        "gateway": identity.gateway,
        "peers": identity.peer_addresses,
    }
    fresh = data / f"{RUNNING_FILE}.new"
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.replace(data / RUNNING_FILE)


def forget_running(data: Path) -> None:
    """Removes what `note_running` wrote."""
    (data / RUNNING_FILE).unlink(missing_ok=True)


def find_http(config: Config) -> HostPort:
    """Where the operator's interface of this node is reached from the same machine.

    Raises BadInput when the port is the system's choice and the node does not run.
    """
    listen = config.http.listen
    if not listen.port:
        listen = _noted_http(config.data / RUNNING_FILE)
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to dial, not to listen
    return HostPort(everywhere.get(listen.host, listen.host), listen.port)


def _noted_http(file: Path) -> HostPort:
    try:
        with file.open("rb") as opened:
            content = json.loads(opened.read(MOST_RUNNING_BYTES))
        return read_host_port(str(content["http"]))
    except FileNotFoundError:
        raise BadInput(f"the node does not run ({file} is absent); start it first") from None
    except (OSError, ValueError, KeyError, TypeError, BadInput):
        raise BadInput(f"{file} cannot be read; restart the node") from None
