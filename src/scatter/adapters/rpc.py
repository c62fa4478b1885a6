"""Asks a chain's JSON-RPC endpoint, and believes nothing of the form of its answers.

Reading is tried again when the connection fails; a transaction is sent once, because only the
sender knows what a lost answer means (`scatter.adapters.transactions`).
"""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any, Self

import httpx

from scatter.ports.chain import ChainUnreachable

MOST_ANSWER_BYTES = 32 << 20
MOST_ANSWER_VALUES = 2_000_000
"""In one answer; each becomes a Python object of 50 bytes or more."""
SLOWEST = 3
"""An answer may take this many times as long as the endpoint may be silent."""
MOST_BATCH = 50
MOST_DEPTH = 64
"""Of brackets. py_ecc, which eth-account brings, lifts Python's limit of recursion to 100,000, and
then deeply nested JSON ends the process instead of raising RecursionError."""

NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
SENDING = "eth_sendRawTransaction"
PAUSES = (0.1, 0.4, 1.5)
"""Seconds before reading is tried again."""

WORD = 32


QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


class RpcRefused(ChainUnreachable):
    """The endpoint answered with an error instead of a result."""

    def __init__(self, method: str, code: int, message: str, data: bytes) -> None:
        super().__init__(f"{method}: {message}")
        self.code = code
        self.message = message
        self.data = data


class BadAnswer(ChainUnreachable):
    """The endpoint's answer has a form that no chain's has. Use another endpoint."""


class Rpc:
    """One endpoint. Raises ChainUnreachable, RpcRefused or BadAnswer, whatever is asked."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 20.0,
        transport: httpx.AsyncBaseTransport | None = None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """`transport` replaces the network, for a chain in this very process."""
        self.url = url
        self._pauses = tuple(pauses)
        self._most_seconds = SLOWEST * timeout_seconds
        self._client = httpx.AsyncClient(timeout=timeout_seconds, transport=transport)
        self._next_id = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, method: str, *parameters: Any) -> Any:
        """The result of one request."""
        request = self._request(method, parameters)
        pauses = () if method == SENDING else self._pauses
        return _result(method, request["id"], await self._exchange(request, pauses))

    async def ask_each(self, method: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of the same request with many parameters, in their order."""
        results: list[Any] = []
        for start in range(0, len(parameters), MOST_BATCH):
            requests = [self._request(method, p) for p in parameters[start : start + MOST_BATCH]]
            answers = await self._exchange(requests, self._pauses)
            if not isinstance(answers, list) or not all(isinstance(a, dict) for a in answers):
                raise BadAnswer(f"{self.url} did not answer a batch of {method} with a list")
            by_id = {str(answer.get("id")): answer for answer in answers}
            results += [_result(method, r["id"], by_id.get(str(r["id"]))) for r in requests]
        return results

    def _request(self, method: str, parameters: Sequence[Any]) -> dict[str, Any]:
        self._next_id += 1
        return {
            "jsonrpc": "2.0",
            "id": self._next_id,
            "method": method,
            "params": list(parameters),
        }

    async def _exchange(self, body: Any, pauses: Sequence[float]) -> Any:
        for pause in (*pauses, None):
            try:
                async with asyncio.timeout(self._most_seconds):
                    return await self._post(body)
            except (httpx.TransportError, httpx.HTTPStatusError, TimeoutError) as error:
                if pause is None:
                    raise ChainUnreachable(
                        f"the chain's endpoint {self.url} does not answer "
                        f"({_cause(error)}). Check the address and that it runs."
                    ) from error
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _post(self, body: Any) -> Any:
        received = bytearray()
        async with self._client.stream("POST", self.url, json=body) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > MOST_ANSWER_BYTES:
                    raise BadAnswer(f"{self.url} answered more than {MOST_ANSWER_BYTES} bytes")
        if sum(map(received.count, (b",", b"[", b"{"))) > MOST_ANSWER_VALUES:
            raise BadAnswer(f"{self.url} answered more than {MOST_ANSWER_VALUES} values")
        if _depth(received) > MOST_DEPTH:
            raise BadAnswer(f"{self.url} answered with JSON nested more than {MOST_DEPTH} deep")
        try:
            return json.loads(received)
        except ValueError as error:
            raise BadAnswer(f"{self.url} did not answer with JSON") from error


def quantity(value: Any, bits: int = 64) -> int:
    """A number of an answer; raises BadAnswer if it is none, or too large."""
    shown = isinstance(value, str) and QUANTITY.fullmatch(value)
    number = int(value, 16) if shown else -1
    if not 0 <= number < 1 << bits:
        raise BadAnswer(f"not a quantity of {bits} bits: {_shorten(value)}")
    return number


def data(value: Any, size: int | None = None) -> bytes:
    """Bytes of an answer, of `size` where one is given; raises BadAnswer otherwise."""
    try:
        found = bytes.fromhex(value[2:]) if isinstance(value, str) and value[:2] == "0x" else None
    except ValueError:
        found = None
    if found is None or (size is not None and len(found) != size):
        raise BadAnswer(f"not {size or 'hexadecimal'} bytes: {_shorten(value)}")
    return found


def fields(value: Any, what: str) -> dict[str, Any]:
    """An object of an answer; raises BadAnswer otherwise."""
    if not isinstance(value, dict):
        raise BadAnswer(f"not {what}: {_shorten(value)}")
    return value


def _cause(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP status {error.response.status_code}"
    return type(error).__name__


def _result(method: str, identity: int, answer: Any) -> Any:
    answer = fields(answer, f"an answer to {method}")
    error = answer.get("error")
    if error is not None:
        error = fields(error, "an error")
        message = error.get("message")
        code = error.get("code")
        raise RpcRefused(
            method,
            code if isinstance(code, int) else 0,
            str(message)[:500],
            _error_data(error.get("data")),
        )
    if "result" not in answer or str(answer.get("id")) != str(identity):
        raise BadAnswer(f"no result in the answer to {method}")
    return answer["result"]


def _depth(body: bytearray) -> int:
    """How deep the brackets go; those inside of texts count too, which errs on the safe side."""
    depth = deepest = 0
    for bracket in body.translate(None, NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _error_data(value: Any) -> bytes:
    """Revert data: most chains give a string, some an object around it, some nothing."""
    if isinstance(value, dict):
        value = value.get("data")
    try:
        return data(value)
    except BadAnswer:
        return b""


def _shorten(value: Any) -> str:
    return repr(value)[:80]
