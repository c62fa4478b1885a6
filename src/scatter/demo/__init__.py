"""A whole network on this machine: real node processes, a local chain, a real federated job."""
