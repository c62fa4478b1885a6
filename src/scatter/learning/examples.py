"""Where the examples lie: beside the sources in a checkout, inside the package when installed."""

from pathlib import Path

import scatter
from scatter.mechanism.errors import BadInput


def find_examples() -> Path:
    """The folder `examples`, with `digits` in it.

    Raises BadInput when neither a checkout nor an installed package has it.
    """
    package = Path(scatter.__file__).resolve().parent
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "digits" / "digits-train" / "job.toml").is_file():
            return folder
    raise BadInput(f"{package} has no examples beside it; install Scatter again.")
