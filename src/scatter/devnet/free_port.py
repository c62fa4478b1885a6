"""A free TCP port for a program that cannot be handed a socket that listens already."""

import random
import socket
from typing import Final

from scatter.mechanism.errors import ScatterError

_LOW: Final = 15_000
_HIGH: Final = 32_000
"""Below what systems give to outgoing connections by themselves (Linux: from 32,768 on), one of
which would otherwise take the port before the program does."""

_TRIES: Final = 1_000


def find_free_port() -> int:
    """One of loopback on which nobody listens. Raises ScatterError when there is none."""
    for port in random.sample(range(_LOW, _HIGH), _TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ScatterError(f"no free port was found between {_LOW} and {_HIGH}; end what listens there")
