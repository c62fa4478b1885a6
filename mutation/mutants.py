"""Which faults: a fixed list of operators, applied wherever they fit in the contracts' sources."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vyper import ast

CHECKS: Final = re.compile(r"(^|\.)_(require\w*|only|check)$")
SYMMETRIC: Final = {"range", "convert", "min", "max", "unsafe_add", "_require"}
"""Calls whose arguments are not swapped: they could not be told apart, or never compile."""

SIGNS: Final = {
    "Lt": "<",
    "LtE": "<=",
    "Gt": ">",
    "GtE": ">=",
    "Eq": "==",
    "NotEq": "!=",
    "Add": "+",
    "Sub": "-",
    "Mult": "*",
    "FloorDiv": "//",
}
"""By the compiler's name."""

COMPARISONS: Final = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
OPERATORS: Final = {"+": "-", "-": "+", "*": "//", "//": "*", "and": "or", "or": "and"}
EXTREMES: Final = {"min": "max", "max": "min"}


@dataclass(frozen=True)
class Mutant:
    """One source with one place changed."""

    file: str
    function: str
    operator: str
    start: int
    """Where in the text `before` stands."""
    before: str
    after: str
    line: int
    change: str
    """The lines that hold the place, before and after, without line breaks."""
    copy: int = 1
    """Of several places that read the same in one function."""

    @property
    def name(self) -> str:
        """Stays the same when lines move."""
        count = f" ({self.copy})" if self.copy > 1 else ""
        return f"{self.file} {self.function}: {self.operator}: {self.change}{count}"

    def apply(self, source: str) -> str:
        end = self.start + len(self.before)
        assert source[self.start : end] == self.before
        return source[: self.start] + self.after + source[end:]


def find_mutants(folder: Path) -> list[Mutant]:
    """All mutants of all contracts, in the order of the sources."""
    found = [m for path in sorted(folder.glob("*.vy")) for m in _Source(path).mutants()]
    seen: Counter[str] = Counter()
    numbered = []
    for mutant in found:
        seen[mutant.name] += 1
        numbered.append(Mutant(**vars(mutant) | {"copy": seen[mutant.name]}))
    return numbered


class _Source:
    def __init__(self, path: Path) -> None:
        self.file = path.name
        self.text = path.read_text()
        self.lines = self.text.splitlines(keepends=True)
        self.offsets = [0]
        for line in self.lines:
            self.offsets.append(self.offsets[-1] + len(line))

    def mutants(self) -> Iterator[Mutant]:
        module = ast.parse_to_ast(self.text)
        for function in module.get_children(ast.FunctionDef):
            for kind, change in CHANGES:
                for statement in function.body:
                    for node in statement.get_descendants(kind, include_self=True):
                        if not _is_type(node):
                            yield from change(self, function.name, node)
        for constant in module.get_children(ast.VariableDecl):
            if constant.is_constant and self.file != "refusals.vy":
                for number in constant.value.get_descendants(ast.Int, include_self=True):
                    yield from change_constant(self, constant.target.id, number)

    def text_of(self, node: Any) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def span(self, node: Any) -> tuple[int, int]:
        return (
            self.offsets[node.lineno - 1] + node.col_offset,
            self.offsets[node.end_lineno - 1] + node.end_col_offset,
        )

    def between(self, left: Any, right: Any, sign: str) -> int:
        """Where an operator stands between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        found = re.search(rf"(?<![<>=/*]){re.escape(sign)}(?![<>=/*])", self.text[start:end])
        assert found
        return start + found.start()

    def mutant(self, function: str, operator: str, start: int, before: str, after: str) -> Mutant:
        line = self.text.count("\n", 0, start)
        last = self.text.count("\n", 0, start + len(before))
        first, end = self.offsets[line], self.offsets[last + 1]
        old = self.text[first:end]
        new = self.text[first:start] + after + self.text[start + len(before) : end]
        change = " => ".join(" ".join(part.split()) for part in (old, new))
        return Mutant(self.file, function, operator, start, before, after, line + 1, change)


def drop_check(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    """A statement that refuses, or one that leaves early."""
    if isinstance(node, ast.Expr) and not CHECKS.search(_callee(node.value)):
        return
    if isinstance(node, ast.If):
        leaves = isinstance(node.body[-1], ast.Return | ast.Break | ast.Continue)
        if len(node.body) > 1 or node.orelse or not leaves:
            return
    start, end = source.span(node)
    yield source.mutant(function, "drop a check", start, source.text[start:end], "pass")


def drop_condition(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    """One operand of `and` or `or`."""
    before = source.text_of(node)
    for gone in range(len(node.values)):
        kept = [source.text_of(v) for i, v in enumerate(node.values) if i != gone]
        word = " and " if isinstance(node.op, ast.And) else " or "
        after = word.join(f"({one})" for one in kept)
        yield source.mutant(function, "drop a condition", source.span(node)[0], before, after)


def swap_comparison(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    sign = SIGNS.get(type(node.op).__name__, "")
    if sign in COMPARISONS:
        at = source.between(node.left, node.right, sign)
        yield source.mutant(function, "swap a comparison", at, sign, COMPARISONS[sign])


def swap_operator(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    if isinstance(node, ast.Call):
        name = _callee(node)
        if name in EXTREMES:
            start = source.span(node)[0]
            yield source.mutant(function, "swap an operator", start, name, EXTREMES[name])
        return
    if isinstance(node, ast.BoolOp):
        pairs = list(zip(node.values, node.values[1:], strict=False))
        sign = "and" if isinstance(node.op, ast.And) else "or"
    else:
        pairs, sign = [(node.left, node.right)], SIGNS.get(type(node.op).__name__, "")
    if sign in OPERATORS and not _is_mask(node) and len(pairs) == 1:
        at = source.between(*pairs[0], sign)
        yield source.mutant(function, "swap an operator", at, sign, OPERATORS[sign])


def change_constant(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    """One more than it was, or the opposite."""
    parent = node.get_ancestor()
    if isinstance(parent, ast.keyword) and getattr(parent, "arg", "") == "bound":
        return
    if isinstance(parent, ast.BinOp) and (_is_mask(parent) or _is_base_of_mask(node, parent)):
        return
    start, end = source.span(node)
    before = source.text[start:end]
    after = str(node.value + 1 if isinstance(node, ast.Int) else not node.value)
    yield source.mutant(function, "change a constant", start, before, after)


def skip_update(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    """An assignment, an event, or a call for what it does."""
    if isinstance(node, ast.Expr) and CHECKS.search(_callee(node.value)):
        return
    start, end = source.span(node)
    yield source.mutant(function, "skip an update", start, source.text[start:end], "pass")


def swap_arguments(source: _Source, function: str, node: Any) -> Iterator[Mutant]:
    """Two neighbours that stand in one another's place."""
    name = _callee(node).split(".")[-1]
    if name in SYMMETRIC:
        return
    for left, right in zip(node.args, node.args[1:], strict=False):
        first, second = source.span(left), source.span(right)
        one, two = source.text_of(left), source.text_of(right)
        if one == two:
            continue
        before = source.text[first[0] : second[1]]
        after = two + source.text[first[1] : second[0]] + one
        yield source.mutant(function, "swap arguments", first[0], before, after)


Change = Callable[[_Source, str, Any], Iterator[Mutant]]
CHANGES: Final[Sequence[tuple[type, Change]]] = [
    (ast.Expr, drop_check),
    (ast.Assert, drop_check),
    (ast.If, drop_check),
    (ast.BoolOp, drop_condition),
    (ast.Compare, swap_comparison),
    (ast.BoolOp, swap_operator),
    (ast.BinOp, swap_operator),
    (ast.Call, swap_operator),
    (ast.Int, change_constant),
    (ast.NameConstant, change_constant),
    (ast.Assign, skip_update),
    (ast.AugAssign, skip_update),
    (ast.Log, skip_update),
    (ast.Expr, skip_update),
    (ast.Call, swap_arguments),
]


def _callee(node: Any) -> str:
    """A called function's name, with its module's."""
    while isinstance(node, ast.ExtCall | ast.StaticCall):
        node = node.value
    if not isinstance(node, ast.Call):
        return ""
    return str(node.func.node_source_code).strip()


def _is_type(node: Any) -> bool:
    """Whether it belongs to the type of a variable, such as the 64 of uint256[64]."""
    while not isinstance(parent := node.get_ancestor(), ast.FunctionDef):
        if isinstance(parent, ast.AnnAssign) and node is parent.annotation:
            return True
        node = parent
    return False


def _is_mask(node: Any) -> bool:
    """`2**40 - 1`: a field's width, of which the exponent alone is changed."""
    left = getattr(node, "left", None)
    return isinstance(left, ast.BinOp) and isinstance(left.op, ast.Pow)


def _is_base_of_mask(node: Any, parent: Any) -> bool:
    return isinstance(parent.op, ast.Pow) and parent.left is node
