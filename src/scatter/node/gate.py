"""What every request to the operator's interface passes first: the token, and a bounded body.

Plain ASGI, before anything of the request is read.
"""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scatter.node.token import is_token

MOST_BODY = 64 << 10
"""Bytes of a request."""


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
        else:
            body = await _read(receive)
            if body is None:
                refusal = _refuse(413, f"a request has at most {MOST_BODY} bytes")
                await refusal(scope, receive, send)
            else:
                await self._app(scope, _handed_on(body, receive), send)

    def _is_let_in(self, headers: Headers) -> bool:
        kind, _, offered = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and is_token(offered, self._token)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None as soon as it is longer than its bound, or the caller is gone."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if message["type"] == "http.disconnect" or len(body) > MOST_BODY:
            return None
    return body


def _handed_on(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body at once, then whatever the server says."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def take() -> Message:
        return first.pop() if first else await receive()

    return take


def _refuse(status: int, sentence: str) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": sentence}, status, headers)
