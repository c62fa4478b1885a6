"""`python -m scatter_job train|evaluate`: one run of a job.

An author runs it by hand:

    python -m scatter_job train --job my-job --data my-data --out result
    python -m scatter_job evaluate --job my-eval --data held-out --models models --out result

A node's sandbox adds limits and `--deliver`, which sends the files of `--out` to the standard
output as an archive. What the job prints goes to the standard error then.

Exit codes: 0 done, 1 the job failed (the last line says why), 2 wrong use.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path

from scatter_job.confinement import deliver, end_with_parent, is_read, limit
from scatter_job.environment import FIXED_ENVIRONMENT
from scatter_job.failure import JobFailed


def main() -> int:
    options = _parse()
    missing = {
        key: value for key, value in FIXED_ENVIRONMENT.items() if os.environ.get(key) != value
    }
    if missing:
        # Hash seed and thread counts are read when the interpreter and its libraries start.
        command = [sys.executable, "-m", "scatter_job", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **missing})  # noqa: S606
    archive = os.dup(1)
    if options.deliver:
        # The node may be killed at any moment, also while the sandbox was being set up.
        end_with_parent()
        if not is_read(archive):
            return 1
        os.dup2(2, 1)
        os.nice(10)
    limit(
        memory=options.memory,
        processes=options.processes,
        files=options.open_files,
        file_size=options.file_size,
        # The watcher's clock is the real limit; this one holds if the watcher itself has died.
        cpu_seconds=int(options.seconds) * (os.cpu_count() or 1) + 60 if options.deliver else None,
    )
    try:
        _run(options)
        if options.deliver:
            with os.fdopen(archive, "wb") as stream:
                deliver(options.out, stream)
    except JobFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    # The job's own code may raise anything at all; its author needs the traceback.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        print(f"The job raised {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    # Only now, below the limits: numpy starts its threads when it is imported.
    from scatter_job.harness import run

    options.out.mkdir(parents=True, exist_ok=True)
    run(
        options.verb,
        options.job,
        options.data,
        options.models,
        options.out,
        seed=options.seed,
        seconds=options.seconds,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scatter_job", description="Runs a job once.")
    parser.add_argument("verb", choices=["train", "evaluate"])
    parser.add_argument("--job", type=Path, required=True, help="folder with job.toml and code")
    parser.add_argument("--data", type=Path, required=True, help="folder with the data")
    parser.add_argument("--models", type=Path, help="folder with NAME.safetensors files")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the run leaves")
    parser.add_argument("--seed", type=int, default=0, help="of the global random generators")
    parser.add_argument("--seconds", type=float, default=3600.0, help="for all models together")
    parser.add_argument("--deliver", action="store_true", help="send --out to standard output")
    for name in ("memory", "processes", "open-files", "file-size"):
        parser.add_argument(f"--{name}", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
