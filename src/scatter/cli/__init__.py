"""The command line: reads the environment, starts things, and says what happened.

The only part that reads environment variables: SCATTER_CONFIG, SCATTER_PASSWORD and SCATTER_ANVIL.
Every module imports what its commands need when they run, so that `--help` answers at once.
"""

from scatter.cli.application import main

__all__ = ["main"]
