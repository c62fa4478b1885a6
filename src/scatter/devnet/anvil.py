"""Anvil, the faster local chain, where somebody installed it (`npm install @foundry-rs/anvil`)."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from scatter.mechanism.errors import BadInput

SCRIPT_MARK = b"#!"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
MOST_VERSION_SECONDS = 10.0


def find_anvil(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The platform's anvil binary: `SCATTER_ANVIL`, else from PATH, else from `node_modules`.

    Never npm's wrapper script, which would leave the real process running when it is ended.
    Raises BadInput if `SCATTER_ANVIL` names no program; set empty, it means not to look.
    """
    named = environ.get("SCATTER_ANVIL")
    if named == "":
        return None
    if named is not None:
        if not _is_binary(Path(named)):
            raise BadInput(f"SCATTER_ANVIL={named} is no program. Name the anvil binary itself.")
        return Path(named)
    return next(filter(_is_binary, _candidates(environ)), None)


def anvil_version(binary: Path) -> str:
    """Such as `1.7.1`. Raises BadInput if the program does not say."""
    shown = subprocess.run(
        [binary, "--version"],
        capture_output=True,
        text=True,
        timeout=MOST_VERSION_SECONDS,
        check=False,
    ).stdout
    found = re.search(r"anvil\s+(?:Version:\s*)?v?(\d+(?:\.\d+)+)", shown, re.IGNORECASE)
    if found is None:
        raise BadInput(f"{binary} does not answer like anvil; set SCATTER_ANVIL to another one.")
    return found[1]


def anvil_command(binary: Path, port: int, state: Path | None) -> list[str]:
    """How to start anvil as the protocol's local chain: a block each second, the cap of gas on."""
    command = [str(binary), "--silent", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--block-time", "1", "--mixed-mining", "--enable-tx-gas-limit"]
    if state is not None:
        command += ["--state", str(state), "--state-interval", "2"]
    # Ends anvil when this process is killed; macOS has no such thing.
    guard = shutil.which("setpriv")
    return [guard, "--pdeathsig", "TERM", *command] if guard else command


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which("anvil", path=environ.get("PATH", ""))
    if on_path is not None:
        real = Path(on_path).resolve()
        yield real
        for parent in real.parents:
            yield parent / _package() / "bin" / "anvil"
    for parent in (Path.cwd(), *Path.cwd().parents):
        yield parent / "node_modules" / "@foundry-rs" / _package() / "bin" / "anvil"


def _package() -> str:
    machine = platform.machine().lower()
    return f"anvil-{platform.system().lower()}-{MACHINES.get(machine, machine)}"


def _is_binary(path: Path) -> bool:
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        return file.read(len(SCRIPT_MARK)) != SCRIPT_MARK
