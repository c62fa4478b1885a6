"""`scatter node`: set a node up, and run it."""

from pathlib import Path
from typing import Annotated

import typer

from scatter.cli.interrupt import INTERRUPT
from scatter.cli.output import AsJson, show_fields, show_json
from scatter.cli.passwords import PasswordFile, find_password
from scatter.cli.running_node import DEFAULT_CONFIG, ConfigFile

app = typer.Typer(
    help="Set up and run a node.\n\nExample: scatter node run --config trainer-1/node.toml"
)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The node's folder; made if absent.")],
    *,
    deployment: Annotated[Path, typer.Option(help="The network's deployment file.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="requester, trainer, validator or challenger; requester by default."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="By default the folder's name.")] = None,
    topic: Annotated[str | None, typer.Option(help="What a trainer has data for.")] = None,
    data: Annotated[Path | None, typer.Option(help="The folder with that data.")] = None,
    stake: Annotated[str, typer.Option(help="Tokens a trainer stakes on a job.")] = "1000",
    keystore: Annotated[
        Path | None, typer.Option(help="An existing keystore; else a new account is made.")
    ] = None,
    password_file: PasswordFile = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_533, help="HTTP here, gateway and peers on the next two.")
    ] = 8460,
    bootstrap: Annotated[
        list[str] | None, typer.Option(help="A peer that is there already, /ip4/.../p2p/...")
    ] = None,
    sandbox: Annotated[
        str, typer.Option(help='Least for strangers\' jobs: "guest-kernel", "namespaces", "none".')
    ] = "guest-kernel",
    json: AsJson = False,
) -> None:
    """Writes node.toml, a keystore and a token, and says what to do next.

    Example: scatter node init trainer-1 --role trainer --deployment devnet/deployment.json
    --topic handwritten-digits --data shares/trainer-1 --stake 1000
    """
    from scatter.cli.new_node import NewNode, write_node

    written = write_node(
        NewNode(
            folder=folder.absolute(),
            deployment=deployment.absolute(),
            roles=tuple(role or ["requester"]),
            name=name,
            topic=topic,
            data=data,
            stake=stake,
            keystore=keystore,
            password_file=password_file,
            port=port,
            bootstrap=tuple(bootstrap or ()),
            sandbox=sandbox,
        ),
        lambda: find_password(password_file, new=True),
    )
    if json:
        show_json(written.as_dict())
        return
    show_fields(written.as_dict().items())
    typer.echo("\n" + "\n".join(written.next_steps))


@app.command()
def run(config: ConfigFile = DEFAULT_CONFIG, password_file: PasswordFile = None) -> None:
    """Runs a node until Ctrl-C or SIGTERM; its log goes to stderr.

    Example: scatter node run --config trainer-1/node.toml
    """
    from scatter.adapters.keystore import load_key
    from scatter.mechanism.errors import ScatterError
    from scatter.node.app import Secrets
    from scatter.node.app import run as run_node
    from scatter.node.config import read_config
    from scatter.node.logs import open_log
    from scatter.node.token import read_token

    settings = read_config(config)
    log = open_log(settings.log)
    token = read_token(settings.http.token_file)
    password = find_password(password_file or settings.password_file)
    secrets = Secrets(load_key(settings.keystore, password), token)
    try:
        INTERRUPT.run(run_node(settings, secrets))
    except* ScatterError:
        raise
    except* Exception as unexpected:
        log.critical("the node ends, because something unexpected failed", exc_info=unexpected)
        raise typer.Exit(1) from None
