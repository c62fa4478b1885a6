"""Amounts, scores and addresses to listen on, as people write them.

Money is written in tokens with a decimal point ("1000", "0.5") and becomes integer units without
ever being a binary fraction, so that what was written is what is paid.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import MOST_STAKE, UNIT, WHOLE, Score, Tokens

_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,18}))?\Z", re.ASCII)
_SHARE = re.compile(r"(\d)(?:\.(\d{1,4})0*)?\Z", re.ASCII)
_DECIMALS = 18


def read_tokens(text: str) -> Tokens:
    """Reads "1000" or "1000.5" tokens as smallest units.

    Raises BadInput for anything else: signs, exponents, separators, more than 18 decimals, and
    amounts above what one account may stake.
    """
    match = _DECIMAL.match(text.strip())
    if match is None:
        raise BadInput(f"{text!r} is not an amount of tokens; write it as 1000 or 1000.5")
    whole, fraction = match[1], match[2] or ""
    amount = int(whole) * UNIT + int(fraction.ljust(_DECIMALS, "0"))
    if amount > MOST_STAKE:
        raise BadInput(f"{text} tokens are too many; at most {MOST_STAKE // UNIT} are possible")
    return Tokens(amount)


def write_tokens(amount: Tokens) -> str:
    """Writes smallest units as tokens, exactly and without trailing zeros."""
    whole, fraction = divmod(amount, UNIT)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:0{_DECIMALS}d}".rstrip("0")


def show_tokens(units: int, *, signed: bool = False) -> str:
    """`1,234.57`: two decimals are enough for a person's eye."""
    sign = "-" if units < 0 else "+" if signed else ""
    cents = (abs(units) * 100 + UNIT // 2) // UNIT
    return f"{sign}{cents // 100:,}.{cents % 100:02d}"


def read_score(text: str) -> Score:
    """Reads a score from "0" to "1", such as "0.85", as basis points.

    Raises BadInput when it is no such number, or finer than a basis point.
    """
    match = _SHARE.match(text.strip())
    score = int(match[1]) * WHOLE + int((match[2] or "").ljust(4, "0")) if match else WHOLE + 1
    if score > WHOLE:
        raise BadInput(
            f"{text!r} is not a score; write it as 0.85, from 0 to 1, at most 4 decimals"
        )
    return Score(score)


def write_score(score: Score) -> str:
    """Writes basis points as a number from 0 to 1."""
    whole, fraction = divmod(score, WHOLE)
    return f"{whole}.{fraction:04d}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class HostPort:
    """A host and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})\Z", re.ASCII)


def read_host_port(text: str) -> HostPort:
    """Reads "127.0.0.1:8000" or "[::1]:8000". Raises BadInput for anything else."""
    match = _HOST_PORT.match(text)
    if match is None or int(match[3]) > 65_535:
        raise BadInput(f"{text!r} is not host:port; write it as 127.0.0.1:8000")
    return HostPort(match[1] or match[2], int(match[3]))
