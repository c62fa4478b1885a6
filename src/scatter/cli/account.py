"""`scatter account`: keystore files, encrypted with a password."""

from pathlib import Path
from typing import Annotated

import typer

from scatter.cli.output import AsJson, show_json
from scatter.cli.passwords import PasswordFile, find_password

app = typer.Typer(
    help="Make, import and show accounts (encrypted keystore files).\n\n"
    "Example: scatter account new alpha.json"
)

Keystore = Annotated[Path, typer.Argument(help="The keystore file.")]

MOST_KEY_FILE = 256


@app.command()
def new(keystore: Keystore, password_file: PasswordFile = None, json: AsJson = False) -> None:
    """Makes a new account and writes its encrypted key; an existing file is never overwritten.

    Example: scatter account new alpha.json --password-file alpha.password
    """
    from scatter.adapters.keystore import create_key

    account = create_key(keystore, find_password(password_file, new=True))
    _show(account.address, keystore, json)


@app.command("import")
def import_(
    keystore: Keystore,
    key_file: Annotated[
        Path | None,
        typer.Option(help="A file with the private key in hexadecimal; else it is asked for."),
    ] = None,
    password_file: PasswordFile = None,
    json: AsJson = False,
) -> None:
    """Encrypts an existing private key into a keystore file.

    Example: scatter account import alpha.json --key-file alpha.key
    """
    from scatter.adapters.keystore import import_key

    key = _read_key(key_file)
    account = import_key(keystore, key, find_password(password_file, new=True))
    _show(account.address, keystore, json)


@app.command()
def show(keystore: Keystore, json: AsJson = False) -> None:
    """Shows the address of a keystore file; needs no password.

    Example: scatter account show alpha.json
    """
    from scatter.cli.account_address import keystore_address

    _show(keystore_address(keystore), keystore, json)


def _read_key(file: Path | None) -> bytes:
    from scatter.mechanism.errors import BadInput

    if file is None:
        text = str(typer.prompt("Private key", hide_input=True, err=True))
    else:
        try:
            with file.open("rb") as opened:
                text = opened.read(MOST_KEY_FILE).decode("ascii", "replace")
        except OSError as error:
            raise BadInput(f"{file}: the key cannot be read ({error.strerror})") from None
    try:
        return bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        raise BadInput("this is not a private key; it has 64 hexadecimal digits") from None


def _show(address: str, keystore: Path, json: bool) -> None:
    if json:
        show_json({"account": address, "keystore": str(keystore)})
    else:
        typer.echo(f"{address}  {keystore}")
