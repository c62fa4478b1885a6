"""The operator's token: who holds the file may give the node orders, so only its owner reads it."""

import hmac
import os
import secrets
import stat
from pathlib import Path

from scatter.mechanism.errors import BadInput

LEAST_TOKEN = 16
MOST_TOKEN = 512


def new_token(file: Path) -> str:
    """Writes a new random token, 256 bits, readable by its owner only. Refuses an existing file."""
    token = secrets.token_urlsafe(32)
    write_secret(file, token + "\n")
    return token


def read_token(file: Path) -> str:
    """Reads a token. Raises BadInput if there is none, or if others may read it too."""
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            token = opened.read(MOST_TOKEN + 1).decode("ascii").strip()
    except OSError as error:
        raise BadInput(
            f"{file}: the token file cannot be read ({error.strerror}); "
            "`scatter node init` makes one"
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not LEAST_TOKEN <= len(token) <= MOST_TOKEN or any(c.isspace() for c in token):
        raise BadInput(f"{file}: holds no token; delete it and make one with `scatter node init`")
    if stat.S_IMODE(mode) & 0o077:
        raise BadInput(f"{file}: others may read the token; run chmod 600 {file}")
    return token


def is_token(offered: str, token: str) -> bool:
    """Compares in a time that does not tell how much of it was right."""
    return hmac.compare_digest(offered.encode(), token.encode())


def write_secret(file: Path, text: str) -> None:
    """Writes a new file that only its owner reads. Raises BadInput if it is there already."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"{file} is there already; move it away first") from None
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
