"""JSON from a stranger, parsed without risk to the process.

The standard parser recurses on the C stack as deep as the interpreter's recursion limit allows.
Libraries raise that limit (py-evm does), and then a few kilobytes of brackets end the process. So
the depth is counted before parsing. A name that appears twice in an object is refused, since two
readers might believe different ones.
"""

import json
import re
from typing import Any

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parse_json(text: bytes, *, depth: int) -> Any:
    """Parses a document in which at most `depth` arrays and objects lie in one another.

    Raises ValueError with the reason.
    """
    level = 0
    for token in _TOKEN.finditer(text):
        if token[0] in b"[{":
            level += 1
            if level > depth:
                raise ValueError(f"nested more than {depth} deep")
        elif token[0] in b"]}":
            level -= 1
    return json.loads(text.decode("utf-8"), object_pairs_hook=_refuse_twins)


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name appears twice")
    return table
