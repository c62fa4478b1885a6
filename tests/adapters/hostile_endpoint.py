"""An endpoint between a node and a real chain that misbehaves as a test says."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from tests.adapters.chain_networks import RealNetwork

from scatter.adapters.rpc import Rpc

Lie = Callable[[list[Any], Any], Any]
"""What is answered instead: given the parameters of a request and the true result."""


class Refusal(Exception):
    """Raised by a lie that answers with an error."""


class HostileEndpoint(httpx.AsyncBaseTransport):
    """Passes on what is asked and lies where it was told to."""

    def __init__(self, network: RealNetwork) -> None:
        self._inner = network.rpc._client._transport
        self.url = network.rpc.url
        self.lies: dict[str, Lie] = {}
        """By method."""
        self.withheld: dict[str, Iterator[str]] = {}
        """By method, the words with which the next requests are refused before the chain hears of

        them; empty words let a request through.
        """
        self.body: bytes | None = None
        """Sent instead of any answer."""
        self.is_down = False
        self.asked: list[str] = []

    def rpc(self) -> Rpc:
        """A client of this endpoint that does not wait between its tries."""
        return Rpc(self.url, transport=self, pauses=(0.0,))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        questions = asked if isinstance(asked, list) else [asked]
        self.asked += [question["method"] for question in questions]
        if self.is_down:
            raise httpx.ConnectError("the line is cut")
        if self.body is not None:
            return httpx.Response(200, content=self.body)
        words = next(self.withheld.get(questions[0]["method"], iter(())), "")
        if words:
            return _show({"id": asked["id"], "error": {"code": -32000, "message": words}})
        true = json.loads(await (await self._inner.handle_async_request(request)).aread())
        answers = true if isinstance(true, list) else [true]
        for question, answer in zip(questions, answers, strict=True):
            lie = self.lies.get(question["method"])
            if lie is not None:
                _replace(answer, lie, question["params"])
        return _show(true)


def _replace(answer: dict[str, Any], lie: Lie, parameters: list[Any]) -> None:
    try:
        answer["result"] = lie(parameters, answer.pop("result", None))
    except Refusal as refusal:
        answer["error"] = {"code": -32000, "message": str(refusal)}
    else:
        answer.pop("error", None)


def _show(answer: Any) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(answer).encode())
