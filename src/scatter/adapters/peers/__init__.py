"""The peers port over libp2p (`docs/peers.md`)."""

from scatter.adapters.peers.libp2p import LibP2PPeers, peer_id_of

__all__ = ["LibP2PPeers", "peer_id_of"]
