"""The command line: reads the environment, starts things, and says what happened.

The only part that reads environment variables: SCATTER_CONFIG, SCATTER_PASSWORD and SCATTER_ANVIL.
Every module imports what its commands need when they run, so that `--help` answers at once.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """The program `scatter`. Who installed the wheel alone is told what comes next."""
    try:
        from scatter.cli.application import main as run
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] == "scatter":
            raise
        sys.exit(
            f"scatter: the library {missing.name} is not installed. Install all of them: "
            f"{sys.executable} -m pip install --no-deps --require-hashes "
            f"-r {sys.prefix}/share/scatter/requirements.txt"
        )
    run()
