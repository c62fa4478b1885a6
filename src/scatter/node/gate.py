"""What every request to the operator's interface passes first: the token, and a bounded body.

Plain ASGI, before anything of the request is read.
"""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scatter.node.token import is_token

MOST_BODY = 64 << 10
"""Bytes of a request."""


class _TooLong(Exception):
    """The body went on past its bound."""


class Gate:
    """Lets in who holds the token; a path in `public` needs none."""

    def __init__(self, app: ASGIApp, token: str, public: frozenset[str]) -> None:
        self._app = app
        self._token = token
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] != "http":
            await _refuse(400, "only HTTP is spoken here")(scope, receive, send)
        elif scope["path"] not in self._public and not self._is_let_in(headers):
            sentence = "give the node's token: Authorization: Bearer TOKEN"
            await _refuse(401, sentence)(scope, receive, send)
        elif _length(headers) > MOST_BODY:
            await _refuse(413, f"a request has at most {MOST_BODY} bytes")(scope, receive, send)
        else:
            await self._pass_bounded(scope, receive, send)

    def _is_let_in(self, headers: Headers) -> bool:
        kind, _, offered = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and is_token(offered, self._token)

    async def _pass_bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken, begun = 0, False

        async def take() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY:
                raise _TooLong
            return message

        async def give(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, take, give)
        except _TooLong:
            if not begun:
                refusal = _refuse(413, f"a request has at most {MOST_BODY} bytes")
                await refusal(scope, receive, send)


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else MOST_BODY + 1


def _refuse(status: int, sentence: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": sentence}, status, headers)
