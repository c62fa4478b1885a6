"""The command line: reads the environment, starts things, and says what happened.

The only part that reads environment variables: SCATTER_CONFIG, SCATTER_PASSWORD and SCATTER_ANVIL.
Every module imports what its commands need when they run, so that `--help` answers at once.
"""

import gc
import sys

from scatter.cli.interrupt import INTERRUPT

__all__ = ["main"]


def main() -> None:
    """The program `scatter`. Who installed the wheel alone is told what comes next."""
    INTERRUPT.leave_at_once()
    try:
        from scatter.cli.application import run
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] == "scatter":
            raise
        sys.exit(
            f"scatter: the library {missing.name} is not installed. Install all of them: "
            f"{sys.executable} -m pip install --no-deps --require-hashes "
            f"-r {sys.prefix}/share/scatter/requirements.txt"
        )

    try:
        INTERRUPT.raise_in_command()
        code = run(sys.argv[1:])
        INTERRUPT.leave_at_once()
        if INTERRUPT.happened and code:
            # The command line's library takes every KeyboardInterrupt for a Ctrl-C.
            code = INTERRUPT.exit_code
    except KeyboardInterrupt:
        code = INTERRUPT.exit_code
    # Else the interpreter looks through all there is before it ends: seconds, on a busy machine.
    gc.freeze()
    sys.exit(code)
