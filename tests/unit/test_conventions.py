"""The rules of this code that a program can check. Each refusal says where the rule is broken."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scatter.adapters.contracts import DEPLOYMENT_ORDER

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
CONTRACTS = sorted((ROOT / "contracts").glob("*.vy"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
EVERYTHING = [
    *SOURCES,
    *CONTRACTS,
    *TESTS,
    *sorted((ROOT / "tools").rglob("*.py")),
    *sorted((ROOT / "examples").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
    *sorted((ROOT / "mutation").rglob("*.py")),
]

MOST_LINES = 450
LONGER: dict[str, str] = {}
"""Modules of src that may be longer, each with the reason."""

TABLE_1 = ("N", "D_tx", "D_tr", "D_v", "S_v", "tau_v", "S_c", "tau_c", "P_b", "P_m")

MAY_READ_THE_ENVIRONMENT = {
    "src/scatter/demo/actor_process.py": "takes over the environment of the demo that forked it",
    "src/scatter/demo/stage.py": "hands the environment on to the processes of the demo",
    "src/scatter/devnet/anvil.py": "where anvil is; the default of an argument",
    "src/scatter/devnet/local.py": "handed on to devnet/anvil.py; the default of an argument",
    "src/scatter_job/__main__.py": "starts itself anew with what makes a run repeat",
}
"""Besides scatter.cli."""

OPENERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
"""Modules that execute what they read."""

SPEAKERS = {
    *("print", "echo", "secho", "debug", "info", "warning", "error", "exception", "critical"),
    *("show_json", "show_fields", "show_table", "show_progress"),
}
SECRET = re.compile(r"(password|passphrase|secret|(private|host|storage)_key|^key|^token|^salt)$")


def place(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.expr | ast.stmt) else ""
    return path.relative_to(ROOT).as_posix() + line


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(), str(path))))


def nodes(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    return ((path, node) for path in paths for node in nodes_of(path))


def called(call: ast.Call) -> str:
    """`print`, `time.sleep`, `log.info`: how a call is spelt."""
    return ast.unparse(call.func)


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def cited_equations(text: str) -> set[int]:
    """The numbers in `eq. 4`, `eqs. 5 and 7`, `equation 8`; a range such as 1-8 cites nothing."""
    listed = re.sub(r"\d\s*(?:-|to)\s*\d", "", text)
    found = re.findall(
        r"\beq(?:s|uations?)?\b\.?\s+((?:\d(?:,\s*|\s+and\s+)?)+)\b", listed, re.IGNORECASE
    )
    return {int(digit) for group in found for digit in re.findall(r"\d", group)}


def test_participants_in_tests_have_the_names_of_their_roles():
    nameless = re.compile(r"\b(alice|bob|carol|charlie|dave|eve|mallory)\b|accounts\[\d", re.I)
    found = [
        f"{place(path)}:{number} {match[0]}"
        for path in TESTS
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (match := nameless.search(line))
    ]
    assert not found


def test_tests_neither_sleep_nor_mock_nor_assert_nothing():
    found = []
    for path, node in nodes(TESTS):
        if isinstance(node, ast.Call) and called(node) in {"time.sleep", "sleep"}:
            found.append(f"{place(path, node)} sleeps")
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant):
            found.append(f"{place(path, node)} asserts a constant")
        if any(name.split(".")[-1] == "mock" for name in imported(node)):
            found.append(f"{place(path, node)} mocks")
    assert not found


def test_a_contract_named_in_camel_case_is_deployed_and_the_others_are_parts():
    """So `tests/contracts/test_sources.py` looks at the head of every contract."""
    in_camel_case = {path.stem for path in CONTRACTS if path.stem[0].isupper()}
    assert in_camel_case == set(DEPLOYMENT_ORDER)


@pytest.mark.parametrize("paths", [SOURCES, CONTRACTS], ids=["src", "contracts"])
def test_every_equation_and_every_entry_of_table_1_is_cited(paths):
    text = "\n".join(path.read_text() for path in paths)

    assert cited_equations(text) >= set(range(1, 9))
    assert [s for s in TABLE_1 if not re.search(rf"(?<![\w.]){s}\b(?!\w*\()", text)] == []


def test_a_module_is_named_after_something():
    nameless = {"utils", "util", "common", "core", "helpers", "helper", "misc"}
    assert [
        place(path)
        for path in EVERYTHING
        if nameless & {*path.relative_to(ROOT).parts[:-1], path.stem}
    ] == []


def test_a_module_is_short_enough_to_be_read_at_once():
    lengths = {place(path): len(path.read_text().splitlines()) for path in SOURCES}

    assert {name for name, lines in lengths.items() if lines > MOST_LINES} == set(LONGER)


def test_nothing_is_read_that_executes():
    found = []
    for path, node in nodes([path for path in EVERYTHING if path.suffix == ".py"]):
        if {name.split(".")[0] for name in imported(node)} & OPENERS:
            found.append(f"{place(path, node)} unpickles")
        if isinstance(node, ast.Call):
            if called(node) in {"torch.load", "eval", "exec"}:
                found.append(f"{place(path, node)} {called(node)}")
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    found.append(f"{place(path, node)} allow_pickle")
    assert not found


def test_only_the_command_line_reads_the_environment():
    readers = {
        place(path)
        for path, node in nodes(SOURCES)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"})
        or imported(node) & {"os.environ", "os.getenv"}
    }
    others = {reader for reader in readers if not reader.startswith("src/scatter/cli/")}
    assert others - set(MAY_READ_THE_ENVIRONMENT) == set()


def test_no_secret_is_printed_or_logged():
    found = []
    for path, node in nodes(SOURCES):
        if isinstance(node, ast.Call) and called(node).split(".")[-1] in SPEAKERS:
            for part in ast.walk(node):
                name = getattr(part, "id", None) or getattr(part, "attr", None)
                if isinstance(name, str) and SECRET.search(name):
                    found.append(f"{place(path, node)} says {name}")
    assert not found


def test_a_value_that_holds_a_secret_does_not_show_it():
    found = []
    for path, node in nodes(SOURCES):
        if not isinstance(node, ast.ClassDef):
            continue
        if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and SECRET.search(ast.unparse(line.target)):
                is_secret = re.search(r"\b(str|bytes)\b", ast.unparse(line.annotation))
                default = ast.unparse(line.value) if line.value else ""
                if is_secret and "repr=False" not in default:
                    found.append(f"{place(path, line)} {ast.unparse(line.target)}")
    assert not found
