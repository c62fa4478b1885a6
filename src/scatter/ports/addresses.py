"""Where a peer is reached, and by which name: multiaddresses and peer identifiers, both bounded.

Only TCP is spoken, so an address is `/ip4|ip6|dns|dns4|dns6/<host>/tcp/<port>` and nothing more.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from scatter.mechanism.errors import BadInput

MOST_ADDRESS_LENGTH: Final = 128
MOST_GATEWAY_LENGTH: Final = 256

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PEER_ID: Final = re.compile(f"16Uiu2HA[{_ALPHABET}]{{45}}")
_MULTIADDRESS: Final = re.compile(
    r"/(?P<kind>ip4|ip6|dns|dns4|dns6)/(?P<host>[0-9A-Za-z.:-]{1,100})/tcp/(?P<port>[0-9]{1,5})"
)
_HOST_NAME: Final = re.compile(r"(?!-)[0-9A-Za-z-]{1,63}(\.(?!-)[0-9A-Za-z-]{1,63}){0,8}")
_SECP256K1_IDENTITY: Final = bytes.fromhex("002508021221")
"""Identity multihash of 37 bytes: a protobuf of key type 2 and 33 bytes (libp2p peer-ids spec)."""


@dataclass(frozen=True)
class Endpoint:
    """A host and a TCP port."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"/{self.kind}/{self.host}/tcp/{self.port}"

    @property
    def ip(self) -> IPv4Address | IPv6Address | None:
        """The IP address; None for a name."""
        return ip_address(self.host) if self.kind in ("ip4", "ip6") else None


def read_endpoint(address: str, *, unbound: bool = False) -> Endpoint:
    """Reads a multiaddress of the form above.

    `unbound` allows what only a listener may say: port 0 and the address of all interfaces.
    Raises BadInput.
    """
    match = _MULTIADDRESS.fullmatch(address) if len(address) <= MOST_ADDRESS_LENGTH else None
    if match is None:
        raise BadInput(
            f"address {address[:MOST_ADDRESS_LENGTH]!r}: must read /ip4/<address>/tcp/<port> "
            "(or ip6, dns, dns4, dns6)"
        )
    endpoint = Endpoint(match["kind"], match["host"], int(match["port"]))
    if not (0 if unbound else 1) <= endpoint.port <= 65_535:
        raise BadInput(f"address {address}: no such port")
    if endpoint.kind.startswith("dns"):
        if not _HOST_NAME.fullmatch(endpoint.host):
            raise BadInput(f"address {address}: not a host name")
        return endpoint
    try:
        ip = IPv4Address(endpoint.host) if endpoint.kind == "ip4" else IPv6Address(endpoint.host)
    except ValueError:
        raise BadInput(f"address {address}: not an {endpoint.kind} address") from None
    if not (is_reachable(ip) or (unbound and ip.is_unspecified)):
        raise BadInput(f"address {address}: neither loopback nor private nor public")
    return endpoint


def is_reachable(ip: IPv4Address | IPv6Address) -> bool:
    """Whether a peer can live there: loopback, private or public, and of one host only."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return False
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local or str(ip) == "255.255.255.255":
        return False
    return ip.is_loopback or ip.is_private or ip.is_global


def read_dial_address(address: str) -> tuple[Endpoint, str]:
    """Reads `<multiaddress>/p2p/<peer id>`, as bootstrap peers are named. Raises BadInput."""
    endpoint, separator, peer_id = address.partition("/p2p/")
    if not separator:
        raise BadInput(f"address {address[:256]!r}: must end with /p2p/<peer id>")
    check_peer_id(peer_id)
    return read_endpoint(endpoint), peer_id


def check_gateway(gateway: str) -> None:
    """Accepts an http(s) base address, or nothing. Raises BadInput."""
    if not gateway:
        return
    if len(gateway) > MOST_GATEWAY_LENGTH or not re.fullmatch(r"[!-~]+", gateway):
        raise BadInput(f"gateway: at most {MOST_GATEWAY_LENGTH} printable characters")
    try:
        parts = urlsplit(gateway)
        port = parts.port
    except ValueError:
        raise BadInput(f"gateway {gateway}: not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadInput(f"gateway {gateway}: must be http://<host> or https://<host>")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadInput(f"gateway {gateway}: must not carry a user name, query or fragment")


def check_peer_id(peer_id: str) -> None:
    """Accepts the base58 identifier of a secp256k1 key. Raises BadInput."""
    if not _PEER_ID.fullmatch(peer_id):
        raise BadInput(f"peer id {peer_id[:64]!r}: must be that of a secp256k1 key (16Uiu2HA...)")


def name_peer(public_key: bytes) -> str:
    """The peer identifier of a compressed secp256k1 public key, 33 bytes."""
    if len(public_key) != 33:
        raise BadInput("a compressed secp256k1 public key has 33 bytes")
    raw = _SECP256K1_IDENTITY + public_key
    number, digits = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits
