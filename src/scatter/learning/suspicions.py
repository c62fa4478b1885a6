"""What in a job's code a person should look at before running it, with its line.

Parsed, never imported. Few jobs need any of this; finding none proves nothing, because Python can
hide whatever it does. The wall is the sandbox; this is for the judgement of a trainer.
"""

import ast
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

LONGEST_LINE: Final = 1_000
LEAST_ENCODED: Final = 128
"""Characters of base64 or hexadecimal digits in one piece; no name and no path is as long."""
LEAST_NUMBERS: Final = 64
MOST_SHOWN: Final = 100


class Concern(StrEnum):
    """Why it is suspicious."""

    NETWORK = "network"
    PROCESSES = "processes"
    NATIVE_CODE = "native code"
    DYNAMIC_CODE = "dynamic code"
    HIDDEN_CODE = "hidden code"
    MACHINE = "the machine"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Suspicion:
    """One place, and what is there."""

    file: str
    line: int
    """0 for the file as a whole."""
    concern: Concern
    what: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MODULES: Final[Mapping[Concern, frozenset[str]]] = MappingProxyType(
    {
        Concern.NETWORK: _words(
            """socket ssl select selectors asyncio http urllib ftplib smtplib imaplib poplib nntplib
            telnetlib xmlrpc socketserver webbrowser requests httpx aiohttp urllib3 websockets grpc
            zmq paramiko torch.distributed torch.hub huggingface_hub"""
        ),
        Concern.PROCESSES: _words(
            """subprocess multiprocessing pty signal concurrent.futures resource faulthandler
            os.fork os.forkpty os.system os.popen os.kill os.killpg os.setsid os.posix_spawn
            os.posix_spawnp os.execv os.execve os.execvp os.execvpe os.execl os.execle os.execlp
            os.execlpe os.spawnv os.spawnve os.spawnvp os.spawnl os.spawnle os.spawnlp
            torch.multiprocessing"""
        ),
        Concern.NATIVE_CODE: _words(
            """ctypes _ctypes cffi _cffi_backend mmap numpy.ctypeslib numpy.f2py numba llvmlite
            cython Cython torch.ops.load_library torch.utils.cpp_extension setuptools distutils"""
        ),
        Concern.DYNAMIC_CODE: _words(
            """importlib imp runpy code codeop pkgutil zipimport builtins marshal pickle _pickle
            cPickle shelve dill cloudpickle joblib gc inspect types.CodeType types.FunctionType
            sys.modules sys.path sys.meta_path sys.path_hooks sys._getframe sys.settrace
            sys.setprofile torch.load torch.jit.load pydoc.locate"""
        ),
        Concern.HIDDEN_CODE: _words("base64 binascii codecs uu quopri"),
        Concern.MACHINE: _words(
            """os.environ os.environb os.getenv os.getenvb os.uname os.getuid os.setuid os.chmod
            os.chown os.mkfifo os.mknod os.symlink os.link pwd grp getpass platform fcntl termios"""
        ),
    }
)
"""Modules, and names in them, that a job has no need of."""

_BUILTINS: Final = _words(
    """eval exec compile __import__ globals locals vars breakpoint input __builtins__ __loader__
    __spec__"""
)
_RUNS_TEXT: Final = frozenset({"eval", "exec", "compile"})
_BY_NAME: Final = frozenset({"getattr", "setattr", "delattr"})
_INSIDES: Final = _words(
    """__subclasses__ __globals__ __code__ __closure__ __bases__ __base__ __mro__ __builtins__
    __import__ __getattribute__ __reduce__ __reduce_ex__ __loader__ f_globals f_back f_builtins
    gi_frame tb_frame cr_frame"""
)
_ADDRESS = re.compile(r"(?:https?|ftp|wss?)://|\b\d{1,3}(?:\.\d{1,3}){3}\b", re.ASCII)
_PLACE = re.compile(r"/(?:proc|sys|dev|etc|root|home|var|run|boot|usr|mnt|opt|bin|lib)(?:/|\Z)")
_ENCODED = re.compile(rf"[A-Za-z0-9+/=_-]{{{LEAST_ENCODED},}}")
_DECODES = re.compile(r"decode|decompress|fromhex|unhexlify|b64|b85|chr\(|join\(|loads\(")


def look_at_source(file: str, source: bytes) -> tuple[list[Suspicion], set[str]]:
    """What is suspicious, by line, and which modules are imported; `file` names it."""
    try:
        text = source.decode("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of the stranger's escapes and comparisons.
            tree = ast.parse(text)
        found = {*_look_at_text(text), *_look_at_tree(tree)}
        imports = {cleaned(name) for name in _imports(tree)}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = f"is not Python that can be read here: {type(error).__name__}"
        line = getattr(error, "lineno", None) or 0
        return [Suspicion(file, line, Concern.UNREADABLE, what)], set()
    ordered = [
        Suspicion(file, line, concern, cleaned(what)) for line, concern, what in sorted(found)
    ]
    return ordered, imports


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def cleaned(text: str) -> str:
    """A stranger's words as they may be shown: printable, and short."""
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:400]
    )
    return shown if len(shown) <= MOST_SHOWN else shown[: MOST_SHOWN - 3] + "..."


Place: TypeAlias = tuple[int, Concern, str]


def _look_at_text(text: str) -> Iterator[Place]:
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            yield number, Concern.HIDDEN_CODE, f"a line of {len(line)} characters"
        odd = next(
            (c for c in line if unicodedata.category(c) in {"Cf", "Cc"} and c not in "\t\r\f"), None
        )
        if odd is not None:
            name = unicodedata.name(odd, f"U+{ord(odd):04X}")
            yield number, Concern.HIDDEN_CODE, f"a character that is not seen: {name}"


def _look_at_tree(tree: ast.Module) -> Iterator[Place]:
    known = _aliases(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom(module=str(), level=0):
                for name in _imported(node):
                    yield from _name(node.lineno, name, "import ")
            case ast.Attribute():
                if node.attr in _INSIDES:
                    yield node.lineno, Concern.DYNAMIC_CODE, f".{node.attr}"
                yield from _name(node.lineno, _dotted(node, known))
            case ast.Name():
                yield from _bare_name(node, known)
            case ast.Call():
                yield from _call(node, known)
            case ast.Constant(value=str() | bytes() as value):
                yield from _constant(node.lineno, value)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    before = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return [before + alias.name for alias in node.names]


def _aliases(tree: ast.Module) -> dict[str, str]:
    """What names that were imported, anywhere, stand for."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                known[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return known


def _dotted(node: ast.expr, known: Mapping[str, str]) -> str:
    """`a.b.c` with `a` as it was imported; empty for anything that is not such a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([known.get(node.id, node.id), *reversed(parts)])


def _bare_name(node: ast.Name, known: Mapping[str, str]) -> Iterator[Place]:
    if node.id in _BUILTINS:
        yield node.lineno, Concern.DYNAMIC_CODE, node.id
    elif not node.id.isascii():
        yield node.lineno, Concern.HIDDEN_CODE, f"a name in other letters: {node.id}"
    elif node.id in known:
        yield from _name(node.lineno, known[node.id])


def _name(line: int, dotted: str, how: str = "") -> Iterator[Place]:
    """The longest known beginning of this name, if there is one."""
    parts = dotted.split(".")
    for length in range(min(len(parts), 3), 0, -1):
        beginning = ".".join(parts[:length])
        for concern, names in _MODULES.items():
            if beginning in names:
                yield line, concern, f"{how}{beginning}"
                return


def _call(node: ast.Call, known: Mapping[str, str]) -> Iterator[Place]:
    called = _dotted(node.func, known)
    first = node.args[0] if node.args else None
    if called in _RUNS_TEXT and not isinstance(first, ast.Constant):
        words = ast.unparse(first)[:4_000] if first is not None else ""
        if _DECODES.search(words):
            yield node.lineno, Concern.HIDDEN_CODE, f"{called} of a text that it decodes"
        else:
            yield node.lineno, Concern.HIDDEN_CODE, f"{called} of a text that it computes"
    if called in _BY_NAME and len(node.args) > 1:
        name = node.args[1]
        if not isinstance(name, ast.Constant):
            yield node.lineno, Concern.DYNAMIC_CODE, f"{called} with a computed name"
        elif isinstance(name.value, str):
            yield from _name(node.lineno, f"{_dotted(node.args[0], known)}.{name.value}")
    if called == "__import__" and isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield from _name(node.lineno, first.value, "import ")
    if called.endswith("load") and any(
        keyword.arg == "allow_pickle"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in node.keywords
    ):
        yield node.lineno, Concern.DYNAMIC_CODE, "allow_pickle"
    numbers = first.elts if isinstance(first, ast.List | ast.Tuple) else []
    if called in {"bytes", "bytearray"} and len(numbers) >= LEAST_NUMBERS:
        yield node.lineno, Concern.HIDDEN_CODE, f"{len(numbers)} bytes as numbers"


def _constant(line: int, value: str | bytes) -> Iterator[Place]:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if encoded := _ENCODED.search(text):
        yield line, Concern.HIDDEN_CODE, f"{len(encoded[0])} characters that look encoded"
    elif isinstance(value, bytes) and len(value) >= LEAST_ENCODED and not value.isascii():
        yield line, Concern.HIDDEN_CODE, f"{len(value)} bytes that are no text"
    if text in _INSIDES:
        yield line, Concern.DYNAMIC_CODE, f'"{text}"'
    if address := _ADDRESS.search(text):
        yield (
            line,
            Concern.NETWORK,
            f'the address in "{text[address.start() : address.start() + 60]}"',
        )
    elif _PLACE.match(text):
        yield line, Concern.MACHINE, f'the path "{text}"'
