"""Talks to the operator's node, as its `node.toml` says where it is and what its token is."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scatter.mechanism.errors import ScatterError

PATIENCE_SECONDS = 600.0
"""Some acts wait for several blocks, and for the content to be stored."""

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="SCATTER_CONFIG", help="The node's node.toml."),
]
DEFAULT_CONFIG = Path("node.toml")


class NodeUnreachable(ScatterError):
    """No node answers where its node.toml says. Start it with `scatter node run`."""


class NodeRefused(ScatterError):
    """The node answered with an error, which is the message."""


class RunningNode:
    """The HTTP interface of one node."""

    def __init__(self, config_file: Path) -> None:
        """Raises BadInput if the configuration or the token cannot be read."""
        from scatter.node.config import read_config
        from scatter.node.running import find_http
        from scatter.node.token import read_token

        config = read_config(config_file)
        self._config_file = config_file
        self._address = find_http(config)
        self._token = read_token(config.http.token_file)

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a look; what is None is left out of the query."""
        return self._ask("GET", path, query={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to an act."""
        return self._ask("POST", path, body=body)

    def _ask(self, method: str, path: str, *, query: Any = None, body: Any = None) -> Any:
        import httpx

        try:
            answer = httpx.request(
                method,
                f"http://{self._address}{path}",
                params=query,
                json=body,
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=httpx.Timeout(PATIENCE_SECONDS, connect=5),
                trust_env=False,
            )
            content = answer.json()
        except httpx.TransportError as error:
            raise NodeUnreachable(
                f"no node answers at {self._address} ({type(error).__name__}); start it with "
                f"`scatter node run --config {self._config_file}`"
            ) from None
        except ValueError:
            raise NodeRefused(f"what answers at {self._address} is no Scatter node") from None
        if answer.is_success:
            return content
        sentence = content.get("error") if isinstance(content, dict) else None
        raise NodeRefused(str(sentence or f"the node answered {answer.status_code}"))
