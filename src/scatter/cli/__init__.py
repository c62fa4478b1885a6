"""The command line: reads the environment, starts things, and says what happened.

The only part that reads environment variables: SCATTER_CONFIG, SCATTER_PASSWORD and SCATTER_ANVIL.
Every module imports what its commands need when they run, so that `--help` answers at once.
"""

import gc
import sys

from scatter.cli.interrupt import EXIT_CODE, INTERRUPT

__all__ = ["main"]


def main() -> None:
    """The program `scatter`."""
    INTERRUPT.leave_at_once()
    from scatter.cli.application import run

    try:
        INTERRUPT.raise_in_command()
        code = run(sys.argv[1:])
        INTERRUPT.leave_at_once()
    except KeyboardInterrupt:
        code = EXIT_CODE
    # Else the interpreter looks through all there is before it ends: seconds, on a busy machine.
    gc.freeze()
    sys.exit(code)
