"""All commands in one tree, and the one place where a failure becomes a sentence and an exit code.

0 done, 1 it failed (one sentence on stderr), 2 it was not called rightly, 130 or 143 a signal.
"""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from scatter import __version__
from scatter.cli import (
    account,
    attacks,
    chain,
    demo,
    gas,
    job,
    node,
    role,
    runtime,
    simulate,
    sweep,
)
from scatter.mechanism.errors import ScatterError

app = typer.Typer(
    help="A trustless, incentivised marketplace for federated learning.\n\nExample: scatter demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scatter {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.add_typer(account.app, name="account")
app.add_typer(node.app, name="node")
app.add_typer(job.app, name="job")
app.add_typer(runtime.app, name="runtime")
chain.add_to(app)
role.add_to(app)
demo.add_to(app)
gas.add_to(app)
simulate.add_to(app)
sweep.add_to(app)
attacks.add_to(app)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns the exit code; Ctrl-C, and what nobody expected, is raised."""
    try:
        app(list(arguments), prog_name="scatter")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except ScatterError as error:
        return _fail(error)
    except BrokenPipeError:
        # The reader is gone; what Python would still flush at exit has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        return _fail(_name_the_place(error))
    except BaseExceptionGroup as group:
        known, unknown = group.split(ScatterError)
        if known is None or unknown is not None:
            raise
        return _fail(_first(known))
    return 0


def _name_the_place(error: OSError) -> str:
    """Of a file or folder that cannot be used; the caller knew no better sentence."""
    place = "the disk" if error.filename is None else error.filename
    reason = (error.strerror or "error").lower()
    return f"{place}: {reason}; check the path, who may write there, and the space left"


def _fail(error: BaseException | str) -> int:
    typer.echo(f"scatter: {error}", err=True)
    return 1


def _first(group: BaseExceptionGroup[ScatterError]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
