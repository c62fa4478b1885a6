"""Where passwords come from: a file, the environment, or the person; never an argument."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from scatter.mechanism.errors import BadInput

PASSWORD_VARIABLE = "SCATTER_PASSWORD"  # noqa: S105 - a name, not a password
MOST_PASSWORD = 1_024

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help=f"A file with the password; else {PASSWORD_VARIABLE}, else it is asked for.",
    ),
]


def find_password(file: Path | None, *, new: bool = False) -> str:
    """The keystore's password. A new one is asked for twice and must not be empty.

    Raises BadInput when there is none and nobody to ask.
    """
    password = _given(file)
    if password is None:
        if not sys.stdin.isatty():
            raise BadInput(
                "no password: name a --password-file, set password_file in node.toml, or set "
                f"{PASSWORD_VARIABLE}"
            )
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=new, err=True)
    if new and not password:
        raise BadInput("an empty password protects nothing; choose another")
    return password


def _given(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE)
    try:
        text = file.read_bytes()[: MOST_PASSWORD + 1].decode()
    except OSError as error:
        raise BadInput(f"{file}: the password cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file}: the password is not UTF-8 text") from None
    if len(text) > MOST_PASSWORD:
        raise BadInput(f"{file}: a password has at most {MOST_PASSWORD} characters")
    return text.split("\n", 1)[0].rstrip("\r")
