"""Compiles the seven contracts into package data, so that a node needs no compiler.

Runs when the package is built (a hatchling hook), and by hand: `python tools/compile_contracts.py`.
Each contract becomes one JSON file with its ABI, its creation bytecode, and the hash of every
source, by which `scatter.adapters.contracts` notices artefacts older than the sources. The same
sources give the same bytes, wherever they lie.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run by hand, without the build tools
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = (
    "ScatterProtocol",
    "ScatterToken",
    "TrainingJobToken",
    "EvaluationJobToken",
    "ModelToken",
    "VoteManager",
    "ReputationManager",
)
TITLES = "TrainingJobToken"
"""Its code answers what two other contracts pass on to it, so their interface has its functions."""
BORROWERS = ("EvaluationJobToken", "ModelToken")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it collects the files of the package."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        write_artefacts(Path(self.root))


def write_artefacts(root: Path = ROOT) -> None:
    """Compiles whatever changed since the last time; a contract that did not is left alone."""
    sources = hash_sources(root / "contracts")
    folder = root / "src" / "scatter" / "adapters" / "artefacts"
    if all(_is_fresh(folder / f"{name}.json", sources) for name in CONTRACTS):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in CONTRACTS:
        artefact = compile_contract(root / "contracts", name) | {"sources": sources}
        text = json.dumps(artefact, sort_keys=True, separators=(",", ":")) + "\n"
        draft = folder / f"{name}.json.draft"
        draft.write_text(text)
        draft.replace(folder / f"{name}.json")


def hash_sources(folder: Path) -> dict[str, str]:
    """The sha256 of every Vyper file, by file name."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.vy"))}


def compile_contract(folder: Path, name: str) -> dict[str, Any]:
    """Name, ABI, creation bytecode, and the size in bytes of the code that is deployed."""
    outputs = _compile(folder, name, "abi", "bytecode", "bytecode_runtime")
    interface = outputs["abi"]
    if name in BORROWERS:
        interface = _join(interface, _compile(folder, TITLES, "abi")["abi"])
    runtime = outputs["bytecode_runtime"].removeprefix("0x")
    return {
        "name": name,
        "abi": interface,
        "bytecode": outputs["bytecode"],
        "runtime_bytes": len(runtime) // 2,
    }


def _compile(folder: Path, name: str, *formats: str) -> dict[str, Any]:
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle

    bundle = FilesystemInputBundle([folder])  # type: ignore[no-untyped-call]
    return compile_from_file_input(
        bundle.load_file(Path(f"{name}.vy")),
        input_bundle=bundle,
        output_formats=list(formats),
        no_bytecode_metadata=True,
    )


def _join(own: list[dict[str, Any]], borrowed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A contract's own entries but its fallback, then the functions that this answers."""
    kept = [entry for entry in own if entry["type"] != "fallback"]
    known = {entry.get("name") for entry in kept} | {None}  # no constructor either
    return kept + [entry for entry in borrowed if entry.get("name") not in known]


def _is_fresh(path: Path, sources: dict[str, str]) -> bool:
    return path.is_file() and json.loads(path.read_text()).get("sources") == sources


if __name__ == "__main__":
    write_artefacts()
